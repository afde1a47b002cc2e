package keepalive

import (
	"math"
	"testing"
	"time"
	"unsafe"
)

// t0 is where most tests start. It has no monotonic reading, like every time
// in a synctest bubble; [stepWall] covers the other kind.
var t0 = time.Date(2026, time.March, 29, 1, 59, 0, 0, time.UTC)

const (
	ms   = time.Millisecond
	sec  = time.Second
	zero = time.Duration(0)
)

// stepWall returns t as it would read had the wall clock been set forward by
// whole seconds: the monotonic reading stays. There is no way to make such a
// time with package time, so it reaches for the wall seconds inside.
func stepWall(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	stepped := at
	*(*uint64)(unsafe.Pointer(&stepped)) += uint64(seconds) << 30
	if stepped.Sub(at) != 0 || stepped.Unix()-at.Unix() != seconds {
		t.Fatalf("the layout of time.Time is not what this test knows: %v became %v", at, stepped)
	}
	return stepped
}

func TestInstantRoundTrip(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		in   time.Time
	}{
		{"wall only", t0},
		{"with a monotonic reading", time.Now()},
		{"before the program", epoch.Add(-24 * time.Hour)},
		{"the clock of a synctest bubble", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		if got := at(tt.in).time(); !got.Equal(tt.in) {
			t.Errorf("%s: %v became %v", tt.name, tt.in, got)
		}
	}
}

func TestInstantIsZeroForNoMomentOnly(t *testing.T) {
	t.Parallel()
	if at(epoch) == 0 {
		t.Error("the epoch itself became no moment")
	}
	if got := instant(-5).after(5); got == 0 {
		t.Error("a sum at the epoch became no moment")
	}
	if got := instant(0).time(); !got.IsZero() {
		t.Errorf("no moment became %v", got)
	}
}

func TestInstantDoesNotOverflow(t *testing.T) {
	t.Parallel()
	now := epoch.Add(time.Hour)
	far := at(now).after(math.MaxInt64)
	if far < at(now) {
		t.Errorf("292 years after %v is %d, before it", now, far)
	}
	if !far.time().After(now) {
		t.Errorf("292 years after %v is %v", now, far.time())
	}
	if at(time.Time{}) >= at(t0) || at(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)) <= at(t0) {
		t.Error("times out of range are not in order with those within")
	}
}

func TestInstantIgnoresStepsOfTheWallClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if a, b := at(now), at(stepWall(t, now, 3600)); a != b {
		t.Errorf("a step of the wall clock by 1 h moved an instant by %v", time.Duration(b-a))
	}
}

func TestEarliest(t *testing.T) {
	t.Parallel()
	early, late, never := t0, t0.Add(sec), time.Time{}
	for _, tt := range []struct {
		name       string
		a, b, want time.Time
	}{
		{"first", early, late, early},
		{"second", late, early, early},
		{"same", early, early, early},
		{"a never", never, late, late},
		{"b never", late, never, late},
		{"both never", never, never, never},
	} {
		if got := Earliest(tt.a, tt.b); !got.Equal(tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if got := earliest(instantOrNone(tt.a), instantOrNone(tt.b)); got != instantOrNone(tt.want) {
			t.Errorf("%s, as instants: got %v, want %v", tt.name, got.time(), tt.want)
		}
	}
}

func instantOrNone(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return at(t)
}

// There are tens of thousands of connections: what one of them costs is part of
// the contract.
func TestStateIsLean(t *testing.T) {
	t.Parallel()
	if got := unsafe.Sizeof(Pinger{}); got > 80 {
		t.Errorf("a Pinger takes %d bytes, more than 80", got)
	}
	if got := unsafe.Sizeof(Watch{}); got > 32 {
		t.Errorf("a Watch takes %d bytes, more than 32", got)
	}
}
