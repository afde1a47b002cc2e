package transport

import "sync/atomic"

// held is the memory of the buffers that all connections hold, in bytes. What is borrowed is counted from then until it is given back, be it for the moment of a read or for
// as long as a peer does not read; what a connection keeps for itself, as its weight.
var held atomic.Int64

// Held returns how many bytes of memory the buffers of all connections of this process take now: for what they have read and not used, and what is unsent.
func Held() int64 { return held.Load() }

// weight is what one connection holds for reading. Its owner sets it, others may look.
type weight struct {
	n   atomic.Int64
	own int // the part of it that is not borrowed
}

func (w *weight) get() int { return int(w.n.Load()) }

func (w *weight) set(own, borrowed int) {
	if own != w.own {
		held.Add(int64(own - w.own))
		w.own = own
	}
	if n := int64(own + borrowed); w.n.Load() != n {
		w.n.Store(n)
	}
}
