package health

import (
	"sync/atomic"
	"time"
)

// Rate lets so many through in a second and no more, without a lock: it keeps the one moment at which the bucket will be full again (the generic cell rate
// algorithm). Any goroutine may use it.
type Rate struct {
	each  int64 // nanoseconds that one takes
	burst int64 // nanoseconds that may be taken ahead
	full  atomic.Int64
}

// NewRate returns a rate that begins with a burst of so many; 0: a second's worth. perSecond 0 lets everything through.
func NewRate(perSecond float64, burst int) *Rate {
	r := new(Rate)
	if perSecond > 0 {
		r.each = max(1, int64(float64(time.Second)/perSecond))
		r.burst = max(int64(time.Second), r.each)
		if burst > 0 {
			r.burst = int64(burst) * r.each
		}
	}
	return r
}

// Take takes n, or says how long to wait for them. More than a burst go when the bucket is full, and those after them wait the longer.
func (r *Rate) Take(now time.Time, n int) (wait time.Duration) {
	if r.each == 0 || n == 0 {
		return 0
	}
	for t, cost := now.UnixNano(), int64(n)*r.each; ; {
		full := r.full.Load()
		next := max(full, t) + cost
		if over := next - t - max(r.burst, cost); over > 0 {
			return time.Duration(over)
		}
		if r.full.CompareAndSwap(full, next) {
			return 0
		}
	}
}
