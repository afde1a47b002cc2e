package keepalive

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// echo is what a pong carries.
type echo struct {
	seq      uint32
	unixNano int64
}

// reply is a pong that a fake peer sends some time after a ping.
type reply struct {
	after time.Duration
	echo
}

// simulate runs one connection's loop, with a heartbeat alone, against a peer
// that answers its nth ping (from 0) with the replies of answer. It ends when
// the peer is given up, or after the given time.
func simulate(h Heartbeat, answer func(n int, ping echo) []reply, during time.Duration) (s simulation) {
	var p Pinger
	pongs := make(chan echo, 1024)
	start := time.Now()
	p.Start(&h, start)
	end := time.NewTimer(during)
	defer end.Stop()
	timer := time.NewTimer(time.Until(p.Next()))
	defer timer.Stop()
	for {
		select {
		case pong := <-pongs:
			if _, ok := p.Pong(pong.seq, pong.unixNano, time.Now()); ok {
				s.answered++
			} else {
				s.ignored++
			}
		case <-timer.C:
		case <-end.C:
			s.rtt = *p.RTT()
			return s
		}
		switch p.Tick(time.Now()) {
		case SendPing:
			if s.pings > s.answered {
				s.overlapped = true
			}
			s.pings++
			s.lastPing = time.Since(start)
			seq, nano := p.Ping(time.Now())
			for _, r := range answer(s.pings-1, echo{seq, nano}) {
				time.AfterFunc(r.after, func() { pongs <- r.echo })
			}
		case Dead:
			s.died = time.Since(start)
			s.rtt = *p.RTT()
			return s
		}
		timer.Reset(time.Until(p.Next()))
	}
}

type simulation struct {
	pings, answered, ignored int
	overlapped               bool // two pings were outstanding at once
	lastPing, died           time.Duration
	rtt                      RTT
}

func TestPingerAgainstPeers(t *testing.T) {
	t.Parallel()
	protocol := Heartbeat{Interval: 30 * sec, Timeout: 15 * sec}
	const hour = 3600*sec + 33*ms

	for _, tt := range []struct {
		name    string
		h       Heartbeat
		answer  func(n int, ping echo) []reply
		dies    bool // by the last of its pings
		min     int  // pings in an hour, or until death
		max     int
		ignored int           // pongs to each ping that do not count
		srtt    time.Duration // 0: nothing was measured
	}{
		{
			name: "prompt", h: protocol, min: 108, max: 134, srtt: 40 * ms,
			answer: func(_ int, p echo) []reply { return []reply{{40 * ms, p}} },
		},
		{
			name: "just in time", h: protocol, min: 108, max: 134, srtt: 15*sec - 1,
			answer: func(_ int, p echo) []reply { return []reply{{15*sec - 1, p}} },
		},
		{
			name: "says everything three times", h: protocol, min: 108, max: 134, ignored: 2, srtt: 40 * ms,
			answer: func(_ int, p echo) []reply { return []reply{{40 * ms, p}, {50 * ms, p}, {20 * sec, p}} },
		},
		{
			name: "wrong first, then right", h: protocol, min: 108, max: 134, ignored: 1, srtt: 40 * ms,
			answer: func(_ int, p echo) []reply {
				return []reply{{10 * ms, echo{p.seq - 1, p.unixNano}}, {40 * ms, p}}
			},
		},
		{
			// One ping in 40 s, though the interval is 5 s.
			name: "slower than the interval", h: Heartbeat{Interval: 5 * sec, Timeout: 60 * sec},
			min: 90, max: 90, srtt: 40 * sec,
			answer: func(_ int, p echo) []reply { return []reply{{40 * sec, p}} },
		},
		{
			name: "silent", h: protocol, dies: true, min: 1, max: 1,
			answer: func(int, echo) []reply { return nil },
		},
		{
			name: "silent after three", h: protocol, dies: true, min: 4, max: 4, srtt: 40 * ms,
			answer: func(n int, p echo) []reply {
				if n == 3 {
					return nil
				}
				return []reply{{40 * ms, p}}
			},
		},
		{
			name: "late", h: protocol, dies: true, min: 1, max: 1,
			answer: func(_ int, p echo) []reply { return []reply{{15*sec + 1, p}} },
		},
		{
			name: "echoes the wrong number", h: protocol, dies: true, min: 1, max: 1, ignored: 1,
			answer: func(_ int, p echo) []reply { return []reply{{40 * ms, echo{p.seq + 1, p.unixNano}}} },
		},
		{
			name: "echoes its own clock", h: protocol, dies: true, min: 1, max: 1, ignored: 1,
			answer: func(_ int, p echo) []reply {
				return []reply{{40 * ms, echo{p.seq, p.unixNano + int64(40*ms)}}}
			},
		},
		{
			name: "echoes nothing", h: protocol, dies: true, min: 1, max: 1, ignored: 1,
			answer: func(int, echo) []reply { return []reply{{40 * ms, echo{}}} },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := simulate(tt.h, tt.answer, hour)
				if s.pings < tt.min || s.pings > tt.max {
					t.Errorf("%d pings, want %d to %d", s.pings, tt.min, tt.max)
				}
				if s.overlapped {
					t.Error("a ping went out while one was outstanding")
				}
				if tt.dies {
					if s.died != s.lastPing+15*sec {
						t.Errorf("given up at %v, want 15s after the last ping at %v", s.died, s.lastPing)
					}
				} else if s.died != 0 {
					t.Errorf("given up at %v", s.died)
				}
				answered := 0
				if tt.srtt > 0 {
					answered = s.pings
				}
				// The pongs to the last ping may be missing: it is what the peer
				// died of, or they were under way at the end.
				last := s.pings - 1
				if s.answered > answered || s.answered < min(answered, last) {
					t.Errorf("%d pings of %d answered, want %d", s.answered, s.pings, answered)
				}
				if s.ignored > tt.ignored*s.pings || s.ignored < tt.ignored*last {
					t.Errorf("%d pongs ignored at %d pings, want %d each", s.ignored, s.pings, tt.ignored)
				}
				if s.rtt.SRTT() != tt.srtt || s.rtt.Samples() != uint64(s.answered) {
					t.Errorf("SRTT %v of %d samples, want %v of %d", s.rtt.SRTT(), s.rtt.Samples(), tt.srtt, s.answered)
				}
			})
		})
	}
}

// reader is the loop of a connection that is only watched: one timer, set when
// the Watch asks for it.
type reader struct {
	watch  Watch
	timer  *time.Timer
	resets int
}

func newReader(l *Limits) *reader {
	r := &reader{timer: time.NewTimer(time.Hour)}
	r.timer.Stop()
	r.watch.Start(l, time.Now())
	r.arm()
	return r
}

func (r *reader) arm() {
	if d := r.watch.Deadline(); !d.IsZero() {
		r.timer.Reset(time.Until(d))
		r.resets++
	}
}

// fired asks the Watch if the timer has fired.
func (r *reader) fired() error {
	select {
	case <-r.timer.C:
		if err := r.watch.Check(time.Now()); err != nil {
			return err
		}
		r.arm()
	default:
	}
	return nil
}

func (r *reader) read(p piece) {
	if note(&r.watch, time.Now(), p) {
		r.arm()
	}
}

// A frame is a store of a time: 100,000 of them, one a millisecond, set the
// timer as often as two idle timeouts fit into 100 s, and once at the start.
func TestWatchSetsItsTimerOncePerIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(&gatewayLimits)
		defer r.timer.Stop()
		for range 100_000 {
			time.Sleep(ms)
			if err := r.fired(); err != nil {
				t.Fatal(err)
			}
			r.read(wholeFrames)
		}
		if r.resets > 1+2 {
			t.Errorf("the timer was set %d times for 100,000 frames in 100s, want 3", r.resets)
		}
		last := time.Now()
		<-r.timer.C
		for r.watch.Check(time.Now()) == nil {
			r.arm()
			<-r.timer.C
		}
		if got := time.Since(last); got != gatewayLimits.Idle {
			t.Errorf("given up %v after the last frame, want %v", got, gatewayLimits.Idle)
		}
	})
}

// Every piece of a fast stream ends inside a frame: the frame timeout is always
// running, and yet the timer is set but once in each.
func TestWatchSetsItsTimerOncePerFrameTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReader(&gatewayLimits)
		defer r.timer.Stop()
		for range 100_000 {
			time.Sleep(ms)
			if err := r.fired(); err != nil {
				t.Fatal(err)
			}
			r.read(wholeThenPart)
		}
		if r.resets > 2+10 { // the idle one, the first frame's, then one in 10 s
			t.Errorf("the timer was set %d times for 100,000 pieces in 100s, want 12", r.resets)
		}
		last := time.Now()
		<-r.timer.C
		for r.watch.Check(time.Now()) == nil {
			r.arm()
			<-r.timer.C
		}
		if err := r.watch.Check(time.Now()); !errors.Is(err, ErrFrameTimeout) {
			t.Errorf("given up for %v, want %v", err, ErrFrameTimeout)
		}
		if got := time.Since(last); got != gatewayLimits.Frame {
			t.Errorf("given up %v after the open frame began, want %v", got, gatewayLimits.Frame)
		}
	})
}

// A peer that drips a byte a second is given up when the frame's time is up,
// not when it falls silent.
func TestWatchGivesUpADrippingPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		r := newReader(&gatewayLimits)
		defer r.timer.Stop()
		drip := time.NewTicker(sec)
		defer drip.Stop()
		for {
			select {
			case <-drip.C:
				r.read(onlyPart)
			case <-r.timer.C:
				err := r.watch.Check(time.Now())
				if !errors.Is(err, ErrFrameTimeout) {
					t.Errorf("got %v, want %v", err, ErrFrameTimeout)
				}
				if got := time.Since(start); got != 11*sec {
					t.Errorf("given up after %v, want 11s: the first byte came after 1s", got)
				}
				if r.resets != 2 {
					t.Errorf("the timer was set %d times, want 2", r.resets)
				}
				return
			}
		}
	})
}

// The protocol's own numbers fit together: a client that pings as it should is
// never idle to a gateway, whatever the jitter.
func TestHeartbeatKeepsAGatewayContent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		heartbeat := Heartbeat{Interval: 30 * sec, Timeout: 15 * sec}
		var p Pinger
		p.Start(&heartbeat, time.Now())
		r := newReader(&gatewayLimits)
		defer r.timer.Stop()
		for range 2000 {
			time.Sleep(time.Until(p.Next()))
			if got := p.Tick(time.Now()); got != SendPing {
				t.Fatalf("the client would %v, want to ping", got)
			}
			seq, nano := p.Ping(time.Now())
			time.Sleep(50 * ms)
			if err := r.fired(); err != nil {
				t.Fatal(err)
			}
			r.read(wholeFrames)
			time.Sleep(50 * ms)
			if _, ok := p.Pong(seq, nano, time.Now()); !ok {
				t.Fatal("the gateway's pong was ignored")
			}
		}
	})
}
