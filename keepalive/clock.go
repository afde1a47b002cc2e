package keepalive

import (
	"math"
	"time"
)

// An instant is a moment in nanoseconds since epoch: a third of a time.Time in
// size, and as immune to steps of the wall clock. Zero is no moment at all.
type instant int64

// epoch is what instants count from. Its monotonic reading carries over to
// the times that are made from it.
var epoch = time.Now()

// at converts a time to an instant, never to zero. A time more than 292 years
// away from the start of the program is moved to that limit.
func at(t time.Time) instant {
	if d := t.Sub(epoch); d != 0 {
		return instant(d)
	}
	return 1
}

// time converts back; the zero instant is the zero time.
func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(i))
}

// after is the moment d later, never zero: an end that lies beyond what an
// instant can hold is the last moment there is. d must not be negative.
func (i instant) after(d time.Duration) instant {
	sum := i + instant(d)
	switch {
	case sum < i:
		return math.MaxInt64
	case sum == 0:
		return 1
	}
	return sum
}

// earliest is the first of the moments that are not zero, else zero.
func earliest(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// Earliest returns the earlier of two moments, where the zero time stands for
// never. With it one timer serves a connection that has a [Pinger] and a
// [Watch]: Earliest(p.Next(), w.Deadline()).
func Earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
