package keepalive

import "time"

// The constants of RFC 6298. α and β are the divisors 8 and 4 in [RTT.Sample].
const (
	// InitialRTO is the timeout before the first sample (rule 2.1).
	InitialRTO = time.Second
	// MinRTO is the least timeout. The RFC asks for 1 s (rule 2.4); like the
	// TCP stacks in use, we go lower: 200 ms is Linux's TCP_RTO_MIN.
	MinRTO = 200 * time.Millisecond
	// MaxRTO is the greatest timeout, the least that the RFC allows (rule 2.5).
	MaxRTO = 60 * time.Second

	// granularity is G, the tick of the clock that wakes us: Go's timers wait
	// in epoll, which counts milliseconds.
	granularity = time.Millisecond

	// maxSample is what a longer round trip counts as: far beyond what matters
	// to MaxRTO, and low enough that nothing overflows.
	maxSample = time.Hour
)

// RTT estimates the round-trip time of one connection, and how long to wait
// for an answer, as RFC 6298 does for TCP. The zero value is ready.
type RTT struct {
	srtt    time.Duration
	rttvar  time.Duration
	rto     time.Duration // 0: nothing happened yet, InitialRTO holds
	samples uint64
}

// Sample takes one measured round trip. It must be unambiguous: of an answer
// to something that was sent once (Karn's rule; [Pinger.Pong] sees to it). A
// negative duration is no measurement and is ignored; more than an hour counts
// as an hour.
//
// The timeout is worked out anew, so a timeout that was backed off is at once
// back at what the estimate says (RFC 6298, section 5).
func (r *RTT) Sample(d time.Duration) {
	if d < 0 {
		return
	}
	d = min(d, maxSample)
	if r.samples == 0 {
		r.srtt, r.rttvar = d, d/2 // rule 2.2
	} else {
		// Rule 2.3, in this order: the variation is measured against the old
		// average. x += (y-x)/n is (1-1/n)·x + y/n.
		r.rttvar += ((r.srtt - d).Abs() - r.rttvar) / 4
		r.srtt += (d - r.srtt) / 8
	}
	r.samples++
	r.rto = min(max(r.srtt+max(granularity, 4*r.rttvar), MinRTO), MaxRTO)
}

// Backoff doubles the timeout, up to [MaxRTO], because an answer did not come
// within it (rule 5.5). The estimate itself stays.
func (r *RTT) Backoff() { r.rto = min(2*r.RTO(), MaxRTO) }

// SRTT is the smoothed round-trip time; 0 before the first sample.
func (r *RTT) SRTT() time.Duration { return r.srtt }

// RTTVAR is the smoothed variation of the round-trip time; 0 before the first
// sample.
func (r *RTT) RTTVAR() time.Duration { return r.rttvar }

// RTO is how long to wait for an answer before it counts as lost:
// SRTT + max(G, 4·RTTVAR), from [MinRTO] to [MaxRTO]; [InitialRTO] before the
// first sample; doubled by each [RTT.Backoff] since the last one.
func (r *RTT) RTO() time.Duration {
	if r.rto == 0 {
		return InitialRTO
	}
	return r.rto
}

// Samples is the number of round trips that were measured.
func (r *RTT) Samples() uint64 { return r.samples }
