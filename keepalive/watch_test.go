package keepalive

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

var gatewayLimits = Limits{Idle: 45 * sec, Frame: 10 * sec}

// piece is what one read brought, for Note.
type piece uint8

const (
	wholeFrames    piece = iota // ends at a frame's end
	wholeThenPart               // at least one frame ends in it, another is open at its end
	onlyPart                    // no frame ends in it
	nothingOfFrame              // bytes that belong to no frame: skipped
)

func note(w *Watch, now time.Time, p piece) (sooner bool) {
	return w.Note(now, p == wholeFrames || p == wholeThenPart, p == wholeThenPart || p == onlyPart)
}

func TestWatch(t *testing.T) {
	t.Parallel()
	type event struct {
		at    time.Duration
		piece piece
	}
	for _, tt := range []struct {
		name   string
		limits Limits
		events []event
		end    time.Duration // when it gives up; 0: never
		err    error
	}{
		{"silent from the start", gatewayLimits, nil, 45 * sec, ErrIdle},
		{"silent after a frame", gatewayLimits, []event{{20 * sec, wholeFrames}}, 65 * sec, ErrIdle},
		{
			"pings every 30 s, and stops", gatewayLimits,
			[]event{{30 * sec, wholeFrames}, {60 * sec, wholeFrames}, {90 * sec, wholeFrames}},
			135 * sec, ErrIdle,
		},
		{"a frame held open", gatewayLimits, []event{{20 * sec, onlyPart}}, 30 * sec, ErrFrameTimeout},
		{
			"a frame dripped", gatewayLimits,
			[]event{{20 * sec, onlyPart}, {25 * sec, onlyPart}, {29 * sec, onlyPart}},
			30 * sec, ErrFrameTimeout,
		},
		{
			"a new frame begins in the piece that ends the old one", gatewayLimits,
			[]event{{20 * sec, onlyPart}, {29 * sec, wholeThenPart}},
			39 * sec, ErrFrameTimeout,
		},
		{
			"an open frame that ends in time", gatewayLimits,
			[]event{{20 * sec, onlyPart}, {29 * sec, wholeFrames}},
			74 * sec, ErrIdle,
		},
		{
			"a frame opened just before the idle timeout", gatewayLimits,
			[]event{{44 * sec, onlyPart}},
			45 * sec, ErrIdle,
		},
		{
			"both at one moment: the frame is what is wrong", gatewayLimits,
			[]event{{35 * sec, onlyPart}},
			45 * sec, ErrFrameTimeout,
		},
		{
			"bytes of no frame do not count as life", gatewayLimits,
			[]event{{40 * sec, nothingOfFrame}},
			45 * sec, ErrIdle,
		},
		{
			"skipping ends an open frame", gatewayLimits,
			[]event{{30 * sec, onlyPart}, {35 * sec, nothingOfFrame}},
			45 * sec, ErrIdle,
		},
		{"no idle limit", Limits{Frame: 10 * sec}, []event{{20 * sec, wholeFrames}}, 0, nil},
		{
			"no idle limit, a frame held open",
			Limits{Frame: 10 * sec},
			[]event{{1000 * sec, onlyPart}},
			1010 * sec, ErrFrameTimeout,
		},
		{
			"no frame limit: an open frame is as idle as none",
			Limits{Idle: 45 * sec},
			[]event{{20 * sec, onlyPart}, {40 * sec, onlyPart}},
			45 * sec, ErrIdle,
		},
		{"no limits", Limits{}, []event{{20 * sec, onlyPart}}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w Watch
			w.Start(&tt.limits, t0)
			for _, e := range tt.events {
				if err := w.Check(t0.Add(e.at)); err != nil {
					t.Fatalf("gave up before %v: %v", e.at, err)
				}
				note(&w, t0.Add(e.at), e.piece)
			}
			if tt.end == 0 {
				if d := w.Deadline(); !d.IsZero() {
					t.Errorf("deadline %v, want never", d.Sub(t0))
				}
				if err := w.Check(t0.Add(10_000 * time.Hour)); err != nil {
					t.Errorf("gave up: %v", err)
				}
				return
			}
			if got := w.Deadline().Sub(t0); got != tt.end {
				t.Errorf("deadline %v, want %v", got, tt.end)
			}
			if err := w.Check(t0.Add(tt.end - 1)); err != nil {
				t.Errorf("gave up 1ns too early: %v", err)
			}
			if err := w.Check(t0.Add(tt.end)); !errors.Is(err, tt.err) {
				t.Errorf("at %v: %v, want %v", tt.end, err, tt.err)
			}
			// However late one asks, the reason is what came about first.
			if err := w.Check(t0.Add(tt.end + time.Hour)); !errors.Is(err, tt.err) {
				t.Errorf("an hour later: %v, want %v", err, tt.err)
			}
		})
	}
}

func TestWatchZeroValueAndNilLimits(t *testing.T) {
	t.Parallel()
	var unstarted, unlimited Watch
	unlimited.Start(nil, t0)
	for name, w := range map[string]*Watch{"zero value": &unstarted, "nil limits": &unlimited} {
		if note(w, t0, onlyPart) || !w.Deadline().IsZero() || w.Check(t0.Add(time.Hour)) != nil {
			t.Errorf("%s: gives up after all", name)
		}
	}
}

func TestWatchStartForgets(t *testing.T) {
	t.Parallel()
	var w Watch
	w.Start(&gatewayLimits, t0)
	note(&w, t0.Add(sec), onlyPart)
	w.Start(&gatewayLimits, t0.Add(5*sec))
	if got := w.Deadline().Sub(t0); got != 50*sec {
		t.Errorf("deadline %v after a new start at 5s, want 50s", got)
	}
}

// Note says so when, and only when, a timer that obeys it would fire too late.
func TestWatchNoteSaysWhenTheTimerIsLate(t *testing.T) {
	t.Parallel()
	var w Watch
	w.Start(&gatewayLimits, t0) // the timer is at 45 s
	for _, e := range []struct {
		at    time.Duration
		piece piece
		want  bool
	}{
		{1 * sec, wholeFrames, false},
		{2 * sec, onlyPart, true},       // 12 s is before 45 s; the timer is at 12 s
		{3 * sec, onlyPart, false},      // it is there already
		{4 * sec, wholeThenPart, false}, // 14 s is after 12 s
		{5 * sec, wholeFrames, false},
		{6 * sec, onlyPart, false}, // 16 s is after 12 s
		{7 * sec, nothingOfFrame, false},
	} {
		if got := note(&w, t0.Add(e.at), e.piece); got != e.want {
			t.Errorf("at %v: sooner is %t, want %t", e.at, got, e.want)
		}
	}
	if err := w.Check(t0.Add(12 * sec)); err != nil { // the timer fires
		t.Fatal(err)
	}
	// now it is at 5 + 45 s
	if !note(&w, t0.Add(13*sec), onlyPart) {
		t.Error("23 s is before 50 s, but the timer was left there")
	}
}

func TestWatchSet(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		old    Limits
		open   bool // a frame is open since 38 s
		new    *Limits
		want   time.Duration // the deadline after Set at 40 s; 0: never
		reason error
	}{
		{"the same", Limits{45 * sec, 10 * sec}, false, &Limits{45 * sec, 10 * sec}, 45 * sec, ErrIdle},
		{"shorter idle counts from now", Limits{45 * sec, 0}, false, &Limits{10 * sec, 0}, 50 * sec, ErrIdle},
		{"longer idle counts from now", Limits{45 * sec, 0}, false, &Limits{60 * sec, 0}, 100 * sec, ErrIdle},
		{"idle on after an hour of silence", Limits{}, false, &Limits{45 * sec, 0}, 85 * sec, ErrIdle},
		{"idle off", Limits{45 * sec, 0}, false, &Limits{}, 0, nil},
		{"all off", Limits{45 * sec, 10 * sec}, true, nil, 0, nil},
		{"frame the same", Limits{0, 10 * sec}, true, &Limits{0, 10 * sec}, 48 * sec, ErrFrameTimeout},
		{"shorter frame counts from now", Limits{0, 10 * sec}, true, &Limits{0, sec}, 41 * sec, ErrFrameTimeout},
		{"frame on, none open", Limits{45 * sec, 0}, false, &Limits{45 * sec, sec}, 45 * sec, ErrIdle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w Watch
			w.Start(&tt.old, t0)
			if tt.open {
				note(&w, t0.Add(38*sec), onlyPart)
			}
			w.Set(tt.new, t0.Add(40*sec))
			if tt.want == 0 {
				if d := w.Deadline(); !d.IsZero() {
					t.Errorf("deadline %v, want never", d.Sub(t0))
				}
				return
			}
			if got := w.Deadline().Sub(t0); got != tt.want {
				t.Errorf("deadline %v, want %v", got, tt.want)
			}
			if err := w.Check(t0.Add(tt.want)); !errors.Is(err, tt.reason) {
				t.Errorf("got %v, want %v", err, tt.reason)
			}
		})
	}
}

// Set is followed by setting the timer, so it is what Note compares with.
func TestWatchSetMovesTheTimer(t *testing.T) {
	t.Parallel()
	var w Watch
	w.Start(&gatewayLimits, t0) // the timer is at 45 s
	w.Set(&Limits{Idle: 100 * sec, Frame: 20 * sec}, t0.Add(40*sec))
	// now it is at 140 s
	if !note(&w, t0.Add(41*sec), onlyPart) {
		t.Error("61 s is before 140 s, but the timer was left there")
	}
	w.Set(&Limits{Idle: 100 * sec, Frame: 5 * sec}, t0.Add(42*sec))
	// now it is at 47 s
	if note(&w, t0.Add(43*sec), wholeThenPart) {
		t.Error("48 s is not before 47 s, but the timer was to be moved")
	}
}

func TestWatchMeasuresOnTheMonotonicClock(t *testing.T) {
	t.Parallel()
	var w Watch
	start := time.Now()
	w.Start(&gatewayLimits, start)
	if err := w.Check(stepWall(t, start.Add(44*sec), 7200)); err != nil {
		t.Errorf("the wall clock was set, and the peer given up: %v", err)
	}
	if err := w.Check(stepWall(t, start.Add(45*sec), -7200)); !errors.Is(err, ErrIdle) {
		t.Errorf("the wall clock was set, and the peer kept: %v", err)
	}
}

// TestWatchAgainstAModel plays random pieces to a Watch and to the two rules as
// the protocol words them, with one timer that is touched only when it must be.
// The timer must never be behind the rules: when it fires, or a piece comes,
// nothing may be overdue.
func TestWatchAgainstAModel(t *testing.T) {
	t.Parallel()
	for i := range 300 {
		// Moments are kept relative to the start of the program: try both sides.
		t0 := []time.Time{epoch.Add(-1000 * time.Hour), epoch.Add(1000 * time.Hour)}[i%2]
		limits := Limits{
			Idle:  time.Duration(rand.IntN(4)) * 20 * sec,
			Frame: time.Duration(rand.IntN(4)) * 5 * sec,
		}
		var w Watch
		w.Start(&limits, t0)
		timer := w.Deadline()

		heard, began, open := t0, time.Time{}, false
		overdue := func(now time.Time) error {
			idle := limits.Idle > 0 && now.Sub(heard) >= limits.Idle
			frame := limits.Frame > 0 && open && now.Sub(began) >= limits.Frame
			switch {
			case frame && (!idle || !began.Add(limits.Frame).After(heard.Add(limits.Idle))):
				return ErrFrameTimeout
			case idle:
				return ErrIdle
			}
			return nil
		}

		now := t0
		for range 500 {
			next := now.Add(time.Duration(rand.Int64N(int64(8 * sec))))
			for !timer.IsZero() && !timer.After(next) { // the timer fires first
				now = timer
				want := overdue(now)
				if err := w.Check(now); !errors.Is(err, want) {
					t.Fatalf("%+v: at %v Check says %v, the rules say %v", limits, now.Sub(t0), err, want)
				}
				if want != nil {
					break
				}
				timer = w.Deadline()
			}
			if overdue(now) != nil {
				break
			}
			now = next
			if err := overdue(now); err != nil {
				t.Fatalf("%+v: at %v the rules say %v, but the timer is at %v", limits, now.Sub(t0), err, timer)
			}
			p := piece(rand.IntN(4))
			if p == wholeFrames || p == wholeThenPart {
				heard = now
			}
			switch p {
			case wholeThenPart:
				began, open = now, true
			case onlyPart:
				if !open {
					began, open = now, true
				}
			default:
				open = false
			}
			if note(&w, now, p) {
				if d := w.Deadline(); !timer.IsZero() && !d.Before(timer) {
					t.Fatalf("told to move the timer from %v to %v", timer.Sub(t0), d.Sub(t0))
				}
				timer = w.Deadline()
			}
		}
	}
}

func TestLimitsValidate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		limits Limits
		want   []string
	}{
		{Limits{}, nil},
		{gatewayLimits, nil},
		{Limits{Idle: -sec}, []string{"idle timeout -1s", "45s"}},
		{Limits{Frame: -sec}, []string{"frame timeout -1s", "10s"}},
	} {
		checkSentence(t, tt.limits.Validate(), tt.want)
	}
}

func BenchmarkNote(b *testing.B) {
	var w Watch
	now := time.Now()
	w.Start(&gatewayLimits, now)
	for b.Loop() {
		w.Note(now, true, false)
	}
}
