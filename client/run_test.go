package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// history records the changes of a Client.
type history struct {
	mu  sync.Mutex
	all []Change
}

func (h *history) add(c Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, c)
}

// states are the states that were gone through; each change must begin where the one before ended.
func (h *history) states(t *testing.T) []State {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	states := []State{Disconnected}
	for _, c := range h.all {
		if c.From != states[len(states)-1] {
			t.Errorf("change from %v to %v after %v", c.From, c.To, states)
		}
		states = append(states, c.To)
	}
	return states
}

func (h *history) last() Change {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all[len(h.all)-1]
}

func TestDialTimes(t *testing.T) {
	const m = time.Minute
	const s = time.Second
	const ms = time.Millisecond
	tests := []struct {
		name  string
		delay time.Duration // that each dial takes until it is refused
		r     Reconnect
		want  []time.Duration
	}{
		{
			"1 s, × 1.5, and after 5 failures a pause", 0, evenly,
			[]time.Duration{0, 1 * s, 2500 * ms, 4750 * ms, 8125 * ms, 5*m + 8125*ms},
		},
		{
			"waits begin when a dial has failed", 2 * s, evenly,
			[]time.Duration{0, 3 * s, 6500 * ms, 10750 * ms, 16125 * ms, 5*m + 18125*ms},
		},
		{
			"a dial that hangs is given up after 5 s, and is alone", time.Hour,
			Reconnect{Jitter: -1, Factor: 1},
			[]time.Duration{0, 6 * s, 12 * s, 18 * s, 24 * s, 5*m + 29*s},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				n := newNetwork()
				n.up, n.delay = false, tt.delay
				c := start(t, n, Options{Reconnect: tt.r})
				time.Sleep(6 * m)
				c.Close()
				if got := n.dialTimes(begin); len(got) < len(tt.want) || !slices.Equal(got[:len(tt.want)], tt.want) {
					t.Errorf("dials at %v, want %v", got, tt.want)
				}
				if n.overlap {
					t.Error("two dials at once")
				}
			})
		})
	}
}

func TestWaitsHaveJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 50 {
			begin := time.Now()
			n := newNetwork()
			n.up = false
			c := start(t, n, Options{})
			time.Sleep(1600 * time.Millisecond)
			c.Close()
			dials := n.dialTimes(begin)
			if len(dials) < 2 || dials[1] < 500*time.Millisecond || dials[1] > 1500*time.Millisecond {
				t.Fatalf("dials at %v, want the second after 1 s ± 50 %%", dials)
			}
			seen[dials[1]] = true
		}
		if len(seen) < 40 {
			t.Errorf("50 waits had %d lengths only", len(seen))
		}
	})
}

func TestStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		n := newNetwork()
		c := start(t, n, Options{Reconnect: evenly, OnState: h.add})
		p := n.accept(t)
		go p.serve()
		synctest.Wait()
		if got, want := h.last(), (Change{From: Connecting, To: Connected, At: time.Now()}); got != want {
			t.Errorf("connected: got %+v, want %+v", got, want)
		}

		time.Sleep(time.Minute)
		n.set(false)
		p.nc.Close()
		synctest.Wait()
		if got, want := h.last(), (Change{Connected, Reconnecting, time.Now(), io.EOF, time.Now().Add(time.Second)}); got.String() != want.String() {
			t.Errorf("lost: got %v, want %v", got, want)
		}

		time.Sleep(8125 * time.Millisecond) // 1 s + 1.5 s + … : the 4th dial fails; the loss after a minute was no failure
		synctest.Wait()
		if got := c.State(); got != Reconnecting {
			t.Errorf("after 4 failures: %v", got)
		}
		time.Sleep(6 * time.Second)
		if got, want := h.last(), (Change{Reconnecting, Paused, h.last().At, errRefused, h.last().At.Add(5 * time.Minute)}); got.String() != want.String() {
			t.Errorf("after 5 failures: got %v, want %v", got, want)
		}

		n.set(true)
		p = n.accept(t)
		go p.serve()
		synctest.Wait()
		c.Close()
		if got := h.last(); got.To != Closed || !errors.Is(got.Err, ErrClosed) {
			t.Errorf("closed: got %v", got)
		}
		want := []State{Disconnected, Connecting, Connected, Reconnecting, Paused, Reconnecting, Connected, Closed}
		if got := h.states(t); !slices.Equal(got, want) {
			t.Errorf("went through %v, want %v", got, want)
		}
	})
}

func TestBackoffStartsOverAfterStable(t *testing.T) {
	tests := []struct {
		up   time.Duration
		want time.Duration // the wait after the end of the connection
	}{
		{10 * time.Second, time.Second},
		{10*time.Second - 1, 2250 * time.Millisecond}, // the third failure in a row
		{0, 2250 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.up.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				n.up = false
				c := start(t, n, Options{Reconnect: evenly})
				time.Sleep(2 * time.Second) // two dials fail
				n.set(true)
				p := n.accept(t)
				if got := c.Status().Failures; got != 2 {
					t.Errorf("%d failures before, want 2", got)
				}
				time.Sleep(tt.up)
				p.nc.Close()
				ended := time.Now()
				synctest.Wait()
				if got := c.Status().NextDial.Sub(ended); got != tt.want {
					t.Errorf("next dial after %v, want %v", got, tt.want)
				}
				n.accept(t)
				if got := time.Since(ended); got != tt.want {
					t.Errorf("dialled after %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// A peer that accepts and hangs up is no better than one that is not there.
func TestPauseAfterShortConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := start(t, n, Options{Reconnect: evenly})
		for range 5 {
			n.accept(t).nc.Close()
		}
		wait(t, c, Paused)
		s := c.Status()
		if s.Failures != 5 || s.Connects != 5 || s.LastErr != io.EOF {
			t.Errorf("got %+v, want 5 failures of 5 connections, EOF", s)
		}
	})
}

// With strategy none a Client ends with its connection, or with the dial that did not make one.
func TestNoReconnect(t *testing.T) {
	for _, up := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			n.up = up
			c := start(t, n, Options{Reconnect: Reconnect{Strategy: NoReconnect}})
			want := errRefused
			if up {
				n.accept(t).nc.Close()
				want = io.EOF
			}
			synctest.Wait()
			if s := c.Status(); s.State != Closed || !errors.Is(s.LastErr, want) || !errors.Is(s.LastErr, ErrClosed) {
				t.Errorf("%+v", s)
			}
			time.Sleep(time.Hour)
			if got := len(n.dialTimes(time.Now())); got != 1 {
				t.Errorf("%d dials", got)
			}
		})
	}
}

func TestHeartbeatDeathReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var h history
		n := newNetwork()
		c := start(t, n, Options{Reconnect: evenly, OnState: h.add})
		p := n.accept(t)
		go p.read()
		n.accept(t) // the next one
		if got, want := time.Since(begin), 46*time.Second; got != want {
			t.Errorf("dialled again after %v, want %v", got, want)
		}
		wait(t, c, Connected)
		if got := c.Status().LastErr; got != ErrHeartbeat {
			t.Errorf("last error %v, want ErrHeartbeat", got)
		}
		want := []State{Disconnected, Connecting, Connected, Reconnecting, Connected}
		if got := h.states(t); !slices.Equal(got, want) {
			t.Errorf("went through %v, want %v", got, want)
		}
	})
}

func TestHeartbeatKeepsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.serve()
		time.Sleep(24 * time.Hour)
		if s := c.Status(); s.State != Connected || s.Connects != 1 {
			t.Errorf("after a day: %+v", s)
		}
	})
}

func TestHeartbeatCanBeOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{Heartbeat: keepalive.Heartbeat{Interval: -1}, FrameTimeout: -1})
		p.write(frame(0x10, 0, "half a frame, for ever")[:15])
		time.Sleep(24 * time.Hour)
		if got := c.State(); got != Connected {
			t.Errorf("after a day: %v", got)
		}
		if err := c.TrySend(0x10, 0, []byte("first bytes of the day")); err != nil {
			t.Fatal(err)
		}
		p.expect(0x10, 0, "first bytes of the day")
	})
}

func TestBadPeers(t *testing.T) {
	tests := []struct {
		name string
		peer func(p *peer)
		want func(error) bool
	}{
		{"hangs up", func(p *peer) { p.nc.Close() }, func(err error) bool { return err == io.EOF }},
		{"is no GOPR", func(p *peer) { p.write([]byte("SSH-2.0-x\r\n")) }, func(err error) bool {
			var reject *wire.RejectError
			return errors.As(err, &reject) && reject.Reason == wire.ReasonMagic
		}},
		{"sends more than accepted", func(p *peer) { p.send(0x10, 0, "12345") }, func(err error) bool {
			var reject *wire.RejectError
			return errors.As(err, &reject) && reject.Reason == wire.ReasonLength && reject.Got == 5 && reject.Want == 4
		}},
		{"holds half a header open", func(p *peer) { p.write([]byte("GOPR\x00")) }, func(err error) bool {
			return err == keepalive.ErrFrameTimeout
		}},
		{"answers what nobody asked", func(p *peer) { p.send(0x10, wire.FlagRsp, "no") }, func(err error) bool {
			return errors.Is(err, ErrUnexpectedAnswer)
		}},
		{"sends frames and then garbage", func(p *peer) { p.write(append(frame(0x10, 0, "ok"), "garbage"...)) }, func(err error) bool {
			var reject *wire.RejectError
			return errors.As(err, &reject)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := connect(t, Options{MaxPayload: 4})
				go p.read()
				tt.peer(p)
				wait(t, c, Reconnecting)
				if err := c.Status().LastErr; !tt.want(err) {
					t.Errorf("ended with: %v", err)
				}
			})
		})
	}
}

// Each state can be ended by the context and by Close, at once, and nothing is left (synctest and goleak see to that).
func TestEndInEveryState(t *testing.T) {
	reach := map[State]func(t *testing.T, n *network, c *Client){
		Connecting:   func(t *testing.T, n *network, c *Client) { n.delay = time.Hour },
		Connected:    func(t *testing.T, n *network, c *Client) {},
		Reconnecting: func(t *testing.T, n *network, c *Client) { n.up = false },
		Paused: func(t *testing.T, n *network, c *Client) {
			n.up = false
			c.opt.Reconnect.Attempts = 1
			c.retry = NewRetry(c.opt.Reconnect)
		},
	}
	for state, prepare := range reach {
		for _, by := range []string{"context", "Close"} {
			t.Run(state.String()+" by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var h history
					n := newNetwork()
					c, err := New("peer", Options{Dial: n.Dial, OnState: h.add})
					if err != nil {
						t.Fatal(err)
					}
					prepare(t, n, c)
					cause := errors.New("the program ends")
					ctx, cancel := context.WithCancelCause(t.Context())
					ran := make(chan error, 1)
					go func() { ran <- c.Run(ctx) }()
					wait(t, c, state)
					synctest.Wait()

					begin := time.Now()
					if by == "context" {
						cancel(cause)
					} else if err := c.Close(); err != nil {
						t.Errorf("Close: %v", err)
					}
					err = <-ran
					if !errors.Is(err, ErrClosed) || errors.Is(err, cause) != (by == "context") {
						t.Errorf("Run: %v", err)
					}
					if got := time.Since(begin); got != 0 {
						t.Errorf("ended after %v, want at once", got)
					}
					if got := h.last(); got.From != state || got.To != Closed { // a dial that was given up is no failure
						t.Errorf("last change: %v, want %v to closed", got, state)
					}
					s := c.Status()
					if s.State != Closed || !s.NextDial.IsZero() || !errors.Is(s.LastErr, ErrClosed) || s.RemoteAddr != nil {
						t.Errorf("status at the end: %+v", s)
					}
					if err := c.TrySend(0x10, 0, nil); !errors.Is(err, ErrNotConnected) || !errors.Is(err, ErrClosed) {
						t.Errorf("TrySend at the end: %v", err)
					}
					c.Close()
					cancel(nil)
				})
			})
		}
	}
}

// While the last words are being sent the Client does not pretend to be connected.
func TestCloseWithUnsentBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		if err := c.TrySend(0x10, 0, []byte("last words")); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			c.Close()
		}()
		time.Sleep(time.Second)
		if got := c.State(); got != Closed {
			t.Errorf("while closing: %v", got)
		}
		p.expect(0x10, 0, "last words")
		<-closed
		if got := time.Since(begin); got != time.Second {
			t.Errorf("Close returned after %v, want 1s, when the peer had read all", got)
		}
	})
}

func TestRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, Options{})
		if err := c.Run(t.Context()); err != errRunning {
			t.Errorf("second Run: %v", err)
		}
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { c.Close() })
		}
		all.Wait()
		if err := c.Run(t.Context()); err != ErrClosed {
			t.Errorf("Run after Close: %v", err)
		}
	})
}

func TestCloseBeforeRun(t *testing.T) {
	var h history
	c, err := New("127.0.0.1:1", Options{OnState: h.add})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { c.Close() })
	}
	all.Wait()
	if err := c.Run(t.Context()); err != ErrClosed {
		t.Errorf("Run: %v", err)
	}
	if got := h.states(t); !slices.Equal(got, []State{Disconnected, Closed}) {
		t.Errorf("went through %v", got)
	}
}

func TestDial(t *testing.T) {
	t.Run("connects, and outlives its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			c, err := Dial(ctx, "peer", Options{Dial: n.Dial})
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if got := c.State(); got != Connected {
				t.Fatalf("state %v", got)
			}
			p := n.accept(t)
			go p.serve()
			if f, err := c.Request(t.Context(), 0x10, []byte("there?")); err != nil || string(f.Payload) != "there?" {
				t.Errorf("got %q, %v", f.Payload, err)
			}
			p.nc.Close()
			n.accept(t) // it comes back by itself
			wait(t, c, Connected)
			if got := c.Status().Connects; got != 2 {
				t.Errorf("%d connects, want 2", got)
			}
		})
	})
	t.Run("returns the first failure", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var h history
			begin := time.Now()
			n := newNetwork()
			n.up = false
			c, err := Dial(t.Context(), "peer", Options{Dial: n.Dial, OnState: h.add})
			if c != nil || err != errRefused {
				t.Errorf("got %v, %v", c, err)
			}
			time.Sleep(time.Hour)
			if got := n.dialTimes(begin); len(got) != 1 {
				t.Errorf("dials at %v, want one", got)
			}
			if got, want := h.states(t), []State{Disconnected, Connecting, Closed}; !slices.Equal(got, want) {
				t.Errorf("went through %v, want %v", got, want)
			}
		})
	})
	t.Run("ends with its context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			n := newNetwork()
			n.delay = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := Dial(ctx, "peer", Options{Dial: n.Dial})
			if got := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || got != time.Second {
				t.Errorf("got %v after %v", err, got)
			}
		})
	})
	t.Run("says what is wrong", func(t *testing.T) {
		if _, err := Dial(t.Context(), "nonsense", Options{}); err == nil {
			t.Error("no error")
		}
	})
}

// A connection is closed also when its Client is before anybody has served it.
func TestCloseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			n := newNetwork()
			c, err := Dial(t.Context(), "peer", Options{Dial: n.Dial})
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if _, err := n.accept(t).next(); err != io.EOF {
				t.Fatalf("peer: %v, want EOF", err)
			}
		}
	})
}

func TestCloseFromCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *Client
		n := newNetwork()
		closed := make(chan struct{})
		c, err := New("peer", Options{Dial: n.Dial, OnFrame: func(wire.Frame) {
			go func() {
				defer close(closed)
				c.Close()
			}()
		}})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- c.Run(t.Context()) }()
		n.accept(t).send(0x10, 0, "close, please")
		<-closed
		if err := <-ran; err != ErrClosed {
			t.Errorf("Run: %v", err)
		}
	})
}
