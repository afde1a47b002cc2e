package keepalive

import (
	"fmt"
	"time"
)

// DefaultHeartbeatJitter is the share by which the waits between pings differ
// where a [Heartbeat] names none.
const DefaultHeartbeatJitter = 0.1

// Heartbeat is how often a connection is pinged, and how long its peer may take
// to answer. A client of GOPR pings every 30 s, and takes its peer for dead 15 s
// after a ping without its pong (docs/protocol.md, section 2). One value is
// shared by all connections it holds for and must not change under them.
type Heartbeat struct {
	// Interval is the time from one ping to the next. 0: no pings.
	Interval time.Duration
	// Timeout is how long after a ping its pong may come; a peer later than
	// that is dead. 0: half the Interval. It may be longer than the Interval:
	// the next ping then waits for the pong of the one before.
	Timeout time.Duration
	// Jitter is the share of the Interval by which each wait is longer or
	// shorter, below 1. 0: 0.1, so 27 s to 33 s for an interval of 30 s, which
	// a gateway's idle timeout of 45 s bears. Negative: none.
	Jitter float64
}

// WithDefaults returns the heartbeat with its zero fields, Interval apart,
// replaced by what they stand for.
func (h Heartbeat) WithDefaults() Heartbeat {
	h.Timeout, h.Jitter = h.timeout(), h.jitter()
	return h
}

// Validate says what is wrong with the settings, and what would be right.
func (h Heartbeat) Validate() error {
	switch {
	case h.Interval < 0:
		return fmt.Errorf("heartbeat interval %v is negative: give a time such as 30s, or 0 for no pings", h.Interval)
	case h.Timeout < 0:
		return fmt.Errorf("heartbeat timeout %v is negative: give a time such as 15s, or 0 for half the interval", h.Timeout)
	case h.Interval == 0 && h.Timeout > 0:
		return fmt.Errorf("heartbeat timeout %v without an interval: nothing is pinged, so give an interval such as %v, or leave the timeout out", h.Timeout, 2*h.Timeout)
	case !(h.Jitter < 1):
		return fmt.Errorf("heartbeat jitter %v is not below 1: it is a share of the interval, such as 0.1", h.Jitter)
	}
	return nil
}

func (h *Heartbeat) timeout() time.Duration {
	if h.Timeout == 0 {
		return h.Interval / 2
	}
	return h.Timeout
}

func (h *Heartbeat) jitter() float64 {
	if h.Jitter == 0 {
		return DefaultHeartbeatJitter
	}
	return h.Jitter
}

// wait draws the time to the next ping.
func (h *Heartbeat) wait() time.Duration { return Jitter(h.Interval, h.jitter()) }
