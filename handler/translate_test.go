package handler

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// translating has clients speak one format, and backends another: small is what tiny declares.
func translating(t *testing.T, edit func(*gateway.Format), u Upstream, h Handler) (*client, chan *client, *Handler) {
	t.Helper()
	dial, backends := pipes()
	u.Backends, u.Connections = []string{"backend:9000"}, &Connections{Min: new(int), Max: 1}
	u.Heartbeat = &UpstreamHeartbeat{Off: true}
	handler := forwarding(t, dial, func(to *Handler) {
		to.app, to.Format, to.OnInvalid, to.Upstream, to.Heartbeat = declaring(t, tiny(edit)), h.Format, h.OnInvalid, &u, h.Heartbeat
	})
	out := make(chan *client, 1)
	c := onPipe(t, handler)
	go func() { out <- &client{Conn: <-backends, t: t} }()
	return c, out, handler
}

// What goes up, and what comes back of an answer to it.
func TestTranslation(t *testing.T) {
	flags := func(f *gateway.Format) {
		f.Asks, f.Answers = &gateway.Match{Flag: "0x80/0x80"}, &gateway.Match{Flag: "0x40/0x40"}
	}
	ids := func(f *gateway.Format) {
		f.Asks, f.Answers, f.ID = &gateway.Match{Any: true}, &gateway.Match{Any: true}, &gateway.ID{Offset: 3, Size: 2}
	}
	tests := []struct {
		name, clients, backends string
		edit                    func(*gateway.Format)
		request, up             string
		down, answer            string
		pooled                  bool // request pooling can do it, too
	}{
		{
			"gopr, mc: only gopr says who asks", "gopr", "mc", nil,
			string(request), "MC\x01\x00\x10\x00\x00\x00\x05\x3b\x4b\x0e\xa7hello",
			"MC\x01\x00\x11\x00\x00\x00\x01\x2c\x34\xc2\x4bx", "GOPR\x00\x01\x00\x01\x11\x02x", true,
		},
		{
			"mc, gopr: each frame asks", "mc", "gopr", nil,
			"MC\x01\x00\x10\x00\x00\x00\x05\x3b\x4b\x0e\xa7hello", string(request),
			"GOPR\x00\x01\x00\x01\x11\x02x", "MC\x01\x00\x11\x00\x00\x00\x01\x2c\x34\xc2\x4bx", true,
		},
		{
			"gopr, fram: no command either", "gopr", "fram", nil,
			string(request), "FRAM\x00\x05hello\x33\x15\x34\x65", "FRAM\x00\x01x\xb0\xd9\x0f\x97", "GOPR\x00\x01\x00\x01\x00\x02x", true,
		},
		{
			"gopr, golg: a flag and no command, little-endian", "gopr", "golg", nil,
			string(request), "GLOG\x05\x00\x01hello", "GLOG\x01\x00\x08x", "GOPR\x00\x01\x00\x01\x00\x0ax", true,
		},
		{
			"gopr, by other flags", "gopr", "small", flags,
			"GOPR\x00\x01\x00\x02\x10\x05hi", "\x10\x84\x02hi", "\x11\x44\x01x", "GOPR\x00\x01\x00\x01\x11\x06x", true,
		},
		{
			"by other flags, gopr", "small", "gopr", flags,
			"\x10\x84\x02hi", "GOPR\x00\x01\x00\x02\x10\x05hi", "GOPR\x00\x01\x00\x01\x11\x06x", "\x11\x44\x01x", true,
		},
		{
			"neither says who asks", "golg", "mc", nil,
			"GLOG\x01\x00\x08x", "MC\x01\x00\x00\x00\x00\x00\x01\xe4\xbe\x13\x75x", "MC\x01\x00\x00\x00\x00\x00\x01\xe4\xbe\x13\x75x", "GLOG\x01\x00\x00x", false,
		},
		{
			"ids that the frames of clients have not", "gopr", "small", ids,
			"GOPR\x00\x01\x00\x03\x10\x01ab-", "\x10\x01\x03ab-", "\x10\x00\x03ab+", "GOPR\x00\x01\x00\x03\x10\x02ab+", false,
		},
	}
	for _, tt := range tests {
		for _, pooling := range []string{"session", "request"} {
			if pooling == "request" && !tt.pooled {
				continue
			}
			t.Run(tt.name+" "+pooling, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, backends, h := translating(t, tt.edit, Upstream{Format: tt.backends, Pooling: pooling}, Handler{Format: tt.clients})
					go c.send([]byte(tt.request))
					backend := <-backends
					backend.expect([]byte(tt.up))
					go backend.send([]byte(tt.down))
					c.expect([]byte(tt.answer))
					for _, direction := range []string{"in", "out"} {
						if n := metric(t, "frames_total", h.Name, "direction", direction); n != 1 {
							t.Errorf("%v frames %s, want 1", n, direction)
						}
					}
					_ = c.Close()
					<-c.done
					_ = backend.Close()
				})
			})
		}
	}
}

// A client's frame that the backend's format can't say is rejected, and those around it are not.
func TestUntranslatable(t *testing.T) {
	tests := []struct {
		name, clients, backends string
		hb                      *gateway.FormatHeartbeat
		wrong, why              string
	}{
		{"a command too large", "mc", "small", nil, string(mcFrame(0x100, "")), "frame can't be said in the format small: cmd 256 does not fit a small frame: at most 255"},
		{"a payload too long", "gopr", "small", nil, string(frame(0x10, 0, strings.Repeat("x", 256))), "frame can't be said in the format small: length 256 does not fit a small frame: at most 255"},
		{"a ping there", "gopr", "mc", nil, string(frame(0x01, 0, "")), "frame can't be said in the format mc: with command 0x01 and flag 0x00 it would be a heartbeat"},
		{"a pong there", "gopr", "small", &gateway.FormatHeartbeat{Ping: gateway.Match{Cmd: "5"}, Reply: &gateway.Reply{Cmd: new(uint32(6))}}, string(frame(0x06, 0, "")), "it would be a heartbeat"},
	}
	for _, tt := range tests {
		for _, onInvalid := range []string{onInvalidClose, onInvalidDrop} {
			t.Run(tt.name+" "+onInvalid, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, backends, h := translating(t, func(f *gateway.Format) { f.Heartbeat = tt.hb }, Upstream{Format: tt.backends}, Handler{Format: tt.clients, OnInvalid: onInvalid})
					from, err := h.app.Format(tt.clients)
					if err != nil {
						t.Fatal(err)
					}
					good, _ := from.Append(nil, 1, 0x20, 0, []byte("good"))
					to, _ := h.app.Format(tt.backends)
					version := uint32(0)
					if v := to.Layout().Versions; len(v) > 0 {
						version = v[0]
					}
					want, _ := to.Append(nil, version, 0x20, 0, []byte("good"))
					go c.send(good)
					backend := <-backends
					backend.expect(want)
					go func() { _, _ = c.Write(join([]byte(tt.wrong), good)) }() // one that closes does not read all
					if onInvalid == onInvalidDrop {
						backend.expect(want)
						_ = c.Close()
						<-c.done
					} else {
						c.expectEnd()
						closedFor(t, h, "malformed", 1)
					}
					if n := metric(t, "rejected_frames_total", h.Name, "reason", "malformed"); n != 1 {
						t.Errorf("%v frames rejected, want 1", n)
					}
					message := map[string]string{onInvalidClose: "connection closed", onInvalidDrop: "frame dropped"}[onInvalid]
					said := lines.of(h.Name, message)
					if len(said) == 0 {
						t.Fatal("no line says so")
					}
					contains(t, said[0].attrs["error"], tt.why)
					_ = backend.Close()
				})
			})
		}
	}
}

// A backend's frame that the clients' format can't say ends the client, after the frames before it.
func TestUntranslatableAnswer(t *testing.T) {
	for _, tt := range []struct{ name, request, down, why string }{
		{"a command too large", string(request), string(mcFrame(0x100, "")), "cmd 256 does not fit a gopr frame"},
		{"an answer that would be a pong", string(frame(0x10, 1, "")) + string(frame(0x02, 1, "")), string(mcFrame(2, "")), "with command 0x02 and flag 0x02 it would be a heartbeat"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, backends, h := translating(t, nil, Upstream{Format: "mc"}, Handler{})
				go c.send(request, []byte(tt.request))
				backend := <-backends
				backend.expect(mcFrame(0x10, "hello"))
				go func() { _, _ = backend.Write(join(mcFrame(0x10, "hello"), []byte(tt.down))) }()
				c.expect(answer)
				_ = backend.Close()
				c.expectEnd()
				closedFor(t, h, reasonUpstream, 1)
				contains(t, lines.of(h.Name, "connection closed")[0].attrs["error"], tt.why)
			})
		})
	}
}

// Where the clients' ping is another than the backends', what is a ping to the backend asks nobody: its pong is the link's, and must not shift the answers of
// those who share it.
func TestPingOfTheBackendsAsksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, func(h *Handler) {
			h.Heartbeat = &Heartbeat{Ping: &Control{Cmd: 5, Flag: 1}, Pong: &Control{Cmd: 6, Flag: 2}}
			h.Upstream.Pooling, h.Upstream.Connections = "request", &Connections{Min: new(1), Max: 1}
			h.Upstream.Heartbeat = &UpstreamHeartbeat{Off: true}
		})
		mallory, alice := onPipe(t, h), onPipe(t, h)
		mallory.send(ping)
		go answering(<-backends)
		synctest.Wait()
		for range 3 {
			alice.send(request)
			alice.expect(frame(0x10, 2, "hello"))
		}
		mallory.send(frame(0x11, 1, "mine"))
		mallory.expect(frame(0x11, 2, "mine"))
	})
}
