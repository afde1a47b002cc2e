package upstream

import "sync/atomic"

// held is the memory of the frames that all leases hold, in bytes.
var held atomic.Int64

// Held returns how many bytes of memory the frames take that the leases of all groups of this process hold now: while they have no link, or no room on one. What links
// hold themselves is their connections' to say.
func Held() int64 { return held.Load() }

// weight is a part of held: one lease's. The lease's lock guards it.
type weight int

func (w *weight) set(n int) {
	held.Add(int64(n) - int64(*w))
	*w = weight(n)
}
