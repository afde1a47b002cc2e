package keepalive

import (
	"math"
	"math/rand/v2"
	"time"
)

// Jitter returns a duration drawn evenly from d ± share of d: with a share of
// 0.5, from 0.5 d to 1.5 d, both included. A share of 0 or less returns d
// itself, and a share above 1 counts as 1, so the result is never negative.
// So does a d of 0 or less, which is returned as it is.
//
// What many connections would otherwise do at once (ping, dial again after the
// same loss) is thereby spread out. Safe for concurrent use.
func Jitter(d time.Duration, share float64) time.Duration {
	if d <= 0 || !(share > 0) { // a NaN is no share, either
		return d
	}
	span := d
	if s := share * float64(d); s < float64(d) {
		span = time.Duration(s)
	}
	// Unsigned, because 2·span + 1 may be more than an int64 holds.
	j := uint64(d-span) + rand.Uint64N(2*uint64(span)+1)
	return time.Duration(min(j, math.MaxInt64))
}
