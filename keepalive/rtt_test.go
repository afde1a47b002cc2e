package keepalive

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// rttStep is one event of an RTT's life and what must be true after it. A
// backoff is written as sample -1.
type rttStep struct {
	sample            time.Duration
	srtt, rttvar, rto time.Duration
}

const backoff = time.Duration(-1)

// The numbers were worked out by hand from RFC 6298, with K = 4, α = 1/8,
// β = 1/4, G = 1 ms, and our floor of 200 ms in the place of the RFC's 1 s.
var rttTables = []struct {
	name  string
	steps []rttStep
}{
	{"first sample (2.2), then smoothing (2.3)", []rttStep{
		// SRTT ← R = 100; RTTVAR ← R/2 = 50
		// RTO ← 100 + max(1, 4·50) = 300
		{100 * ms, 100 * ms, 50 * ms, 300 * ms},
		// RTTVAR ← 3/4·50 + 1/4·|100 − 140| = 37.5 + 10 = 47.5 (the old SRTT!)
		// SRTT   ← 7/8·100 + 1/8·140 = 87.5 + 17.5 = 105
		// RTO    ← 105 + 4·47.5 = 105 + 190 = 295
		{140 * ms, 105 * ms, 47_500 * time.Microsecond, 295 * ms},
		// RTTVAR ← 3/4·47.5 + 1/4·|105 − 65| = 35.625 + 10 = 45.625
		// SRTT   ← 7/8·105 + 1/8·65 = 91.875 + 8.125 = 100
		// RTO    ← 100 + 4·45.625 = 100 + 182.5 = 282.5
		{65 * ms, 100 * ms, 45_625 * time.Microsecond, 282_500 * time.Microsecond},
	}},
	{"the floor (2.4)", []rttStep{
		// RTO ← 10 + 4·5 = 30, below 200
		{10 * ms, 10 * ms, 5 * ms, 200 * ms},
		// RTTVAR ← 3.75 + 1/4·|10 − 170| = 43.75; SRTT ← 8.75 + 21.25 = 30
		// RTO ← 30 + 175 = 205, just above
		{170 * ms, 30 * ms, 43_750 * time.Microsecond, 205 * ms},
	}},
	{"the ceiling (2.5)", []rttStep{
		// RTO ← 30 + 4·15 = 90, above 60
		{30 * sec, 30 * sec, 15 * sec, 60 * sec},
	}},
	{"exactly at the ceiling", []rttStep{
		// RTO ← 20 + 4·10 = 60
		{20 * sec, 20 * sec, 10 * sec, 60 * sec},
	}},
	{"a round trip of nothing", []rttStep{
		// RTO ← 0 + max(1, 0) = 1, below 200
		{zero, 0, 0, 200 * ms},
	}},
	{"the granularity", []rttStep{
		{zero, 0, 0, 200 * ms},
		// RTTVAR ← 0 + 1/4·2400 = 600; SRTT ← 0 + 1/8·2400 = 300; RTO ← 300 + 2400
		{2400 * ms, 300 * ms, 600 * ms, 2700 * ms},
		// RTTVAR ← 3/4·600 + 0 = 450; SRTT ← 300; RTO ← 300 + 1800
		{300 * ms, 300 * ms, 450 * ms, 2100 * ms},
	}},
	{"backing off before any sample (2.1, 5.5)", []rttStep{
		{backoff, 0, 0, 2 * sec},
		{backoff, 0, 0, 4 * sec},
		{backoff, 0, 0, 8 * sec},
		{backoff, 0, 0, 16 * sec},
		{backoff, 0, 0, 32 * sec},
		{backoff, 0, 0, 60 * sec},
		{backoff, 0, 0, 60 * sec},
		// The first sample is a first sample all the same.
		{100 * ms, 100 * ms, 50 * ms, 300 * ms},
	}},
	{"backing off, and a sample that recomputes (5.5 to 5.7)", []rttStep{
		{100 * ms, 100 * ms, 50 * ms, 300 * ms},
		{backoff, 100 * ms, 50 * ms, 600 * ms},
		{backoff, 100 * ms, 50 * ms, 1200 * ms},
		// as in the first table: the estimate was not touched by the backoff
		{140 * ms, 105 * ms, 47_500 * time.Microsecond, 295 * ms},
		{backoff, 105 * ms, 47_500 * time.Microsecond, 590 * ms},
	}},
	{"backing off from the floor", []rttStep{
		{10 * ms, 10 * ms, 5 * ms, 200 * ms},
		{backoff, 10 * ms, 5 * ms, 400 * ms},
	}},
	{"no measurement", []rttStep{
		{-5 * ms, 0, 0, sec},
		{100 * ms, 100 * ms, 50 * ms, 300 * ms},
		{-5 * ms, 100 * ms, 50 * ms, 300 * ms},
	}},
}

func TestRTTAsWorkedOutFromRFC6298(t *testing.T) {
	t.Parallel()
	for _, table := range rttTables {
		t.Run(table.name, func(t *testing.T) {
			t.Parallel()
			var r RTT
			var samples uint64
			for i, s := range table.steps {
				if s.sample == backoff {
					r.Backoff()
				} else {
					r.Sample(s.sample)
				}
				if s.sample >= 0 {
					samples++
				}
				if r.SRTT() != s.srtt || r.RTTVAR() != s.rttvar || r.RTO() != s.rto {
					t.Errorf("step %d (%v): SRTT %v, RTTVAR %v, RTO %v; want %v, %v, %v",
						i, s.sample, r.SRTT(), r.RTTVAR(), r.RTO(), s.srtt, s.rttvar, s.rto)
				}
				if r.Samples() != samples {
					t.Errorf("step %d: %d samples, want %d", i, r.Samples(), samples)
				}
			}
		})
	}
}

func TestRTTZeroValue(t *testing.T) {
	t.Parallel()
	var r RTT
	if r.RTO() != sec || r.SRTT() != 0 || r.RTTVAR() != 0 || r.Samples() != 0 {
		t.Errorf("before the first sample: RTO %v, SRTT %v, RTTVAR %v, %d samples; want 1s and zeros",
			r.RTO(), r.SRTT(), r.RTTVAR(), r.Samples())
	}
}

// With a constant round trip the variation goes to nothing, and what is left
// above SRTT is the granularity: 400 ms + 1 ms.
func TestRTTGranularityRemains(t *testing.T) {
	t.Parallel()
	var r RTT
	for range 200 {
		r.Sample(400 * ms)
	}
	if got := r.RTO(); got != 401*ms {
		t.Errorf("RTO %v after 200 samples of 400ms, want 401ms", got)
	}
}

func TestRTTBackoffNeverLowersNorExceeds(t *testing.T) {
	t.Parallel()
	for range 200 {
		var r RTT
		for range rand.IntN(4) {
			r.Sample(time.Duration(rand.Int64N(int64(5 * sec))))
		}
		before := r.RTO()
		for range 40 {
			r.Backoff()
			got := r.RTO()
			if got < before || got > MaxRTO || got != min(2*before, MaxRTO) {
				t.Fatalf("backed off from %v to %v", before, got)
			}
			before = got
		}
		if before != MaxRTO {
			t.Fatalf("RTO %v after 40 backoffs, want %v", before, MaxRTO)
		}
	}
}

// Against the RFC's formulas as they are written, in floating point. Whole
// nanoseconds cost less than 8 ns in SRTT and 4 ns in RTTVAR at each step, and
// what is lost decays as the estimate itself does.
func TestRTTFollowsTheFormulas(t *testing.T) {
	t.Parallel()
	for range 100 {
		var r RTT
		var srtt, rttvar float64
		for i := range 500 {
			d := time.Duration(rand.Int64N(int64(3 * sec)))
			r.Sample(d)
			if i == 0 {
				srtt, rttvar = float64(d), float64(d)/2
			} else {
				rttvar = (1-1.0/4)*rttvar + 1.0/4*math.Abs(srtt-float64(d))
				srtt = (1-1.0/8)*srtt + 1.0/8*float64(d)
			}
			rto := max(float64(200*ms), srtt+max(float64(ms), 4*rttvar))
			for _, c := range []struct {
				name string
				got  time.Duration
				want float64
			}{{"SRTT", r.SRTT(), srtt}, {"RTTVAR", r.RTTVAR(), rttvar}, {"RTO", r.RTO(), rto}} {
				if math.Abs(float64(c.got)-c.want) > 200 {
					t.Fatalf("sample %d: %s is %d, the formula says %.0f", i, c.name, c.got, c.want)
				}
			}
		}
	}
}

func TestRTTBearsAbsurdSamples(t *testing.T) {
	t.Parallel()
	for _, samples := range [][]time.Duration{
		{math.MaxInt64},
		{math.MaxInt64, math.MaxInt64},
		{0, math.MaxInt64},
		{math.MaxInt64, 0},
		{math.MaxInt64, math.MinInt64, 1, math.MaxInt64},
	} {
		var r RTT
		for _, d := range samples {
			r.Sample(d)
		}
		if r.RTO() != MaxRTO || r.SRTT() < 0 || r.SRTT() > time.Hour || r.RTTVAR() < 0 || r.RTTVAR() > time.Hour {
			t.Errorf("after %v: SRTT %v, RTTVAR %v, RTO %v; want up to an hour, and %v",
				samples, r.SRTT(), r.RTTVAR(), r.RTO(), MaxRTO)
		}
	}
}
