package keepalive

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestJitterBounds(t *testing.T) {
	t.Parallel()
	const longest = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		name     string
		d        time.Duration
		share    float64
		min, max time.Duration
	}{
		{"half", sec, 0.5, 500 * ms, 1500 * ms},
		{"a tenth", 30 * sec, 0.1, 27 * sec, 33 * sec},
		{"all of it", sec, 1, 0, 2 * sec},
		{"more than all", sec, 7, 0, 2 * sec},
		{"infinite share", sec, math.Inf(1), 0, 2 * sec},
		{"no share", sec, 0, sec, sec},
		{"negative share", sec, -0.5, sec, sec},
		{"not a number", sec, math.NaN(), sec, sec},
		{"no time", 0, 0.5, 0, 0},
		{"negative time", -sec, 0.5, -sec, -sec},
		{"one nanosecond", 1, 0.5, 1, 1},
		{"longest", longest, 1, 0, longest},
		{"longest, small share", longest, 0.01, longest / 100 * 98, longest},
		{"half the longest", longest/2 + 1, 1, 0, longest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2000 {
				if got := Jitter(tt.d, tt.share); got < tt.min || got > tt.max {
					t.Fatalf("Jitter(%v, %v) = %v, not from %v to %v", tt.d, tt.share, got, tt.min, tt.max)
				}
			}
		})
	}
}

func TestJitterStaysWithinItsShare(t *testing.T) {
	t.Parallel()
	for range 20_000 {
		d := time.Duration(rand.Int64N(int64(1000 * time.Hour)))
		share := rand.Float64()
		span := time.Duration(share * float64(d))
		if got := Jitter(d, share); got < d-span || got > d+span {
			t.Fatalf("Jitter(%d, %v) = %d, more than %d away", d, share, got, span)
		}
	}
}

// Both ends and all between are drawn, about equally often: of 3,000 draws from
// three values each gets 1,000 ± 26 (one standard deviation), so 700 is more
// than eleven deviations off.
func TestJitterIsEven(t *testing.T) {
	t.Parallel()
	drawn := map[time.Duration]int{}
	for range 3000 {
		drawn[Jitter(2, 0.5)]++
	}
	for _, d := range []time.Duration{1, 2, 3} {
		if drawn[d] < 700 {
			t.Errorf("%d ns was drawn %d times in 3000, want about 1000", d, drawn[d])
		}
	}
	if len(drawn) != 3 {
		t.Errorf("drew %v, want 1, 2 and 3 ns only", drawn)
	}
}

// The race detector is the judge here.
func TestJitterIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	done := make(chan time.Duration)
	for range 8 {
		go func() {
			var sum time.Duration
			for range 1000 {
				sum += Jitter(ms, 0.5)
			}
			done <- sum
		}()
	}
	for range 8 {
		if sum := <-done; sum < 500*ms || sum > 1500*ms {
			t.Errorf("1000 draws of 1ms ± half add up to %v", sum)
		}
	}
}

func BenchmarkJitter(b *testing.B) {
	for b.Loop() {
		Jitter(30*sec, 0.1)
	}
}
