package handler

import (
	"bytes"
	"net"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// totals leaves of an Info what is the same in every run.
func totals(i gateway.Info) gateway.Info {
	return gateway.Info{FramesIn: i.FramesIn, FramesOut: i.FramesOut, BytesIn: i.BytesIn, BytesOut: i.BytesOut, Unsent: i.Unsent, Unanswered: i.Unanswered}
}

// TestFlight: what the flight recorder has of a stream.
func TestFlight(t *testing.T) {
	start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of a synctest bubble
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	in := func(s int, cmd, flag uint32, bytes int) gateway.Frame {
		return gateway.Frame{At: at(s), Cmd: cmd, Flag: flag, Bytes: bytes, Times: 1}
	}
	beat := func(s, times int) gateway.Frame {
		return gateway.Frame{At: at(s), Heartbeat: true, Cmd: 1, Flag: 1, Bytes: 14, Times: times}
	}
	many := slices.Repeat([]gateway.Frame{in(0, 0x20, 0, 13)}, 31)
	for _, tt := range []struct {
		name   string
		pieces [][]byte // one a second
		want   []gateway.Frame
		heard  int // second; -1: never
		app    int
	}{
		{"nothing", nil, nil, -1, -1},
		{"half a frame", [][]byte{request[:5]}, nil, -1, -1},
		{"a request; its echo follows from it", [][]byte{request}, []gateway.Frame{in(0, 0x10, 1, 15)}, 0, 0},
		{"in two pieces, at the time of the second", [][]byte{request[:5], request[5:]}, []gateway.Frame{in(1, 0x10, 1, 15)}, 1, 1},
		{"heartbeats in a row are one", [][]byte{ping, join(ping, ping), ping}, []gateway.Frame{beat(2, 4)}, 2, -1},
		{"and begin anew after something else", [][]byte{join(ping, ping), oneWay, ping}, []gateway.Frame{beat(0, 2), in(1, 0x20, 0, 13), beat(2, 1)}, 2, 1},
		{"frames of the application are not counted together", [][]byte{join(oneWay, oneWay)}, []gateway.Frame{in(0, 0x20, 0, 13), in(0, 0x20, 0, 13)}, 0, 0},
		{"the last 32 of a long piece", [][]byte{join(request, bytes.Repeat(oneWay, 99), request)}, append(many, in(0, 0x10, 1, 15)), 0, 0},
		{"the last 32 of many", [][]byte{join(request, request), bytes.Repeat(oneWay, 30), request, request}, slices.Concat(slices.Repeat([]gateway.Frame{in(1, 0x20, 0, 13)}, 30), []gateway.Frame{in(2, 0x10, 1, 15), in(3, 0x10, 1, 15)}), 3, 3},
		{"what is not accepted", [][]byte{join(oneWay, frame(0x30, 0, "no"), oneWay)}, []gateway.Frame{in(0, 0x20, 0, 13), {At: at(0), Bytes: 12, Times: 1, Rejected: "command"}, in(0, 0x20, 0, 13)}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, newHandler(t, func(h *Handler) { h.OnInvalid, h.Commands = onInvalidDrop, []string{"0x10-0x2F"} }))
				for i, p := range tt.pieces {
					if i > 0 {
						time.Sleep(time.Second)
					}
					l.feed(p)
				}
				got := l.Recent()
				for i := range got {
					got[i].At = got[i].At.UTC()
				}
				if len(got)+len(tt.want) > 0 && !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got %+v\nwant %+v", got, tt.want)
				}
				i := l.Info()
				for _, when := range []struct {
					what   string
					got    time.Time
					second int
				}{{"heard", i.LastHeard, tt.heard}, {"application", i.LastFrame, tt.app}} {
					if when.second < 0 && !when.got.IsZero() || when.second >= 0 && !when.got.Equal(at(when.second)) {
						t.Errorf("last %s: %v, want second %d", when.what, when.got, when.second)
					}
				}
			})
		})
	}
}

// TestFlightBothWays: what went to the client and what came from it, in the order of their times; in a format with a checksum as well, and translated.
func TestFlightBothWays(t *testing.T) {
	for _, format := range []string{"gopr", "mc"} {
		t.Run(format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, backends := pipes()
				h := forwarding(t, dial, func(h *Handler) { h.app, h.Format, h.Upstream.Format = declaring(t, nil), format, "gopr" })
				live := gateway.AcquireLive(h.settings.name)
				defer gateway.ReleaseLive(live)
				c := onPipe(t, h)
				backend := &client{Conn: <-backends, t: t}
				ask := request
				if format == "mc" {
					ask = mcFrame(0x10, "hello")
				}
				c.send(ask)
				backend.expect(request)
				time.Sleep(time.Second)
				go backend.send(bytes.Repeat(answer, 40))
				for range 40 {
					readHeader(t, c, len(ask))
				}
				synctest.Wait()
				got := live.Conns()[0].Recent()
				if len(got) != maxRecorded {
					t.Fatalf("%d frames, want %d", len(got), maxRecorded)
				}
				for _, f := range got {
					if !f.Out || f.Cmd != 0x10 || f.Bytes != len(ask) {
						t.Errorf("%+v, want an answer", f)
					}
				}
			})
		})
	}
}

func readHeader(t *testing.T, nc net.Conn, n int) {
	t.Helper()
	expectBytes := make([]byte, n)
	for got := 0; got < n; {
		k, err := nc.Read(expectBytes[got:])
		if err != nil {
			t.Fatal(err)
		}
		got += k
	}
}

// TestFlightProbe: the gateway's own ping, its pong, and the round trip.
func TestFlightProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Heartbeat = &Heartbeat{Probe: caddy.Duration(20 * time.Second)}
			h.IdleTimeout = duration(0)
		})
		live := gateway.AcquireLive(h.settings.name)
		defer gateway.ReleaseLive(live)
		c := onPipe(t, h)
		_, _, payload, err := readFrame(c)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(30 * time.Millisecond)
		c.send(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload))
		synctest.Wait()
		conn := live.Conns()[0]
		got := conn.Recent()
		if len(got) != 2 || !got[0].Out || !got[0].Heartbeat || got[0].Cmd != uint32(wire.CmdPing) || got[1].Out || !got[1].Heartbeat || got[1].Cmd != uint32(wire.CmdPong) {
			t.Errorf("%+v, want a ping and its pong", got)
		}
		if i := conn.Info(); i.RTT != 30*time.Millisecond || !i.LastFrame.IsZero() || i.State != gateway.StateIdle {
			t.Errorf("%+v, want a round trip of 30ms, and an idle connection", i)
		}
	})
}

// TestFlightIsLazy: a connection that says nothing has no recorder, and one that only lives has a small one.
func TestFlightIsLazy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, newHandler(t, nil))
		if l.rec.n != 0 {
			t.Error("a connection without a frame has a header of one")
		}
		for range 1000 {
			l.feed(ping)
		}
		if l.rec.n != 1 || l.rec.ring != nil {
			t.Errorf("a connection that only pings has %d headers, and a ring: %v", l.rec.n, l.rec.ring != nil)
		}
		l.feed(bytes.Repeat(join(oneWay, ping), 100))
		if l.rec.n != maxRecorded || l.rec.ring == nil {
			t.Errorf("%d headers, want %d in a ring", l.rec.n, maxRecorded)
		}
	})
}
