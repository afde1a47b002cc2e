package health

import (
	"math"
	"testing"
	"time"
)

// A story is what happens to a backend, and when.
type story []struct {
	after time.Duration // since the event before
	do    func(r *Record, now time.Time)
}

func failed(r *Record, now time.Time) { r.Failed(now) }
func up(r *Record, now time.Time)     { r.Up(now) }
func asked(r *Record, now time.Time)  { r.Asked(now) }

func rtt(d time.Duration) func(*Record, time.Time) {
	return func(r *Record, now time.Time) { r.Answered(now, d) }
}

func tls(ok bool) func(*Record, time.Time) {
	return func(r *Record, now time.Time) { r.Handshake(now, ok) }
}

// The score and its parts, number by number.
func TestScore(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name  string
		set   Settings
		story story
		after time.Duration // when it is judged
		parts Parts
		state State
	}{
		{"nothing known", Settings{}, nil, 0, Parts{40, 35, 25}, Fit},
		{"fast", Settings{}, story{{0, rtt(20 * ms)}}, 0, Parts{40, 35, 25}, Fit},
		{"at the threshold", Settings{}, story{{0, rtt(100 * ms)}}, 0, Parts{40, 35, 25}, Fit},
		{"halfway to nothing: too slow", Settings{}, story{{0, rtt(150 * ms)}}, 0, Parts{20, 35, 25}, Warming},
		{"a little slow is well enough", Settings{}, story{{0, rtt(130 * ms)}}, 0, Parts{28, 35, 25}, Fit},
		{"very slow", Settings{}, story{{0, rtt(5 * s)}}, 0, Parts{0, 35, 25}, Warming},
		{"slow a while ago", Settings{}, story{{0, rtt(5 * s)}}, 11 * s, Parts{40, 35, 25}, Fit},
		{"another threshold", Settings{RTTThreshold: s}, story{{0, rtt(150 * ms)}}, 0, Parts{40, 35, 25}, Fit},
		{"no answer yet", Settings{}, story{{0, asked}}, 150 * ms, Parts{20, 35, 25}, Warming},
		{"an answer that was not measured", Settings{}, story{{0, asked}, {s, rtt(0)}}, 0, Parts{40, 35, 25}, Fit},
		{"pings that are never answered", Settings{}, story{{0, asked}, {s, asked}}, 0, Parts{0, 35, 25}, Warming},
		{"nobody left to answer", Settings{}, story{{0, asked}, {s, func(r *Record, _ time.Time) { r.Unasked() }}}, 0, Parts{40, 35, 25}, Fit},

		{"one failure", Settings{}, story{{0, failed}}, 0, Parts{40, 35. * 2 / 3, 25}, Fit},
		{"two", Settings{}, story{{0, failed}, {0, failed}}, 0, Parts{40, 35. / 3, 25}, Failing},
		{"three", Settings{}, story{{0, failed}, {0, failed}, {0, failed}}, 0, Parts{40, 0, 25}, Failing},
		{"more do not count double", Settings{}, story{{0, failed}, {0, failed}, {0, failed}, {0, failed}}, 30 * s, Parts{40, 35. / 2, 25}, Failing},
		{"one, half a minute ago", Settings{}, story{{0, failed}}, 30 * s, Parts{40, 35. * 5 / 6, 25}, Fit},
		{"faster decay", Settings{Decay: 3 * s}, story{{0, failed}}, 3 * s, Parts{40, 35. * 5 / 6, 25}, Fit},
		{"three, long ago, and nothing since", Settings{}, story{{0, failed}, {0, failed}, {0, failed}}, time.Hour, Parts{40, 35, 25}, Failing},
		{"three, long ago, and up since", Settings{}, story{{0, failed}, {0, failed}, {0, failed}, {0, up}}, time.Hour, Parts{40, 35, 25}, Fit},
		{"three at once, by a weight of nothing", Settings{Weights: Weights{1, 0, 0}}, story{{0, failed}, {0, failed}, {0, failed}}, 0, Parts{100, 0, 0}, Failing},
		{"five are allowed", Settings{Failures: 5}, story{{0, failed}, {0, failed}}, 0, Parts{40, 21, 25}, Fit},
		{"it accepts and hangs up", Settings{}, story{{0, failed}, {s, up}, {0, failed}, {s, up}, {0, failed}}, 0, Parts{40, 0.793, 25}, Failing},
		{"it was up for long between", Settings{}, story{{0, failed}, {0, failed}, {s, up}, {90 * s, failed}}, 0, Parts{40, 20.483, 25}, Fit},

		{"handshakes", Settings{}, story{{0, tls(true)}, {0, tls(true)}}, 0, Parts{40, 35, 25}, Fit},
		{"one of two that worked", Settings{}, story{{0, tls(true)}, {0, tls(false)}}, 0, Parts{40, 35, 15}, Fit},
		{"two of three", Settings{}, story{{0, tls(true)}, {0, tls(false)}, {0, tls(false)}}, 0, Parts{40, 35, 25. * 3 / 7}, Fit},
		{"none", Settings{}, story{{0, tls(false)}}, 0, Parts{40, 35, 25. / 3}, Warming},
		{"none, long ago", Settings{}, story{{0, tls(false)}}, time.Hour, Parts{40, 35, 25}, Fit},

		{"other weights", Settings{Weights: Weights{1, 1, 0}}, story{{0, rtt(150 * ms)}}, 0, Parts{25, 50, 0}, Warming},
		{"another bar", Settings{Threshold: 70}, story{{0, rtt(150 * ms)}}, 0, Parts{20, 35, 25}, Fit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, now := NewRecord(tt.set), begin
			for _, e := range tt.story {
				now = now.Add(e.after)
				e.do(r, now)
			}
			rep, _ := r.Judge(now.Add(tt.after))
			for _, p := range []struct {
				name      string
				got, want float64
			}{{"rtt", rep.Parts.RTT, tt.parts.RTT}, {"failures", rep.Parts.Failures, tt.parts.Failures}, {"tls", rep.Parts.TLS, tt.parts.TLS}, {"score", rep.Score, tt.parts.RTT + tt.parts.Failures + tt.parts.TLS}} {
				if math.Abs(p.got-p.want) > 0.05 {
					t.Errorf("%s is %.3f, want %.3f", p.name, p.got, p.want)
				}
			}
			if rep.State != tt.state {
				t.Errorf("it is %s, want %s (score %.2f, %d failures)", rep.State, tt.state, rep.Score, rep.InARow)
			}
		})
	}
}

// A score that moves about the threshold does not have traffic come and go.
func TestHysteresis(t *testing.T) {
	r, now := NewRecord(Settings{Window: time.Second}), begin
	for i, tt := range []struct {
		rtt  time.Duration
		want State
	}{{130 * ms, Fit}, {140 * ms, Warming}, {130 * ms, Warming}, {126 * ms, Warming}, {124 * ms, Fit}, {130 * ms, Fit}, {140 * ms, Warming}} {
		now = now.Add(2 * time.Second)
		r.Answered(now, tt.rtt)
		rep, _ := r.Judge(now)
		if rep.State != tt.want {
			t.Errorf("%d: with %v it is %s, want %s", i, tt.rtt, rep.State, tt.want)
		}
	}
	if _, changed := r.Judge(now); changed {
		t.Error("a change without one")
	}
}

// A row of failures ends when the backend was up for Stable, not when something works.
func TestInARow(t *testing.T) {
	r := NewRecord(Settings{})
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		second int
		do     func(*Record, time.Time)
		want   int
	}{{0, failed, 1}, {1, up, 1}, {5, failed, 2}, {6, rtt(ms), 2}, {15, up, 2}, {16, up, 0}, {17, failed, 1}, {18, failed, 2}, {19, func(r *Record, _ time.Time) { r.Forgive() }, 0}, {20, failed, 1}} {
		tt.do(r, at(tt.second))
		if got := r.Report(at(tt.second)).InARow; got != tt.want {
			t.Errorf("after %d s: %d in a row, want %d", tt.second, got, tt.want)
		}
	}
}
