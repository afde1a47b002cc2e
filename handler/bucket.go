package handler

import "time"

// rates is how fast a client may send.
type rates struct {
	frames, bytes *rate // nil: no limit
	close         bool  // who exceeds them is closed, rather than read no faster
}

// rate is a token bucket's: what flows in, and what it holds.
type rate struct{ perSecond, burst float64 }

// wakeUps is how often in a second a client that is delayed is read again, at the most: so one that floods costs a bounded number of wake-ups, whatever its rate.
const wakeUps = 20

// enough is what must be in the bucket before a delayed client is read again.
func (r *rate) enough() float64 { return max(1, min(r.burst, r.perSecond/wakeUps)) }

// bucket is a token bucket of one client. The zero value is full. The rate is given with each call, so a reload that changes it holds from then on.
type bucket struct {
	spent float64 // below the burst; more than the burst is a debt
	at    time.Duration
}

// level returns what is in the bucket; at is a clock of the caller's that never goes back.
func (b *bucket) level(r *rate, at time.Duration) float64 {
	b.spent = max(0, b.spent-r.perSecond*(at-b.at).Seconds())
	b.at = at
	return r.burst - b.spent
}

// wait returns how long until there is enough.
func (b *bucket) wait(r *rate, at time.Duration) time.Duration {
	lack := r.enough() - b.level(r, at)
	if lack <= 0 {
		return 0
	}
	return time.Duration(lack / r.perSecond * float64(time.Second))
}
