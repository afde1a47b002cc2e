package upstream

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

const us = time.Microsecond

// timesOf is the histogram of these durations.
func timesOf(all ...time.Duration) Times {
	var r recorder
	for _, d := range all {
		r.observe(d)
	}
	return r.times()
}

func TestTimesBuckets(t *testing.T) {
	last := len(TimeBounds)
	for _, tt := range []struct {
		took   time.Duration
		bucket int
	}{
		{-time.Second, 0}, // of a clock that was set
		{0, 0},
		{100 * us, 0},
		{100*us + 1, 1},
		{ms, 3},
		{30 * time.Second, last - 1},
		{30*time.Second + 1, last},
		{time.Hour, last},
	} {
		got := timesOf(tt.took)
		if got.Counts[tt.bucket] != 1 || got.Count() != 1 || got.Sum != tt.took {
			t.Errorf("%v is counted as %+v, want bucket %d", tt.took, got, tt.bucket)
		}
	}
	for i := 1; i < last; i++ {
		if TimeBounds[i] <= TimeBounds[i-1] {
			t.Errorf("bound %d, %v, is not above the one before it", i, TimeBounds[i])
		}
	}
}

func TestTimesQuantile(t *testing.T) {
	even := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		times Times
		q     float64
		want  time.Duration
	}{
		{"nothing", Times{}, 0.5, 0},
		{"nothing, its most", Times{}, 1, 0},
		{"the least", timesOf(even(10, 3*ms)...), 0, 2500 * us},
		{"the middle of a bucket", timesOf(even(10, 3*ms)...), 0.5, 3750 * us},
		{"its end", timesOf(even(10, 3*ms)...), 1, 5 * ms},
		{"the slow half", timesOf(append(even(50, 3*ms), even(50, 70*ms)...)...), 0.75, 75 * ms},
		{"the slowest", timesOf(append(even(99, 3*ms), 70*ms)...), 1, 100 * ms},
		{"what no bound holds", timesOf(even(10, time.Hour)...), 0.5, 30 * time.Second},
	} {
		if got := tt.times.Quantile(tt.q); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := timesOf(ms, 3*ms).Mean(); got != 2*ms {
		t.Errorf("the mean of 1 ms and 3 ms is %v", got)
	}
	if got := (Times{}).Mean(); got != 0 {
		t.Errorf("the mean of nothing is %v", got)
	}
}

func TestTimesAsJSON(t *testing.T) {
	sum := timesOf(ms)
	sum.Add(timesOf(3 * ms))
	b, err := json.Marshal(sum)
	if want := `{"count":2,"mean_seconds":0.002,"p50_seconds":0.001,"p99_seconds":0.00495}`; err != nil || string(b) != want {
		t.Errorf("%s (%v), want %s", b, err, want)
	}
}

// A tally adds what the same durations one by one would.
func TestTally(t *testing.T) {
	all := []time.Duration{ms, ms, 2 * ms, 80 * us, 80 * us, time.Hour, ms}
	var r recorder
	var tally tally
	tally.flush(&r)
	for _, d := range all {
		tally.observe(d, &r)
	}
	tally.flush(&r)
	tally.flush(&r)
	if got, want := r.times(), timesOf(all...); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// after answers requests, and pings, after the given time.
func after(d time.Duration) func(*visit) {
	return func(v *visit) {
		for {
			f, err := v.next()
			if err != nil {
				return
			}
			time.Sleep(d)
			v.reply(f)
		}
	}
}

// expectTimes checks a histogram.
func expectTimes(t *testing.T, what string, got Times, want ...time.Duration) {
	t.Helper()
	if w := timesOf(want...); got != w {
		t.Errorf("%s: %+v, want those of %v", what, got, want)
	}
}

// Request pooling: every answer is timed, from when its request went to the link; how long it waited for that is another time.
func TestRequestTimesOfSharedLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = after(20 * ms)
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, MaxInflight: 2})
		synctest.Wait()
		p, q := lease(t, g), lease(t, g)
		p.ask("1", "2") // fills the link
		q.ask("3")      // waits until one is answered
		time.Sleep(time.Second)
		p.expect("1", "2")
		q.expect("3")
		s := g.Stat()
		expectTimes(t, "requests", s.Backends[0].Requests, 20*ms, 40*ms, 40*ms)
		expectTimes(t, "waits", s.Waits, 20*ms)
	})
}

// Session pooling: a request is timed that finds no other unanswered.
func TestRequestTimesOfASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = after(20 * ms)
		n["a:1"].delay = 300 * ms
		g := n.group(t, Config{})
		p := lease(t, g)
		p.ask("1") // waits for the dial
		time.Sleep(time.Second)
		p.ask("2", "3") // the second of them is not timed,
		time.Sleep(5 * ms)
		p.ask("4") // nor is this
		time.Sleep(time.Second)
		p.say("asks nothing")
		time.Sleep(time.Second)
		p.ask("5")
		time.Sleep(time.Second)
		p.expect("1", "2", "3", "4", "5")
		s := g.Stat()
		expectTimes(t, "requests", s.Backends[0].Requests, 20*ms, 20*ms, 20*ms)
		expectTimes(t, "waits", s.Waits, 300*ms)
		q := lease(t, g) // takes the spare link
		time.Sleep(time.Second)
		expectTimes(t, "waits", g.Stat().Waits, 300*ms, 0)
		p.lease.Close()
		q.lease.Close()
	})
}

// A backend that sends what nobody asked for is not timed by that.
func TestUnaskedAnswersAreNotTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x10, 2, "unasked")
			v.mute()
		}
		g := n.group(t, Config{})
		p := lease(t, g)
		time.Sleep(time.Second)
		p.expect("unasked")
		expectTimes(t, "requests", g.Stat().Backends[0].Requests)
	})
}

func TestHeartbeatsAreCounted(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a:1")
			n["a:1"].behave = after(20 * ms)
			g := n.group(t, Config{Pooling: pooling, Heartbeat: &keepalive.Heartbeat{Interval: 10 * time.Second, Timeout: 5 * time.Second, Jitter: -1}})
			time.Sleep(35 * time.Second)
			s := g.Stat().Backends[0]
			expectTimes(t, "round trips", s.RTT, 20*ms, 20*ms, 20*ms)
			if s.HeartbeatsAnswered != 3 || s.HeartbeatsMissed != 0 {
				t.Errorf("%s: %d answered and %d missed, not 3 and none", pooling, s.HeartbeatsAnswered, s.HeartbeatsMissed)
			}
			n["a:1"].set(func(s *server) { s.behave = (*visit).mute })
			n["a:1"].visit(0).nc.Close()
			time.Sleep(20 * time.Second)
			if s := g.Stat().Backends[0]; s.HeartbeatsAnswered != 3 || s.HeartbeatsMissed != 1 {
				t.Errorf("%s, of a mute backend: %d answered and %d missed, not 3 and 1", pooling, s.HeartbeatsAnswered, s.HeartbeatsMissed)
			}
		})
	}
}
