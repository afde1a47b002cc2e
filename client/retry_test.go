package client

import (
	"math"
	"strings"
	"testing"
	"time"
)

// evenly is the protocol's way back without chance.
var evenly = Reconnect{Jitter: -1}

var retryStart = time.Date(2026, time.March, 29, 1, 59, 0, 0, time.UTC)

func TestRetryWaits(t *testing.T) {
	t.Parallel()
	const (
		s  = time.Second
		ms = time.Millisecond
		us = time.Microsecond
	)
	for _, tt := range []struct {
		name  string
		r     Reconnect
		want  []time.Duration // after each failure in a row
		pause []int           // which of them are pauses
	}{
		{
			name: "1 s, by 1.5, to 30 s",
			r:    Reconnect{Jitter: -1, Attempts: -1},
			want: []time.Duration{
				1 * s, 1500 * ms, 2250 * ms, 3375 * ms, 5062500 * us, 7593750 * us, 11390625 * us,
				17085937500, 25628906250, 30 * s, 30 * s, 30 * s,
			},
		},
		{
			// The waits go on where they were: a pause proves nothing.
			name: "a pause after each five",
			r:    evenly,
			want: []time.Duration{
				1 * s, 1500 * ms, 2250 * ms, 3375 * ms, 5 * time.Minute,
				5062500 * us, 7593750 * us, 11390625 * us, 17085937500, 5 * time.Minute,
				25628906250, 30 * s, 30 * s, 30 * s, 5 * time.Minute,
			},
			pause: []int{4, 9, 14},
		},
		{
			name:  "its own numbers",
			r:     Reconnect{Initial: 100 * ms, Factor: 2, Max: 500 * ms, Jitter: -1, Attempts: 4, Pause: s},
			want:  []time.Duration{100 * ms, 200 * ms, 400 * ms, s, 500 * ms, 500 * ms, 500 * ms, s},
			pause: []int{3, 7},
		},
		{
			name: "even waits",
			r:    Reconnect{Initial: 2 * s, Factor: 1, Jitter: -1, Attempts: -1},
			want: []time.Duration{2 * s, 2 * s, 2 * s},
		},
		{
			name:  "nothing but pauses",
			r:     Reconnect{Jitter: -1, Attempts: 1, Pause: time.Minute},
			want:  []time.Duration{time.Minute, time.Minute},
			pause: []int{0, 1},
		},
		{
			name: "a factor beyond all bounds",
			r:    Reconnect{Factor: math.Inf(1), Jitter: -1, Attempts: -1},
			want: []time.Duration{s, 30 * s, 30 * s},
		},
		{
			name: "the longest max",
			r:    Reconnect{Factor: 1e300, Max: math.MaxInt64, Jitter: -1, Attempts: -1},
			want: []time.Duration{s, math.MaxInt64, math.MaxInt64},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.r.Validate(); err != nil {
				t.Fatal(err)
			}
			retry := NewRetry(tt.r)
			now := retryStart
			pauses := tt.pause
			for i, want := range tt.want {
				wait, paused := retry.Failed(now)
				if wait != want {
					t.Errorf("after failure %d: wait %v, want %v", i+1, wait, want)
				}
				wantPaused := len(pauses) > 0 && pauses[0] == i
				if wantPaused {
					pauses = pauses[1:]
				}
				if paused != wantPaused {
					t.Errorf("after failure %d: pause is %t, want %t", i+1, paused, wantPaused)
				}
				if retry.Failures() != i+1 {
					t.Errorf("after failure %d: counted %d", i+1, retry.Failures())
				}
				if got := retry.NextAt(); !got.Equal(now.Add(want)) {
					t.Errorf("after failure %d: next dial at %v, want %v", i+1, got, now.Add(want))
				}
				now = now.Add(min(wait, time.Hour))
			}
		})
	}
}

func TestRetryJittersEveryWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		failures int
		min, max time.Duration
		paused   bool
	}{
		{"the first", 1, 500 * time.Millisecond, 1500 * time.Millisecond, false},
		{"the second", 2, 750 * time.Millisecond, 2250 * time.Millisecond, false},
		{"the longest", 14, 15 * time.Second, 45 * time.Second, false},
		{"the pause", 5, 150 * time.Second, 450 * time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := map[time.Duration]bool{}
			for range 500 {
				retry := NewRetry(Reconnect{})
				var wait time.Duration
				var paused bool
				for range tt.failures {
					wait, paused = retry.Failed(retryStart)
				}
				if wait < tt.min || wait > tt.max {
					t.Fatalf("%v, want from %v to %v", wait, tt.min, tt.max)
				}
				if paused != tt.paused {
					t.Fatalf("pause is %t, want %t", paused, tt.paused)
				}
				if !retry.NextAt().Equal(retryStart.Add(wait)) {
					t.Fatalf("next dial after %v, but told to wait %v", retry.NextAt().Sub(retryStart), wait)
				}
				seen[wait] = true
			}
			if len(seen) < 490 {
				t.Errorf("only %d different waits of 500", len(seen))
			}
		})
	}
}

// The waits grow from what they are before jitter, or bad luck would add up.
func TestRetryJitterDoesNotAddUp(t *testing.T) {
	t.Parallel()
	for range 200 {
		retry := NewRetry(Reconnect{Attempts: -1})
		want := float64(time.Second)
		for i := range 20 {
			wait, _ := retry.Failed(retryStart)
			if f := float64(wait); f < 0.5*want-1 || f > 1.5*want+1 {
				t.Fatalf("failure %d: wait %v, want %v ± half", i+1, wait, time.Duration(want))
			}
			want = min(want*1.5, float64(30*time.Second))
		}
	}
}

func TestRetryIsStartedOverByAStableConnectionOnly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		up       time.Duration
		wait     time.Duration // when it ends, after three failed dials
		failures int
		next     time.Duration // when the dial after that fails
	}{
		{"at once", 0, 3375 * time.Millisecond, 4, 5 * time.Minute},
		{"just not long enough", 10*time.Second - 1, 3375 * time.Millisecond, 4, 5 * time.Minute},
		{"just long enough", 10 * time.Second, time.Second, 0, 1500 * time.Millisecond},
		{"for a day", 24 * time.Hour, time.Second, 0, 1500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			retry := NewRetry(evenly)
			for range 3 {
				retry.Failed(retryStart)
			}
			retry.Up(retryStart)
			if retry.Failures() != 3 {
				t.Errorf("a dial that succeeded made %d failures of 3", retry.Failures())
			}
			wait, paused := retry.Down(retryStart.Add(tt.up))
			if wait != tt.wait || paused || retry.Failures() != tt.failures {
				t.Errorf("up for %v: wait %v, pause %t, %d failures; want %v, false, %d",
					tt.up, wait, paused, retry.Failures(), tt.wait, tt.failures)
			}
			if wait, _ := retry.Failed(retryStart); wait != tt.next {
				t.Errorf("then a failed dial: wait %v, want %v", wait, tt.next)
			}
		})
	}
}

// A backend that accepts and hangs up is no better than one that refuses.
func TestRetryPausesForABackendThatHangsUp(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	now := retryStart
	for i := range 5 {
		if !retry.Ready(now) {
			t.Fatalf("dial %d: not ready at its time", i+1)
		}
		retry.Up(now)
		wait, paused := retry.Down(now.Add(time.Second))
		if paused != (i == 4) {
			t.Errorf("after dial %d: pause is %t", i+1, paused)
		}
		now = now.Add(time.Second + wait)
	}
}

// Whole rounds start over, too: five more failures to the next pause.
func TestRetryStableConnectionStartsTheRoundOver(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	for range 7 { // past the first pause
		retry.Failed(retryStart)
	}
	retry.Up(retryStart)
	retry.Down(retryStart.Add(time.Minute))
	for i := range 5 {
		if _, paused := retry.Failed(retryStart); paused != (i == 4) {
			t.Errorf("failure %d after a stable connection: pause is %t", i+1, paused)
		}
	}
}

func TestRetryReady(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	at := func(d time.Duration) time.Time { return retryStart.Add(d) }
	check := func(what string, d time.Duration, want bool) {
		t.Helper()
		if got := retry.Ready(at(d)); got != want {
			t.Errorf("%s, at %v: ready is %t, want %t", what, d, got, want)
		}
	}
	check("before the first dial", 0, true)
	if !retry.NextAt().IsZero() {
		t.Errorf("before the first dial: next at %v, want at once", retry.NextAt())
	}

	retry.Failed(at(0))
	check("while waiting", time.Second-1, false)
	check("when the wait is over", time.Second, true)

	retry.Up(at(time.Second))
	check("while up", time.Hour, false)
	if !retry.NextAt().IsZero() {
		t.Errorf("while up: next dial at %v, want none", retry.NextAt())
	}

	retry.Down(at(time.Hour))
	check("after the loss", time.Hour, false)
	check("a second after the loss", time.Hour+time.Second, true)
}

func TestRetryDownWithoutUpIsAFailure(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	if wait, paused := retry.Down(retryStart); wait != time.Second || paused || retry.Failures() != 1 {
		t.Errorf("wait %v, pause %t, %d failures; want 1s, false, 1", wait, paused, retry.Failures())
	}
	// The time up is spent with the connection: a second Down finds none.
	retry.Up(retryStart)
	retry.Down(retryStart.Add(time.Minute))
	if wait, _ := retry.Down(retryStart.Add(2 * time.Minute)); wait != 1500*time.Millisecond || retry.Failures() != 1 {
		t.Errorf("wait %v, %d failures; want 1.5s, 1", wait, retry.Failures())
	}
}

func TestRetryFailedEndsAConnection(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	retry.Up(retryStart)
	retry.Failed(retryStart)
	if !retry.Ready(retryStart.Add(time.Second)) {
		t.Error("still taken for up after a failure")
	}
}

func TestRetryReset(t *testing.T) {
	t.Parallel()
	retry := NewRetry(evenly)
	for range 5 {
		retry.Failed(retryStart)
	}
	retry.Reset()
	if !retry.Ready(retryStart) || retry.Failures() != 0 || !retry.NextAt().IsZero() {
		t.Errorf("ready %t, %d failures, next at %v; want true, 0, at once",
			retry.Ready(retryStart), retry.Failures(), retry.NextAt())
	}
	if wait, paused := retry.Failed(retryStart); wait != time.Second || paused {
		t.Errorf("wait %v, pause %t; want 1s, false", wait, paused)
	}
}

func TestReconnectDefaults(t *testing.T) {
	t.Parallel()
	want := Reconnect{
		Strategy: Exponential, Initial: time.Second, Factor: 1.5, Max: 30 * time.Second, Jitter: 0.5,
		Attempts: 5, Pause: 5 * time.Minute, Stable: 10 * time.Second,
	}
	if got := (Reconnect{}).WithDefaults(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	own := Reconnect{
		Strategy: Fixed, Initial: 2, Factor: 3, Max: 4, Jitter: -1, Attempts: -1, Pause: 5, Stable: 6,
	}
	if got := own.WithDefaults(); got != own {
		t.Errorf("%+v became %+v", own, got)
	}
}

func TestReconnectValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    Reconnect
		want []string // what the sentence must name; none: valid
	}{
		{Reconnect{}, nil},
		{Reconnect{Jitter: -1, Attempts: -1}, nil},
		{Reconnect{Initial: 30 * time.Second}, nil},
		{Reconnect{Factor: 1}, nil},
		{Reconnect{Initial: -1}, []string{"initial -1ns is negative", "1s"}},
		{Reconnect{Max: -1}, []string{"max -1ns is negative", "30s"}},
		{Reconnect{Pause: -1}, []string{"pause -1ns is negative", "5m"}},
		{Reconnect{Stable: -1}, []string{"stable -1ns is negative", "10s"}},
		{Reconnect{Initial: time.Minute}, []string{"max 30s is shorter than initial 1m0s"}},
		{Reconnect{Max: time.Millisecond}, []string{"max 1ms is shorter than initial 1s"}},
		{Reconnect{Factor: 0.5}, []string{"factor 0.5", "1.5"}},
		{Reconnect{Factor: -2}, []string{"factor -2"}},
		{Reconnect{Factor: math.NaN()}, []string{"factor NaN"}},
		{Reconnect{Jitter: 1}, []string{"jitter 1 is not below 1", "0.5"}},
		{Reconnect{Jitter: math.NaN()}, []string{"jitter NaN"}},
	} {
		err := tt.r.Validate()
		switch {
		case len(tt.want) == 0 && err != nil:
			t.Errorf("%+v: refused: %v", tt.r, err)
		case len(tt.want) > 0 && err == nil:
			t.Errorf("%+v: accepted, want a sentence with %q", tt.r, tt.want)
		case err != nil:
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%+v: %q does not say %q", tt.r, err, w)
				}
			}
		}
	}
}

// Fixed waits are all the same, and pauses are as ever; with none there is no next dial.
func TestStrategies(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		settings Reconnect
		want     []time.Duration
	}{
		{Reconnect{}, []time.Duration{1000 * time.Millisecond, 1500 * time.Millisecond, 2250 * time.Millisecond, 3375 * time.Millisecond, 5 * time.Minute, 5062500 * time.Microsecond}},
		{Reconnect{Strategy: Exponential, Max: 2 * time.Second, Attempts: -1}, []time.Duration{time.Second, 1500 * time.Millisecond, 2 * time.Second, 2 * time.Second}},
		{Reconnect{Strategy: Fixed, Initial: 3 * time.Second, Attempts: 3, Pause: time.Minute}, []time.Duration{3 * time.Second, 3 * time.Second, time.Minute, 3 * time.Second}},
		{Reconnect{Strategy: NoReconnect}, []time.Duration{never, never}},
	} {
		tt.settings.Jitter = -1
		if err := tt.settings.Validate(); err != nil {
			t.Error(err)
		}
		r := NewRetry(tt.settings)
		for i, want := range tt.want {
			got, paused := r.Failed(now)
			if got != want || !r.NextAt().Equal(now.Add(want)) {
				t.Errorf("%+v: wait %d is %v, not %v", tt.settings, i, got, want)
			}
			if paused != (want >= time.Minute) {
				t.Errorf("%+v: wait %d: paused %v", tt.settings, i, paused)
			}
		}
		r.Reset()
		if !r.Ready(now) {
			t.Errorf("%+v: after Reset it is not ready", tt.settings)
		}
	}
	if err := (Reconnect{Strategy: "linear"}).Validate(); err == nil || !strings.Contains(err.Error(), "exponential, fixed or none") {
		t.Error(err)
	}
	if err := (Reconnect{Strategy: Fixed, Initial: time.Hour}).Validate(); err != nil {
		t.Errorf("fixed has no max: %v", err)
	}
}
