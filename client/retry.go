package client

import (
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// Reconnect says how a connection that was lost is won back: wait, dial, and
// after each failure wait longer; after many, rest. The names are those of the
// configuration, the defaults those of docs/protocol.md, section 8. A zero
// field stands for its default.
type Reconnect struct {
	// Strategy is how the waits follow each other. "": exponential.
	Strategy Strategy
	// Initial is the first wait. 0: 1 s.
	Initial time.Duration
	// Factor is what each further wait is multiplied by, 1 or more. 0: 1.5.
	Factor float64
	// Max is the longest wait, before jitter. 0: 30 s.
	Max time.Duration
	// Jitter is the share by which every wait, a pause too, is longer or
	// shorter, below 1. 0: 0.5, so a wait of 1 s is 0.5 s to 1.5 s. Negative: none.
	Jitter float64
	// Attempts is how many failures in a row lead to a pause. 0: 5. Negative:
	// never pause.
	Attempts int
	// Pause is the wait after the Attempts-th failure in a row. 0: 5 min.
	Pause time.Duration
	// Stable is how long a connection must have been up to start the waits over.
	// A shorter one counts as a failure. 0: 10 s.
	Stable time.Duration
}

// Strategy is how the waits between dials follow each other.
type Strategy string

// The strategies.
const (
	Exponential Strategy = "exponential" // each wait is Factor times the one before, up to Max
	Fixed       Strategy = "fixed"       // each wait is Initial
	NoReconnect Strategy = "none"        // what has failed is not dialled again: a Client ends, a gateway's backend rests until an operator says so
)

// never is a wait without an end, in effect.
const never = 100 * 365 * 24 * time.Hour

// WithDefaults returns the settings with zero fields replaced by the defaults.
func (r Reconnect) WithDefaults() Reconnect {
	if r.Strategy == "" {
		r.Strategy = Exponential
	}
	if r.Initial == 0 {
		r.Initial = time.Second
	}
	if r.Factor == 0 {
		r.Factor = 1.5
	}
	if r.Max == 0 {
		r.Max = 30 * time.Second
	}
	if r.Jitter == 0 {
		r.Jitter = 0.5
	}
	if r.Attempts == 0 {
		r.Attempts = 5
	}
	if r.Pause == 0 {
		r.Pause = 5 * time.Minute
	}
	if r.Stable == 0 {
		r.Stable = 10 * time.Second
	}
	return r
}

// Validate says what is wrong with the settings, defaults filled in, and what
// would be right.
func (r Reconnect) Validate() error {
	r = r.WithDefaults()
	for _, f := range []struct {
		name    string
		value   time.Duration
		example string
	}{
		{"initial", r.Initial, "1s"},
		{"max", r.Max, "30s"},
		{"pause", r.Pause, "5m"},
		{"stable", r.Stable, "10s"},
	} {
		if f.value < 0 {
			return fmt.Errorf("reconnect %s %v is negative: give a time such as %s", f.name, f.value, f.example)
		}
	}
	switch {
	case r.Strategy != Exponential && r.Strategy != Fixed && r.Strategy != NoReconnect:
		return fmt.Errorf("unknown reconnect strategy %q: exponential, fixed or none", r.Strategy)
	case r.Max < r.Initial && r.Strategy == Exponential:
		return fmt.Errorf("reconnect max %v is shorter than initial %v: give %v or more", r.Max, r.Initial, r.Initial)
	case !(r.Factor >= 1): // a NaN is no factor, either
		return fmt.Errorf("reconnect factor %v is below 1, so waits would shrink: give a factor such as 1.5, or 1 for even waits", r.Factor)
	case !(r.Jitter < 1):
		return fmt.Errorf("reconnect jitter %v is not below 1: it is a share of each wait, such as 0.5", r.Jitter)
	}
	return nil
}

// Retry counts the failures of one connection and says how long to wait before
// the next dial. It has no clock and starts nothing: the times come from its
// owner, who dials. It is not safe for concurrent use.
//
// Waits grow from Initial by Factor to Max. Every Attempts-th failure in a row
// is answered by a Pause instead of a wait; the count towards the next pause then
// begins anew, but the waits go on growing where they were. Only a connection
// that stayed up for Stable starts both over: neither a pause nor a dial that
// succeeded proves that the peer is well.
type Retry struct {
	settings Reconnect
	failures int           // in a row
	backoff  time.Duration // the next wait, before jitter
	upSince  time.Time     // zero: not up
	nextAt   time.Time     // zero: at once
}

// NewRetry returns the state before the first dial, which may be at once. The
// settings should be valid; their zero fields stand for the defaults.
func NewRetry(r Reconnect) *Retry {
	s := &Retry{settings: r.WithDefaults()}
	s.Reset()
	return s
}

// Failed notes that a dial failed. It returns how long to wait before the next
// one, jitter included, and whether that wait is a pause.
func (s *Retry) Failed(now time.Time) (wait time.Duration, paused bool) {
	s.upSince = time.Time{}
	s.failures++
	if s.settings.Strategy == NoReconnect {
		s.nextAt = now.Add(never)
		return never, true
	}
	if s.settings.Attempts > 0 && s.failures%s.settings.Attempts == 0 {
		return s.waitFrom(now, s.settings.Pause), true
	}
	return s.waitFrom(now, s.nextBackoff()), false
}

// Up notes that a connection was established.
func (s *Retry) Up(now time.Time) {
	s.upSince = now
	s.nextAt = time.Time{}
}

// Down notes that the established connection ended, and returns how long to
// wait before the next dial, jitter included, and whether that wait is a pause.
// A connection that was up for Stable or longer was no failure: the counters
// start over, and the wait is the first. A shorter one counts as a failed dial.
func (s *Retry) Down(now time.Time) (wait time.Duration, paused bool) {
	if s.upSince.IsZero() || now.Sub(s.upSince) < s.settings.Stable {
		return s.Failed(now)
	}
	s.Reset()
	if s.settings.Strategy == NoReconnect {
		s.nextAt = now.Add(never)
		return never, true
	}
	return s.waitFrom(now, s.nextBackoff()), false
}

// Told notes that the connection ended, or was refused, as its peer wanted it so,
// who also said when to come back: exactly then, without jitter, for the peer has
// spread its clients. It is no failure.
func (s *Retry) Told(now time.Time, wait time.Duration) time.Duration {
	s.upSince = time.Time{}
	if s.settings.Strategy == NoReconnect {
		wait = never
	}
	s.nextAt = now.Add(wait)
	return wait
}

// Rest notes that the connection ended in a way that is not to be answered by
// coming back soon, and returns the wait: a Pause.
func (s *Retry) Rest(now time.Time) time.Duration {
	s.upSince = time.Time{}
	if s.settings.Strategy == NoReconnect {
		s.nextAt = now.Add(never)
		return never
	}
	return s.waitFrom(now, s.settings.Pause)
}

// Failures is how many failures there were in a row since the last connection
// that stayed up for Stable, and ended. Pauses do not start it over.
func (s *Retry) Failures() int { return s.failures }

// NextAt is when the next dial is due. The zero time: at once, or not at all
// while a connection is up.
func (s *Retry) NextAt() time.Time { return s.nextAt }

// Ready reports whether a dial is due: no connection is up, and the wait is over.
func (s *Retry) Ready(now time.Time) bool {
	return s.upSince.IsZero() && !now.Before(s.nextAt)
}

// Reset forgets everything, so that a dial may be made at once and a pause ends:
// for an operator who knows that the peer is back.
func (s *Retry) Reset() {
	*s = Retry{settings: s.settings, backoff: s.settings.Initial}
}

// nextBackoff returns the wait that is due and lets the one after it grow.
func (s *Retry) nextBackoff() time.Duration {
	wait := s.backoff
	if s.settings.Strategy == Fixed {
		return wait
	}
	if longer := float64(wait) * s.settings.Factor; longer < float64(s.settings.Max) {
		s.backoff = time.Duration(longer)
	} else {
		s.backoff = s.settings.Max
	}
	return wait
}

func (s *Retry) waitFrom(now time.Time, d time.Duration) time.Duration {
	d = keepalive.Jitter(d, s.settings.Jitter)
	s.nextAt = now.Add(d)
	return d
}
