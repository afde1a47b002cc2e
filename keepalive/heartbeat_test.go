package keepalive

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestHeartbeatDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		in, want Heartbeat
	}{
		{"the protocol's", Heartbeat{Interval: 30 * sec}, Heartbeat{30 * sec, 15 * sec, 0.1}},
		{"nothing left out", Heartbeat{30 * sec, 40 * sec, 0.2}, Heartbeat{30 * sec, 40 * sec, 0.2}},
		{"without jitter", Heartbeat{10 * sec, sec, -1}, Heartbeat{10 * sec, sec, -1}},
		{"off", Heartbeat{}, Heartbeat{0, 0, 0.1}},
	} {
		if got := tt.in.WithDefaults(); got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestHeartbeatWaits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		h        Heartbeat
		min, max time.Duration
	}{
		{"a tenth by default", Heartbeat{Interval: 30 * sec}, 27 * sec, 33 * sec},
		{"as set", Heartbeat{Interval: 30 * sec, Jitter: 0.5}, 15 * sec, 45 * sec},
		{"none", Heartbeat{Interval: 30 * sec, Jitter: -1}, 30 * sec, 30 * sec},
	} {
		for range 1000 {
			if got := tt.h.wait(); got < tt.min || got > tt.max {
				t.Fatalf("%s: waits %v, not from %v to %v", tt.name, got, tt.min, tt.max)
			}
		}
	}
}

func TestHeartbeatValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		h    Heartbeat
		want []string // what the sentence must name; none: valid
	}{
		{Heartbeat{}, nil},
		{Heartbeat{Interval: 30 * sec}, nil},
		{Heartbeat{30 * sec, 15 * sec, 0.1}, nil},
		{Heartbeat{5 * sec, 15 * sec, -1}, nil},
		{Heartbeat{Interval: -sec}, []string{"interval -1s", "30s"}},
		{Heartbeat{Interval: sec, Timeout: -sec}, []string{"timeout -1s", "15s"}},
		{Heartbeat{Timeout: 15 * sec}, []string{"timeout 15s without an interval", "30s"}},
		{Heartbeat{Interval: sec, Jitter: 1}, []string{"jitter 1", "0.1"}},
		{Heartbeat{Interval: sec, Jitter: math.NaN()}, []string{"jitter NaN"}},
	} {
		checkSentence(t, tt.h.Validate(), tt.want)
	}
}

// checkSentence checks that an error names all of want, and that there is none
// if there is nothing to name.
func checkSentence(t *testing.T, err error, want []string) {
	t.Helper()
	switch {
	case len(want) == 0 && err != nil:
		t.Errorf("refused: %v", err)
	case len(want) > 0 && err == nil:
		t.Errorf("accepted, want a sentence with %q", want)
	case err != nil:
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
	}
}
