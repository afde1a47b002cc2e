package health

import (
	"testing"
	"time"
)

// begin is no round number, so that slots begin somewhere within the tests.
var begin = time.Date(2026, 11, 22, 3, 4, 5, 123456789, time.UTC)

const ms = time.Millisecond

func TestP95(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rtts    []time.Duration // 500 ms apart, the last one now
		awaited time.Duration
		want    time.Duration
		samples int
	}{
		{"nothing", nil, 0, 0, 0},
		{"one", []time.Duration{7 * ms}, 0, 7 * ms, 1},
		{"few: the greatest", []time.Duration{5 * ms, 90 * ms, 6 * ms}, 0, 90 * ms, 3},
		{"one of twenty does not count", append(repeat(5*ms, 18), 900*ms, 6*ms), 0, 6 * ms, 20},
		{"two of twenty do", append(repeat(5*ms, 18), 900*ms, 800*ms), 0, 800 * ms, 20},
		{"what is old does not", append(repeat(900*ms, 50), repeat(5*ms, 24)...), 0, 5 * ms, 20},
		{"an answer that does not come", repeat(5*ms, 10), 300 * ms, 300 * ms, 11},
		{"one that is no later than others", repeat(5*ms, 10), 4 * ms, 5 * ms, 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var w window
			for i, d := range tt.rtts {
				w.add(begin.Add(-time.Duration(len(tt.rtts)-1-i)*500*ms), 10*time.Second, d)
			}
			got, samples := w.p95(begin, 10*time.Second, tt.awaited)
			// The window moves in tenths: it is up to one of them longer.
			if got != tt.want || samples < tt.samples || samples > tt.samples+2 {
				t.Errorf("%v of %d samples, want %v of %d", got, samples, tt.want, tt.samples)
			}
		})
	}
}

func repeat(d time.Duration, n int) []time.Duration {
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d
	}
	return all
}

// Of many samples each has the same chance to count, and their number costs nothing.
func TestP95OfMany(t *testing.T) {
	var w window
	const n = 100000
	for i := range n { // a quarter is slow
		d := 10 * ms
		if i%4 == 0 {
			d = 200 * ms
		}
		w.add(begin.Add(time.Duration(i)*9*time.Second/n), 10*time.Second, d)
	}
	got, samples := w.p95(begin.Add(9*time.Second), 10*time.Second, 0)
	if got != 200*ms || samples > (slots+1)*perSlot {
		t.Errorf("p95 %v of %d samples", got, samples)
	}
	if n := testing.AllocsPerRun(100, func() {
		w.add(begin, 10*time.Second, ms)
		w.p95(begin, 10*time.Second, 0)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
