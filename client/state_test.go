package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

func (c Change) String() string {
	return fmt.Sprintf("%v to %v at %v: %v, next dial %v", c.From, c.To, c.At, c.Err, c.NextDial)
}

func TestStateString(t *testing.T) {
	for s, want := range map[State]string{
		Disconnected: "disconnected", Connecting: "connecting", Connected: "connected",
		Reconnecting: "reconnecting", Paused: "paused", Closed: "closed", 42: "state(42)",
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.delay = time.Second
		c := start(t, n, Options{})

		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		err := c.Wait(ctx, Connected)
		if want := "waiting for connected while connecting: context deadline exceeded"; err == nil || err.Error() != want || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := c.Wait(ctx, Connecting); err != nil {
			t.Errorf("the state that it is in, with a context that has ended: %v", err)
		}

		begin := time.Now()
		wait(t, c, Connected)
		if got := time.Since(begin); got != 500*time.Millisecond {
			t.Errorf("connected after %v", got)
		}

		many := make(chan error)
		for range 10 {
			go func() { many <- c.Wait(context.Background(), Paused) }()
			go func() { many <- c.Wait(context.Background(), Closed) }()
		}
		synctest.Wait()
		c.Close()
		ended := 0
		for range 20 {
			if err := <-many; err == ErrClosed {
				ended++
			} else if err != nil {
				t.Errorf("got %v", err)
			}
		}
		if ended != 10 {
			t.Errorf("%d of those that waited for Paused were told that it will never be, want 10", ended)
		}
	})
}

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.up, n.delay = false, time.Second
		opt := Options{Dial: n.Dial, Reconnect: evenly}
		opt.Heartbeat.Jitter = -1
		c, err := New("peer", opt)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		made := time.Now()
		time.Sleep(time.Minute)
		if got, want := c.Status(), (Status{Since: made}); got != want {
			t.Errorf("before Run: %+v, want %+v", got, want)
		}

		go func() { _ = c.Run(context.Background()) }()
		begin := time.Now()
		synctest.Wait()
		if got, want := c.Status(), (Status{State: Connecting, Since: begin}); got != want {
			t.Errorf("while dialling: %+v, want %+v", got, want)
		}

		failed := begin.Add(time.Second)
		time.Sleep(1500 * time.Millisecond)
		if got, want := c.Status(), (Status{State: Reconnecting, Since: failed, LastErr: errRefused, Failures: 1, NextDial: failed.Add(time.Second)}); !same(got, want) {
			t.Errorf("after a failure: %+v, want %+v", got, want)
		}

		n.set(true)
		time.Sleep(time.Second) // 2.5 s: dialling again since 2 s
		if got, want := c.Status(), (Status{State: Reconnecting, Since: failed, LastErr: errRefused, Failures: 1}); !same(got, want) {
			t.Errorf("while dialling again: %+v, want %+v", got, want)
		}

		p := n.accept(t)
		wait(t, c, Connected)
		up := time.Now()
		asked := make(chan error, 1)
		go func() {
			_, err := c.Request(t.Context(), 0x10, []byte("12345"))
			asked <- err
		}()
		synctest.Wait()
		want := Status{State: Connected, Since: up, LastErr: errRefused, Failures: 1, Connects: 1, Unsent: 15, Inflight: 1}
		want.LocalAddr, want.RemoteAddr = p.nc.LocalAddr(), p.nc.RemoteAddr()
		if got := c.Status(); !same(got, want) {
			t.Errorf("connected, a request on its way: %+v, want %+v", got, want)
		}

		p.expect(0x10, 1, "12345")
		p.send(0x10, 2, "54321")
		if err := <-asked; err != nil {
			t.Error(err)
		}
		f, err := p.next() // the heartbeat's
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(70 * time.Millisecond)
		p.send(2, 2, string(f.Payload))
		synctest.Wait()
		want.Unsent, want.Inflight, want.RTT = 0, 0, 70*time.Millisecond
		if got := c.Status(); !same(got, want) {
			t.Errorf("after a heartbeat: %+v, want %+v", got, want)
		}

		p.nc.Close()
		synctest.Wait()
		lost := time.Now()
		if got, want := c.Status(), (Status{State: Reconnecting, Since: lost, LastErr: io.EOF, NextDial: lost.Add(time.Second), Connects: 1}); !same(got, want) {
			t.Errorf("lost: %+v, want %+v", got, want)
		}
	})
}

// same compares two; times are equal whether or not they carry a monotonic reading.
func same(a, b Status) bool {
	equal := a.Since.Equal(b.Since) && a.NextDial.Equal(b.NextDial)
	a.Since, a.NextDial = b.Since, b.NextDial
	return equal && a == b
}

func TestStateTakesNoMemory(t *testing.T) {
	c, err := New("127.0.0.1:1", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if allocs := testing.AllocsPerRun(100, func() { _ = c.State(); _ = c.Status() }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
