package client

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go func() {
			f, _ := p.next()
			time.Sleep(3 * time.Millisecond)
			p.send(wire.CmdPong, wire.FlagRsp, "not an echo")
			p.send(wire.CmdPong, wire.FlagRsp, "twelve bytes")
			p.send(wire.CmdPong, wire.FlagRsp, string(f.Payload))
			p.send(wire.CmdPong, wire.FlagRsp, string(f.Payload)) // and once more
		}()
		rtt, err := c.Ping(t.Context())
		if err != nil || rtt != 3*time.Millisecond {
			t.Errorf("got %v, %v, want 3ms", rtt, err)
		}
		synctest.Wait()
		if got := c.Status(); got.RTT != 0 || got.State != Connected {
			t.Errorf("a measurement is no heartbeat, and pongs too many no fault: %+v", got)
		}
	})
}

// Pongs are matched by what they echo, in whatever order they come.
func TestPingsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		rtts := make(chan time.Duration, 2)
		var payloads []string
		for range 2 {
			go func() {
				rtt, err := c.Ping(t.Context())
				if err != nil {
					t.Error(err)
				}
				rtts <- rtt
			}()
			f, err := p.next()
			if err != nil || f.Cmd != wire.CmdPing || f.Flag != wire.FlagReq {
				t.Fatalf("peer got %v, %v", f, err)
			}
			payloads = append(payloads, string(f.Payload))
			time.Sleep(time.Second)
		}
		p.send(wire.CmdPong, wire.FlagRsp, payloads[1])
		if got := <-rtts; got != time.Second {
			t.Errorf("the second took %v, want 1s", got)
		}
		p.send(wire.CmdPong, wire.FlagRsp, payloads[0])
		if got := <-rtts; got != 2*time.Second {
			t.Errorf("the first took %v, want 2s", got)
		}
	})
}

func TestPingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		go p.read()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || err.Error() != "sent, no pong: context deadline exceeded" {
			t.Errorf("no pong: %v", err)
		}
		if _, err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || err.Error() != "not sent: context deadline exceeded" {
			t.Errorf("a context that has ended: %v", err)
		}
		l := c.now.Load().link
		if len(l.pings) != 0 {
			t.Errorf("%d pings are remembered, and nobody waits", len(l.pings))
		}
		go func() {
			time.Sleep(time.Second)
			p.nc.Close()
		}()
		if _, err := c.Ping(t.Context()); !errors.Is(err, ErrLost) {
			t.Errorf("lost: %v", err)
		}
		if _, err := c.Ping(t.Context()); !errors.Is(err, ErrNotConnected) {
			t.Errorf("not connected: %v", err)
		}
	})
}

// Pings of both kinds have numbers of their own, so neither is answered by the other's pong.
func TestPingBesideHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		for range 3 {
			heartbeat, err := p.next()
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				ping, _ := p.next()
				time.Sleep(time.Second)
				p.send(wire.CmdPong, wire.FlagRsp, string(ping.Payload))
				time.Sleep(time.Second)
				p.send(wire.CmdPong, wire.FlagRsp, string(heartbeat.Payload))
			}()
			if rtt, err := c.Ping(t.Context()); err != nil || rtt != time.Second {
				t.Errorf("ping: %v, %v, want 1s", rtt, err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := c.Status().RTT; got != 2*time.Second {
				t.Errorf("heartbeat: %v, want 2s", got)
			}
		}
	})
}
