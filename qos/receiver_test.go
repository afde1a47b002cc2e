package qos

import (
	"math"
	"testing"
)

func TestNext(t *testing.T) {
	for _, tt := range []struct{ last, want uint64 }{
		{0, 1},
		{1, 2},
		{math.MaxUint32 - 1, math.MaxUint32},
		{math.MaxUint32, 1<<32 + 1},
		{7<<32 + math.MaxUint32, 8<<32 + 1},
	} {
		if got := Next(tt.last); got != tt.want {
			t.Errorf("after %#x comes %#x, want %#x", tt.last, got, tt.want)
		}
	}
}

func TestExpand(t *testing.T) {
	const wrap = 1 << 32
	for _, tt := range []struct {
		name      string
		last      uint64
		id        uint32
		full      uint64
		above, ok bool
	}{
		{"no id", 5, 0, 0, false, false},
		{"the first", 0, 1, 1, true, true},
		{"the first, of whatever number", 0, math.MaxUint32, math.MaxUint32, true, true},
		{"the next", 5, 6, 6, true, true},
		{"after a gap", 5, 5 + 1<<31 - 1, 5 + 1<<31 - 1, true, true},
		{"too far ahead", 5, 5 + 1<<31, 0, false, false},
		{"the same", 5, 5, 5, false, true},
		{"before", 5, 1, 1, false, true},
		{"round the corner", wrap - 1, 1, wrap + 1, true, true},
		{"back round the corner", wrap + 1, math.MaxUint32, wrap - 1, false, true},
		{"long round it", 3*wrap + 7, 6, 3*wrap + 6, false, true},
		{"as far behind as may be", wrap + 7, 1<<31 + 7, 1<<31 + 7, false, true},
	} {
		full, above, ok := Expand(tt.last, tt.id)
		if full != tt.full || above != tt.above || ok != tt.ok {
			t.Errorf("%s: %d, %v, %v; want %d, %v, %v", tt.name, full, above, ok, tt.full, tt.above, tt.ok)
		}
	}
}

func TestReceiver(t *testing.T) {
	r := NewReceiver(10)
	take := func(id uint32, dup bool, full uint64, want Verdict) {
		t.Helper()
		if got, v := r.Take(id, dup); v != want || got != full {
			t.Errorf("%d, DUP %v: message %d, verdict %d; want %d, %d", id, dup, got, v, full, want)
		}
	}
	release := func(id uint32, want bool) {
		t.Helper()
		if r.Release(id) != want {
			t.Errorf("the release of %d: want %v", id, want)
		}
	}
	take(0, true, 0, Violation)
	take(10, false, 0, Violation)
	take(10, true, 10, Duplicate)
	take(11, false, 11, New)
	take(13, true, 13, New)
	take(11, true, 11, Pending)
	release(10, true)
	release(11, false)
	release(14, false)
	release(0, false)
	r.Safe(11)
	take(11, true, 11, Duplicate)
	take(13, true, 13, Pending)
	take(1<<31+100, true, 0, Violation)
	release(11, true)
	release(13, false)
	if r.Last() != 11 {
		t.Errorf("last %d", r.Last())
	}

	// 13 could not be stored.
	r.Refuse()
	take(14, false, 14, Refused)
	take(13, true, 13, Refused)
	take(11, true, 11, Duplicate)
	r.Safe(20)
	if r.Last() != 11 {
		t.Errorf("after a refusal: last %d", r.Last())
	}
}
