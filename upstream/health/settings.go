package health

import (
	"errors"
	"fmt"
	"time"
)

// Settings are what the score is made of, and what follows from it. Zero fields stand for their defaults.
type Settings struct {
	// RTTThreshold is the round trip that 95 % should not exceed. Up to it the part of the round trips is whole; at twice as much, nothing is left of it. 0: 100 ms.
	RTTThreshold time.Duration
	// Window is how far back round trips count. 0: 10 s.
	Window time.Duration
	// Sample is how often each backend is pinged to measure the round trip, on one of its links, beside the heartbeats. 20 samples make a window by default, so one
	// slow answer alone is among the 5 % that do not count. 0: 500 ms.
	Sample time.Duration
	// Weights are the parts of the round trips, the failures and the TLS handshakes in the score. All zero: 40, 35, 25.
	Weights Weights
	// Threshold is the score, from 0 to 100, below which a backend takes nothing new. 0: 85.
	Threshold float64
	// Hysteresis is how much above the threshold it must come to take traffic again. 0: 5. Negative: none.
	Hysteresis float64
	// Failures is how many in a row take the whole part of the failures, and make the backend unfit at once, whatever the score. 0: 3.
	Failures int
	// Decay is the time in which a failure, or the outcome of a handshake, loses half of its weight. 0: 30 s.
	Decay time.Duration
	// Stable is how long a backend must have been up without a failure to end a row of them. 0: 10 s.
	Stable time.Duration
}

// Weights are the parts of the score, in relation to each other.
type Weights struct{ RTT, Failures, TLS float64 }

// WithDefaults returns the settings with zero fields replaced by the defaults.
func (s Settings) WithDefaults() Settings {
	for _, d := range []struct {
		to  *time.Duration
		def time.Duration
	}{
		{&s.RTTThreshold, 100 * time.Millisecond},
		{&s.Window, 10 * time.Second},
		{&s.Sample, 500 * time.Millisecond},
		{&s.Decay, 30 * time.Second},
		{&s.Stable, 10 * time.Second},
	} {
		if *d.to == 0 {
			*d.to = d.def
		}
	}
	if s.Weights == (Weights{}) {
		s.Weights = Weights{RTT: 40, Failures: 35, TLS: 25}
	}
	if s.Threshold == 0 {
		s.Threshold = 85
	}
	if s.Hysteresis == 0 {
		s.Hysteresis = 5
	}
	if s.Failures == 0 {
		s.Failures = 3
	}
	return s
}

// Validate says what is wrong with the settings, defaults filled in, and what would be right.
func (s Settings) Validate() error {
	s = s.WithDefaults()
	for _, d := range []struct {
		name    string
		value   time.Duration
		min     time.Duration
		example string
	}{
		{"rtt_threshold", s.RTTThreshold, time.Microsecond, "100ms"},
		{"window", s.Window, time.Second, "10s"},
		{"sample", s.Sample, 50 * time.Millisecond, "500ms"},
		{"decay", s.Decay, time.Second, "30s"},
	} {
		if d.value < d.min {
			return fmt.Errorf("health %s %v is too short: give %v or more, such as %s", d.name, d.value, d.min, d.example)
		}
	}
	w := s.Weights
	switch {
	case s.Sample > s.Window:
		return fmt.Errorf("health sample %v is longer than window %v, so there would be nothing to judge by: give %v or less", s.Sample, s.Window, s.Window)
	case !(w.RTT >= 0 && w.Failures >= 0 && w.TLS >= 0 && w.RTT+w.Failures+w.TLS > 0):
		return fmt.Errorf("health weights %v %v %v: give three numbers from 0 up, not all 0, such as 40 35 25 for round trips, failures and TLS handshakes", w.RTT, w.Failures, w.TLS)
	case !(s.Threshold > 0 && s.Threshold <= 100):
		return fmt.Errorf("health threshold %v is not a score: give a number above 0 and up to 100, such as 85", s.Threshold)
	case s.Failures < 1:
		return errors.New("health failures is below 1: give the number in a row that makes a backend unfit at once, such as 3")
	}
	return nil
}

// enough is the score from which a backend that was unfit takes traffic again.
func (s *Settings) enough() float64 { return min(100, s.Threshold+max(0, s.Hysteresis)) }
