package upstream

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What a backend does wrong ends its link, and that alone, for a reason that can be told.
func TestBadBackends(t *testing.T) {
	bad := wire.AppendFrame(nil, 0x10, 0, []byte("x"))
	version := append([]byte(nil), bad...)
	version[5] = 2
	var reject *wire.RejectError
	for _, tt := range []struct {
		name   string
		behave func(*visit)
		after  time.Duration // since the link was dialled
		is     func(error) bool
	}{
		{"garbage", says("HTTP/1.1 400 Bad Request\r\n"), 0, func(err error) bool { return errors.As(err, &reject) && reject.Reason == wire.ReasonMagic }},
		{"a wrong version", says(string(version)), 0, func(err error) bool { return errors.As(err, &reject) && reject.Reason == wire.ReasonVersion }},
		{"a frame and garbage", says(string(bad) + "garbage"), 0, func(err error) bool { return errors.As(err, &reject) }},
		{"half a frame", says(string(bad[:8])), 10 * time.Second, is(keepalive.ErrFrameTimeout)},
		{"no pongs", (*visit).mute, 45 * time.Second, is(client.ErrHeartbeat)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1")
				n["a:1"].behave = tt.behave
				g := n.group(t, Config{MinLinks: -1, Policy: First, OnLoss: Close, Heartbeat: &keepalive.Heartbeat{Interval: 30 * time.Second, Jitter: -1}})
				p := lease(t, g)
				if tt.after > 0 {
					time.Sleep(tt.after - time.Nanosecond)
					synctest.Wait()
					p.expect(p.got...) // still there
					time.Sleep(time.Nanosecond)
				}
				synctest.Wait()
				p.expectLost(ErrLost)
				if !tt.is(p.lost[0]) {
					t.Errorf("the reason is %v", p.lost[0])
				}
				if s := g.Stat().Backends[0]; s.Lost != 1 || s.Links != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

func says(s string) func(*visit) {
	return func(v *visit) {
		_, _ = v.nc.Write([]byte(s))
		v.mute()
	}
}

func is(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }

// A client whose backend no longer answers pings goes on over another.
func TestClientLeavesADeadBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].behave = (*visit).mute
		g := n.group(t, Config{MinLinks: -1})
		p := lease(t, g)
		p.say("1")
		time.Sleep(time.Minute)
		p.ask("2")
		synctest.Wait()
		p.expect("2")
		if at := p.lease.Backend(); at != "b:1" {
			t.Errorf("served by %q", at)
		}
	})
}
