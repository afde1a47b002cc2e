package transport

import "sync/atomic"

// held is the memory of all connections' buffers that hold something, in bytes. What is borrowed for the moment of a read is not in it: of that there is no more than
// there are threads.
var held atomic.Int64

// Held returns how many bytes of memory the buffers of all connections of this process take now: for what they have read and not used, and what is unsent.
func Held() int64 { return held.Load() }

// weight is a part of held: one connection's. Its owner sets it, others may look.
type weight struct{ n atomic.Int64 }

func (w *weight) get() int { return int(w.n.Load()) }

func (w *weight) set(n int) {
	if was := w.n.Load(); was != int64(n) {
		w.n.Store(int64(n))
		held.Add(int64(n) - was)
	}
}
