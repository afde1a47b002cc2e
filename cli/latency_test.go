package cli

import (
	"testing"
	"time"
)

func TestLatencies(t *testing.T) {
	l := newLatencies()
	for i := range 1000 {
		l.record(time.Duration(i+1) * time.Millisecond)
	}
	if l.n != 1000 || l.shortest() != time.Millisecond || l.max != time.Second || l.mean() != 500500*time.Microsecond {
		t.Errorf("n %d, min %v, max %v, mean %v; want 1000, 1ms, 1s, 500.5ms", l.n, l.shortest(), l.max, l.mean())
	}
	for p, want := range map[float64]time.Duration{
		50: 500 * time.Millisecond, 95: 950 * time.Millisecond, 99: 990 * time.Millisecond, 99.9: 999 * time.Millisecond, 100: time.Second,
	} {
		if got := l.percentile(p); got < want || got > want+want/1000 {
			t.Errorf("p%v is %v, want %v to a thousandth", p, got, want)
		}
	}
}

// What ping prints of one round trip must not be off in any of its figures.
func TestLatenciesOfOne(t *testing.T) {
	l := newLatencies()
	const d = 123457 * time.Microsecond // not a value of the histogram
	l.record(d)
	for _, p := range []float64{50, 95, 99} {
		if got := l.percentile(p); got != d {
			t.Errorf("p%v is %v, want %v", p, got, d)
		}
	}
}

func TestLatenciesOfNone(t *testing.T) {
	l := newLatencies()
	if l.shortest() != 0 || l.mean() != 0 || l.max != 0 || l.percentile(99) != 0 {
		t.Errorf("min %v, mean %v, max %v, p99 %v; want 0 each", l.shortest(), l.mean(), l.max, l.percentile(99))
	}
}

// A clock that was set back, and a peer that took longer than the histogram reaches.
func TestLatenciesOutOfRange(t *testing.T) {
	l := newLatencies()
	l.record(-time.Second)
	l.record(2 * longest)
	if l.n != 2 || l.max != 2*longest {
		t.Errorf("n %d, max %v; want 2, %v", l.n, l.max, 2*longest)
	}
	if got := l.percentile(100); got < longest || got > 2*longest {
		t.Errorf("p100 is %v, want about %v", got, longest)
	}
}

func TestLatenciesAdd(t *testing.T) {
	sum, part := newLatencies(), newLatencies()
	sum.add(part)
	if sum.n != 0 || sum.shortest() != 0 {
		t.Fatalf("nothing added is %d values from %v", sum.n, sum.shortest())
	}
	for _, d := range []time.Duration{30, 10, 20} {
		part.record(d * time.Millisecond)
	}
	sum.add(part)
	part.reset()
	part.record(100 * time.Millisecond)
	sum.add(part)
	if sum.n != 4 || sum.shortest() != 10*time.Millisecond || sum.max != 100*time.Millisecond || sum.mean() != 40*time.Millisecond {
		t.Errorf("n %d, min %v, max %v, mean %v; want 4, 10ms, 100ms, 40ms", sum.n, sum.shortest(), sum.max, sum.mean())
	}
	if got := sum.percentile(50); got < 20*time.Millisecond || got > 21*time.Millisecond {
		t.Errorf("p50 is %v, want 20ms", got)
	}
}

func TestLatenciesReset(t *testing.T) {
	l := newLatencies()
	l.record(time.Second)
	l.reset()
	if l.n != 0 || l.max != 0 || l.mean() != 0 || l.percentile(50) != 0 {
		t.Errorf("after reset: n %d, max %v, mean %v, p50 %v", l.n, l.max, l.mean(), l.percentile(50))
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	l := newLatencies()
	if n := testing.AllocsPerRun(100, func() { l.record(time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
