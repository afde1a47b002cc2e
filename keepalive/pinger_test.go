package keepalive

import (
	"testing"
	"time"
)

// steady is a heartbeat without chance: ping every 30 s, dead after 15 s.
var steady = Heartbeat{Interval: 30 * sec, Timeout: 15 * sec, Jitter: -1}

// pingerAt is a Pinger with its test and its clock, in times since t0.
type pingerAt struct {
	Pinger
	t *testing.T
}

func startPinger(t *testing.T, h Heartbeat) *pingerAt {
	t.Helper()
	p := &pingerAt{t: t}
	p.Start(&h, t0)
	return p
}

func (p *pingerAt) wantTick(at time.Duration, want Action) {
	p.t.Helper()
	if got := p.Tick(t0.Add(at)); got != want {
		p.t.Errorf("at %v: %v, want %v", at, got, want)
	}
}

func (p *pingerAt) wantNext(want time.Duration) {
	p.t.Helper()
	if got := p.Next(); !got.Equal(t0.Add(want)) {
		p.t.Errorf("next at %v, want %v", got.Sub(t0), want)
	}
}

func (p *pingerAt) wantNever() {
	p.t.Helper()
	if got := p.Next(); !got.IsZero() {
		p.t.Errorf("next at %v, want never", got)
	}
}

func (p *pingerAt) ping(at time.Duration) (seq uint32, unixNano int64) {
	return p.Ping(t0.Add(at))
}

func (p *pingerAt) wantPong(seq uint32, unixNano int64, at, rtt time.Duration, ok bool) {
	p.t.Helper()
	gotRTT, gotOK := p.Pong(seq, unixNano, t0.Add(at))
	if gotOK != ok || gotRTT != rtt {
		p.t.Errorf("pong at %v: %v, %t; want %v, %t", at, gotRTT, gotOK, rtt, ok)
	}
}

func TestPingerInItsPlace(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	p.wantNext(30 * sec)
	p.wantTick(0, Wait)
	p.wantTick(30*sec-1, Wait)
	p.wantTick(30*sec, SendPing)
	p.wantTick(31*sec, SendPing) // and again, until it is sent

	seq, nano := p.ping(31 * sec)
	if want := t0.Add(31 * sec).UnixNano(); seq != 1 || nano != want {
		t.Errorf("first ping carries %d and %d, want 1 and %d", seq, nano, want)
	}
	p.wantNext(46 * sec) // 31 + 15: dead
	p.wantTick(46*sec-1, Wait)
	p.wantPong(seq, nano, 31*sec+80*ms, 80*ms, true)
	p.wantNext(61 * sec) // 31 + 30: the next ping
	p.wantTick(46*sec, Wait)
	p.wantTick(61*sec, SendPing)
	if seq, _ := p.ping(61 * sec); seq != 2 {
		t.Errorf("second ping carries %d, want 2", seq)
	}
	p.wantTick(76*sec-1, Wait)
	p.wantTick(76*sec, Dead)
	p.wantTick(1000*sec, Dead)
	p.wantNever()

	if r := p.RTT(); r.SRTT() != 80*ms || r.Samples() != 1 {
		t.Errorf("SRTT %v of %d samples, want 80ms of 1", r.SRTT(), r.Samples())
	}
}

func TestPingerTakesOnlyItsOwnEcho(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	p.wantPong(0, 0, 0, 0, false) // nothing was asked

	seq, nano := p.ping(30 * sec)
	for name, echo := range map[string]struct {
		seq      uint32
		unixNano int64
	}{
		"empty":                {0, 0},
		"another number":       {seq + 1, nano},
		"another time":         {seq, nano + 1},
		"the time of before":   {seq, nano - int64(30*sec)},
		"the number of before": {seq - 1, nano},
	} {
		if _, ok := p.Pong(echo.seq, echo.unixNano, t0.Add(31*sec)); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	p.wantNext(45 * sec) // none of them kept the peer alive
	p.wantPong(seq, nano, 31*sec, sec, true)
	p.wantPong(seq, nano, 31*sec, 0, false) // doubled

	late, lateNano := seq, nano
	seq, nano = p.ping(60 * sec)
	p.wantPong(late, lateNano, 61*sec, 0, false) // of the ping before
	p.wantPong(seq, nano, 62*sec, 2*sec, true)
	if n := p.RTT().Samples(); n != 2 {
		t.Errorf("%d samples, want 2", n)
	}
}

// A pong that is read after its time, but before Tick, was late on our side.
func TestPingerPongIsInTimeUntilTickSaysDead(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	seq, nano := p.ping(30 * sec)
	p.wantPong(seq, nano, 50*sec, 20*sec, true)
	p.wantTick(50*sec, Wait)
	p.wantTick(60*sec, SendPing)

	seq, nano = p.ping(60 * sec)
	p.wantTick(75*sec, Dead)
	p.wantPong(seq, nano, 75*sec, 0, false)
	p.wantTick(75*sec, Dead)
}

// The next ping waits for a pong that may take longer than the interval, and
// goes out as soon as it is there.
func TestPingerTimeoutLongerThanInterval(t *testing.T) {
	t.Parallel()
	p := startPinger(t, Heartbeat{Interval: 5 * sec, Timeout: 60 * sec, Jitter: -1})
	seq, nano := p.ping(5 * sec)
	p.wantNext(65 * sec)
	p.wantTick(10*sec, Wait)
	p.wantTick(64*sec, Wait)
	p.wantPong(seq, nano, 40*sec, 35*sec, true)
	p.wantNext(10 * sec) // in the past: at once
	p.wantTick(40*sec, SendPing)
	p.ping(40 * sec)
	p.wantTick(100*sec, Dead)
}

func TestPingerJittersEveryWait(t *testing.T) {
	t.Parallel()
	h := Heartbeat{Interval: 30 * sec} // ± a tenth
	starts, waits := map[time.Duration]bool{}, map[time.Duration]bool{}
	for range 100 {
		p := startPinger(t, h)
		starts[p.Next().Sub(t0)] = true
		seq, nano := p.ping(60 * sec)
		p.wantNext(75 * sec) // half the interval, and no jitter on it
		p.wantPong(seq, nano, 60*sec, 0, true)
		waits[p.Next().Sub(t0.Add(60*sec))] = true
	}
	for name, seen := range map[string]map[time.Duration]bool{"first": starts, "next": waits} {
		if len(seen) < 90 {
			t.Errorf("%s waits: only %d different ones of 100", name, len(seen))
		}
		for wait := range seen {
			if wait < 27*sec || wait > 33*sec {
				t.Errorf("%s wait is %v, not 30s ± 3s", name, wait)
			}
		}
	}
}

func TestPingerOff(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(p *Pinger){
		"zero value":       func(*Pinger) {},
		"nil heartbeat":    func(p *Pinger) { p.Start(nil, t0) },
		"no interval":      func(p *Pinger) { p.Start(&Heartbeat{}, t0) },
		"turned off later": func(p *Pinger) { p.Start(&steady, t0); p.Set(nil, t0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &pingerAt{t: t}
			start(&p.Pinger)
			p.wantNever()
			p.wantTick(0, Wait)
			p.wantTick(1000*time.Hour, Wait)
		})
	}
}

// A ping may be sent without a heartbeat, too: to measure, or as a barrier.
func TestPingerMeasuresWithoutAHeartbeat(t *testing.T) {
	t.Parallel()
	p := &pingerAt{t: t}
	seq, nano := p.ping(0)
	p.wantNever()
	p.wantTick(time.Hour, Wait)
	p.wantPong(seq, nano, time.Hour, time.Hour, true)
}

func TestPingerStartForgets(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	seq, nano := p.ping(30 * sec)
	p.RTT().Sample(sec)
	p.wantTick(45*sec, Dead)

	p.Start(&steady, t0.Add(50*sec))
	p.wantTick(50*sec, Wait)
	p.wantNext(80 * sec)
	p.wantPong(seq, nano, 50*sec, 0, false)
	if n := p.RTT().Samples(); n != 0 {
		t.Errorf("%d samples after a new start", n)
	}
}

func TestPingerSet(t *testing.T) {
	t.Parallel()
	quick := Heartbeat{Interval: 4 * sec, Timeout: 3 * sec, Jitter: -1}
	t.Run("new interval counts from now", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.Set(&quick, t0.Add(10*sec))
		p.wantNext(14 * sec)
	})
	t.Run("same values change nothing", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		for at := range 29 {
			same := steady
			p.Set(&same, t0.Add(time.Duration(at)*sec))
			if p.heartbeat != &same {
				t.Fatal("holds on to the old settings, and what they are part of")
			}
		}
		p.wantNext(30 * sec)
	})
	t.Run("outstanding ping has the new timeout", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		seq, nano := p.ping(30 * sec)
		p.Set(&quick, t0.Add(31*sec))
		p.wantNext(33 * sec)
		p.wantPong(seq, nano, 32*sec, 2*sec, true)
		p.wantNext(35 * sec)
	})
	t.Run("off ends the wait for a pong", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		seq, nano := p.ping(30 * sec)
		p.Set(&Heartbeat{}, t0.Add(31*sec))
		p.wantTick(time.Hour, Wait)
		p.wantPong(seq, nano, 32*sec, 0, false)
	})
	t.Run("on begins", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, Heartbeat{})
		p.Set(&steady, t0.Add(time.Hour))
		p.wantNext(time.Hour + 30*sec)
	})
	t.Run("the dead stay dead", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.ping(30 * sec)
		p.wantTick(45*sec, Dead)
		p.Set(&quick, t0.Add(46*sec))
		p.wantTick(46*sec, Dead)
		p.wantNever()
		p.Set(nil, t0.Add(47*sec))
		p.wantTick(47*sec, Dead)
		p.wantNever()
	})
}

func TestPingerHeard(t *testing.T) {
	t.Parallel()
	t.Run("puts a ping off", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		for at := sec; at <= 100*sec; at += sec {
			p.Heard(t0.Add(at))
			p.wantTick(at, Wait)
		}
		p.wantTick(129*sec, Wait)
		p.wantNext(130 * sec)
		p.wantTick(130*sec, SendPing) // quiet for an interval
	})
	t.Run("once is not for ever", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.Heard(t0.Add(10 * sec))
		p.wantTick(30*sec, Wait)
		p.wantTick(40*sec, SendPing)
	})
	t.Run("with jitter, too, only once", func(t *testing.T) {
		t.Parallel()
		for range 100 {
			p := startPinger(t, Heartbeat{Interval: 30 * sec, Jitter: 0.5})
			p.Heard(t0.Add(44 * sec))
			p.wantTick(45*sec, Wait) // at least 15 s of quiet
			if got := p.Tick(p.Next()); got != SendPing {
				t.Fatalf("at the end of the quiet: %v, want a ping", got)
			}
		}
	})
	t.Run("is no pong", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.ping(30 * sec)
		p.Heard(t0.Add(44 * sec))
		p.wantTick(45*sec, Dead)
	})
}

// While this side does not read, the pong waits in its own receive buffer, and
// may be far behind other frames there.
func TestPingerResume(t *testing.T) {
	t.Parallel()
	t.Run("the peer has its whole time again", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.RTT().Sample(80 * ms)
		seq, nano := p.ping(30 * sec)
		p.Resume(t0.Add(100 * sec))
		p.wantNext(115 * sec)
		p.wantTick(115*sec-1, Wait)
		p.wantPong(seq, nano, 101*sec, 0, true) // answered, not measured
		if r := p.RTT(); r.SRTT() != 80*ms || r.Samples() != 1 {
			t.Errorf("SRTT %v of %d samples, want 80ms of 1", r.SRTT(), r.Samples())
		}
		p.wantTick(101*sec, SendPing) // overdue
		seq, nano = p.ping(101 * sec)
		p.wantPong(seq, nano, 101*sec+90*ms, 90*ms, true) // measured again
		if n := p.RTT().Samples(); n != 2 {
			t.Errorf("%d samples, want 2", n)
		}
	})
	t.Run("and no more", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.ping(30 * sec)
		p.Resume(t0.Add(100 * sec))
		p.wantTick(115*sec, Dead)
		p.Resume(t0.Add(116 * sec))
		p.wantTick(116*sec, Dead)
	})
	t.Run("with no ping under way", func(t *testing.T) {
		t.Parallel()
		p := startPinger(t, steady)
		p.Resume(t0.Add(29 * sec))
		p.wantNext(30 * sec)
		p.wantTick(30*sec, SendPing)
	})
}

// The wall clock may be set by hours while a ping is under way.
func TestPingerMeasuresOnTheMonotonicClock(t *testing.T) {
	t.Parallel()
	for _, step := range []int64{-3600, 3600} {
		var p Pinger
		start := time.Now()
		p.Start(&steady, start)
		seq, nano := p.Ping(start.Add(30 * sec))

		after := stepWall(t, start.Add(30*sec+70*ms), step)
		if got := p.Tick(after); got != Wait {
			t.Errorf("wall clock set by %d s: %v, want to wait", step, got)
		}
		if rtt, ok := p.Pong(seq, nano, after); !ok || rtt != 70*ms {
			t.Errorf("wall clock set by %d s: round trip %v, %t; want 70ms", step, rtt, ok)
		}
		if got := p.Tick(stepWall(t, start.Add(60*sec), step)); got != SendPing {
			t.Errorf("wall clock set by %d s: %v at the next interval, want a ping", step, got)
		}
	}
}

// A caller may hand in a time from before the ping: not a negative round trip.
func TestPingerRoundTripIsNeverNegative(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	seq, nano := p.ping(30 * sec)
	p.wantPong(seq, nano, 29*sec, 0, true)
}

func TestPingerSequenceWraps(t *testing.T) {
	t.Parallel()
	p := startPinger(t, steady)
	p.seq = 1<<32 - 1
	seq, nano := p.ping(0)
	if seq != 0 {
		t.Errorf("after the last number comes %d, want 0", seq)
	}
	p.wantPong(seq, nano, sec, sec, true)
}

func TestActionString(t *testing.T) {
	t.Parallel()
	for a, want := range map[Action]string{Wait: "wait", SendPing: "send ping", Dead: "dead", 9: "unknown action"} {
		if got := a.String(); got != want {
			t.Errorf("%d is %q, want %q", a, got, want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	var p Pinger
	var w Watch
	limits := Limits{Idle: 45 * sec, Frame: 10 * sec}
	p.Start(&steady, t0)
	w.Start(&limits, t0)
	now := t0
	if n := testing.AllocsPerRun(100, func() {
		now = now.Add(sec)
		p.Heard(now)
		p.Tick(now)
		seq, nano := p.Ping(now)
		p.Pong(seq, nano, now)
		w.Note(now, true, true)
		_ = w.Check(now)
		_ = Earliest(p.Next(), w.Deadline())
	}); n != 0 {
		t.Errorf("%v allocations for one turn of a connection, want none", n)
	}
}

func BenchmarkTick(b *testing.B) {
	var p Pinger
	now := time.Now()
	p.Start(&steady, now)
	for b.Loop() {
		p.Tick(now)
	}
}
