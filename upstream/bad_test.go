package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"strings"
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
		reason string
	}{
		{"garbage", says("HTTP/1.1 400 Bad Request\r\n"), 0, func(err error) bool { return errors.As(err, &reject) && reject.Reason == wire.ReasonMagic }, "magic"},
		{"a wrong version", says(string(version)), 0, func(err error) bool { return errors.As(err, &reject) && reject.Reason == wire.ReasonVersion }, "version"},
		{"a frame and garbage", says(string(bad) + "garbage"), 0, func(err error) bool { return errors.As(err, &reject) }, "magic"},
		{"half a frame", says(string(bad[:8])), 10 * time.Second, is(keepalive.ErrFrameTimeout), "frame_timeout"},
		{"no pongs", (*visit).mute, 45 * time.Second, is(client.ErrHeartbeat), "heartbeat"},
		{"hangs up", (*visit).hangUp, 0, is(io.EOF), "eof"},
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
				if s := g.Stat().Backends[0]; s.Lost != 1 || s.Links != 0 || !maps.Equal(s.Ended, map[string]uint64{tt.reason: 1}) {
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

// Under request pooling, what a backend does wrong ends its link for a reason that can be told, and those clients alone whose answers can no longer come.
func TestBadBackendsOfManyClients(t *testing.T) {
	answer := wire.AppendFrame(nil, 0x10, wire.FlagRsp, []byte("x"))
	for _, tt := range []struct {
		name   string
		behave func(*visit)
		reason string
		after  time.Duration // since the client asked
		lost   error         // what the client that asks is told; nil: nothing
		got    []string      // what it got; with neither, nobody asks
	}{
		{"answers twice", func(v *visit) { v.each(func(f frame) { v.reply(f); v.reply(f) }) }, "unasked", 0, nil, []string{"asked"}},
		{"answers what nobody asked", func(v *visit) { v.send(0x10, wire.FlagRsp, "unasked"); v.mute() }, "unasked", 0, nil, nil},
		{"answers with another command", func(v *visit) { v.each(func(frame) { v.send(0x11, wire.FlagRsp, "wrong") }) }, "answer_command", 0, ErrLost, nil},
		{"half an answer", func(v *visit) { v.each(func(frame) { _, _ = v.nc.Write(answer[:7]) }) }, "frame_timeout", 10 * time.Second, ErrLost, nil},
		{"garbage", func(v *visit) { v.each(func(frame) { _, _ = v.nc.Write([]byte("HTTP/1.1 400 Bad Request")) }) }, "magic", 0, ErrLost, nil},
		{"hangs up", func(v *visit) { _, _ = v.next() }, "eof", 0, ErrLost, nil},
		{"accepts and never reads", deaf(time.Hour), "write_timeout", 10 * time.Second, ErrLost, nil},
		{"never answers", (*visit).swallow, "request_timeout", 64 * time.Second, ErrRequestTimeout, nil},
		{"no pongs", (*visit).mute, "heartbeat", 20 * time.Second, ErrLost, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = tt.behave
				log := new(bytes.Buffer)
				heartbeat := &keepalive.Heartbeat{Interval: 15 * time.Second, Timeout: 5 * time.Second, Jitter: -1}
				if tt.reason == "write_timeout" || tt.reason == "frame_timeout" {
					heartbeat = &noHeartbeat
				}
				minLinks := -1 // so that it is dialled once
				if tt.lost == nil && tt.got == nil {
					minLinks = 1 // without being asked
				}
				g := n.group(t, Config{
					Pooling: Request, MinLinks: minLinks, MaxLinks: 1, StrictAnswers: true, Heartbeat: heartbeat, Logger: slog.New(slog.NewTextHandler(log, nil)),
				})
				p, bystander := lease(t, g), lease(t, g)
				if tt.got != nil || tt.lost != nil {
					p.ask("asked")
				}
				time.Sleep(tt.after + ms)
				synctest.Wait()
				if tt.lost != nil {
					p.expectLost(tt.lost)
					equal(t, "it got", p.got, tt.got)
				} else if tt.got != nil {
					p.expect(tt.got...)
				}
				bystander.expect()
				if b := g.Stat().Backends[0]; b.Ended[tt.reason] == 0 || len(b.Ended) != 1 {
					t.Errorf("%+v", b)
				}
				if tt.reason != "eof" && !strings.Contains(log.String(), `msg="link to a backend ended" backend=a:1 reason=`+tt.reason) {
					t.Errorf("the log: %s", log)
				}
			})
		})
	}
}

// Frames that answer nothing are nobody's under request pooling: they are counted, and end nothing.
func TestUnsolicitedFramesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x10, 0, "news")
			v.send(0x10, 0, "more news")
			v.echo()
		}
		g := n.group(t, shareOne)
		p := lease(t, g)
		p.ask("1")
		synctest.Wait()
		p.expect("1")
		if b := g.Stat().Backends[0]; b.Unsolicited != 2 || b.Links != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// After an answer that nobody asked for nothing of that link is delivered any more, also where a request comes in before its end.
func TestNothingFollowsAnAnswerNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = (*visit).swallow
		g := n.group(t, shareOne)
		synctest.Wait()
		p := lease(t, g)
		s := g.req.links.Load().of[0].links[0]
		frame := wire.AppendFrame(nil, 0x10, wire.FlagRsp, []byte("stray"))
		f := wire.Frame{Cmd: 0x10, Flag: uint32(wire.FlagRsp), Raw: frame, Payload: frame[wire.HeaderLen:]}
		s.mu.Lock() // as if all came in one piece
		s.ledger.enter(p.lease.(*pooled), frame, 1, time.Now())
		s.inflight.Add(1)
		s.mu.Unlock()
		p.lease.(*pooled).asked.Add(1)
		for i, want := range []bool{true, false, false} {
			s.Frame(frame, 0, len(frame), &f)
			s.Flush(frame)
			if i == 1 && s.submit(p.lease.(*pooled), frame, 1, time.Now()) {
				t.Error("a request was sent over a link that has ended")
			}
			if want {
				p.expect("stray")
			} else {
				p.expect()
			}
		}
	})
}

// A panic while a frame is delivered costs that link, and nobody else.
func TestPanicEndsTheLink(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		log := new(bytes.Buffer)
		g := n.group(t, Config{Pooling: pooling, Logger: slog.New(slog.NewTextHandler(log, nil))})
		synctest.Wait()
		bad, good := &panicker{peer: peer{t: t}}, lease(t, g)
		bad.lease = g.Lease(bad, Client{})
		bad.ask("boom")
		synctest.Wait()
		good.ask("1")
		time.Sleep(time.Minute)
		good.expect("1")
		b := g.Stat().Backends[0]
		if b.Ended["panic"] != 1 || b.Links == 0 {
			t.Errorf("%+v", b)
		}
		if !strings.Contains(log.String(), "panic on a link to a backend") || !strings.Contains(log.String(), "TestPanicEndsTheLink") && !strings.Contains(log.String(), "panicker") {
			t.Errorf("the log: %s", log)
		}
	})
}

type panicker struct{ peer }

func (p *panicker) Frames([]byte, int) bool { panic("a mistake of ours") }

// A dial that panics is one that failed.
func TestPanicInADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, Config{Backends: []string{"a:1"}, Dial: func(context.Context, string, string) (net.Conn, error) { panic("a mistake of ours") }})
		synctest.Wait()
		if b := g.Stat().Backends[0]; b.DialErrors != 1 || b.Failures != 1 || !strings.Contains(b.Error, "panic") {
			t.Errorf("%+v", b)
		}
	})
}
