package health

import (
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	c := Check{Fall: 3, Rise: 2}
	for i, tt := range []struct{ ok, changed, down bool }{
		{true, false, false},
		{false, false, false},
		{false, false, false},
		{true, false, false}, // the row is broken
		{false, false, false},
		{false, false, false},
		{false, true, true},
		{false, false, true},
		{true, false, true},
		{false, false, true}, // luck
		{true, false, true},
		{true, true, false},
		{false, false, false},
	} {
		if changed := c.Note(tt.ok); changed != tt.changed || c.Down() != tt.down {
			t.Errorf("%d: changed %v, down %v, want %v, %v", i, changed, c.Down(), tt.changed, tt.down)
		}
	}
	for range 3 {
		c.Note(false)
	}
	if c.Clear(); c.Down() {
		t.Error("an operator's word does not bring it up")
	}
	var none Check
	for range 10 {
		if none.Note(false) || none.Down() {
			t.Fatal("a check that nobody asked for takes a backend out")
		}
	}
}

func TestEjection(t *testing.T) {
	e := Ejection{Base: 30 * time.Second, Max: 100 * time.Second}
	now := begin
	for i, want := range []time.Duration{30 * time.Second, 60 * time.Second, 90 * time.Second, 100 * time.Second} {
		if got := e.Eject(now).Sub(now); got != want || e.Times() != i+1 {
			t.Errorf("time %d: put aside for %v, want %v", e.Times(), got, want)
		}
		if now = e.Until(); e.Out(now) || !e.Out(now.Add(-1)) {
			t.Errorf("out %v at the end, %v before", e.Out(now), e.Out(now.Add(-1)))
		}
		now = now.Add(time.Second) // it fails again soon after
	}
	defer func() {
		if e.End(); e.Out(now) || e.Times() != 0 {
			t.Error("an operator's word does not bring it back")
		}
	}()
	if now = e.Until().Add(100 * time.Second); e.Eject(now).Sub(now) != 30*time.Second {
		t.Errorf("after it was well for as long, it is put aside for %v", e.Until().Sub(now))
	}
}

func TestRamp(t *testing.T) {
	for _, tt := range []struct {
		since time.Duration
		want  int
	}{{0, 2}, {ms, 2}, {3 * time.Second, 2}, {15 * time.Second, 10}, {29 * time.Second, 19}, {30 * time.Second, RampSteps}, {time.Hour, RampSteps}} {
		if got := Ramp(begin, begin.Add(tt.since), 30*time.Second); got != tt.want {
			t.Errorf("after %v: %d, want %d", tt.since, got, tt.want)
		}
	}
}

func TestRate(t *testing.T) {
	r := NewRate(100, 0)
	take := func(after time.Duration, n int) time.Duration { return r.Take(begin.Add(after), n) }
	for i := range 100 {
		if wait := take(0, 1); wait != 0 {
			t.Fatalf("number %d waits %v", i, wait)
		}
	}
	for _, tt := range []struct {
		after time.Duration
		n     int
		wait  time.Duration
	}{
		{0, 1, 10 * ms},
		{4 * ms, 1, 6 * ms},
		{10 * ms, 1, 0},
		{10 * ms, 1, 10 * ms},
		{60 * ms, 5, 0},
		{60 * ms, 5, 50 * ms},
		{5 * time.Second, 500, 0},
		{5 * time.Second, 1, 4010 * ms},
		{9 * time.Second, 1, 10 * ms},
		{9010 * ms, 1, 0},
		{9010 * ms, 0, 0},
	} {
		if got := take(tt.after, tt.n); got != tt.wait {
			t.Errorf("%d after %v: wait %v, want %v", tt.n, tt.after, got, tt.wait)
		}
	}
	slow := NewRate(0.5, 0)
	if a, b := slow.Take(begin, 1), slow.Take(begin, 1); a != 0 || b != 2*time.Second {
		t.Errorf("one in two seconds: waits %v and %v", a, b)
	}
	few := NewRate(10, 2)
	if a, b, c := few.Take(begin, 1), few.Take(begin, 1), few.Take(begin, 1); a != 0 || b != 0 || c != 100*ms {
		t.Errorf("a burst of two: waits %v, %v and %v", a, b, c)
	}
	if NewRate(0, 0).Take(begin, 1<<30) != 0 {
		t.Error("no limit limits")
	}
}

// Whatever the number of goroutines, no more goes through than may.
func TestRateOfMany(t *testing.T) {
	r := NewRate(1000, 0)
	taken := make(chan int)
	for range 8 {
		go func() {
			n := 0
			for range 1000 {
				if r.Take(begin, 1) == 0 {
					n++
				}
			}
			taken <- n
		}()
	}
	total := 0
	for range 8 {
		total += <-taken
	}
	if total != 1000 {
		t.Errorf("%d went through, want 1000", total)
	}
}

func TestSettings(t *testing.T) {
	for _, tt := range []struct {
		set  Settings
		want string
	}{
		{Settings{}, ""},
		{Settings{Hysteresis: -1}, ""},
		{Settings{RTTThreshold: -1}, "health rtt_threshold -1ns is too short: give 1µs or more, such as 100ms"},
		{Settings{Window: 10 * ms}, "health window 10ms is too short: give 1s or more"},
		{Settings{Sample: ms}, "health sample 1ms is too short: give 50ms or more"},
		{Settings{Sample: time.Minute}, "health sample 1m0s is longer than window 10s"},
		{Settings{Decay: ms}, "health decay 1ms is too short"},
		{Settings{Weights: Weights{-1, 2, 3}}, "health weights -1 2 3: give three numbers"},
		{Settings{Threshold: 101}, "health threshold 101 is not a score"},
		{Settings{Failures: -1}, "health failures is below 1"},
	} {
		err := tt.set.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%+v: error %v does not say %q", tt.set, err, tt.want)
		}
	}
}
