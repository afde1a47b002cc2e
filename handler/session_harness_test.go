package handler

import (
	"net"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// withSessions is a handler whose clients may say HELLO, in front of a backend.
func withSessions(t testing.TB, dial func() (net.Conn, error), edit func(*Handler)) *Handler {
	t.Helper()
	h := forwarding(t, dial, func(h *Handler) {
		h.Sessions = new(Sessions)
		if edit != nil {
			edit(h)
		}
	})
	h.sessions = h.settings.sessions.acquire(h.settings.name)
	t.Cleanup(func() { gateway.ReleaseSessions(h.sessions) })
	return h
}

// hello is a HELLO in bytes.
func hello(t testing.TB, h wire.Hello) []byte {
	t.Helper()
	if h.Capabilities == 0 {
		h.Capabilities = wire.CapQoS | wire.CapResume | wire.CapCRC
	}
	if h.Expiry == 0 {
		h.Expiry = time.Hour
	}
	b, err := wire.AppendHello(nil, &h)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame reads one frame.
func (c *client) frame() (f wire.Frame) {
	c.t.Helper()
	cmd, flag, payload, err := readFrame(c)
	if err != nil {
		c.t.Fatalf("reading a frame: %v", err)
	}
	raw := wire.AppendFrame(nil, cmd, flag, payload)
	return wire.Frame{Version: 1, Cmd: uint32(cmd), Flag: uint32(flag), Payload: raw[wire.HeaderLen:], Raw: raw}
}

// expectError reads an ERROR.
func (c *client) expectError(code wire.ErrorCode) {
	c.t.Helper()
	f := c.frame()
	e, ok := wire.ParseError(&f)
	if f.Cmd != uint32(wire.CmdError) || !ok || e.Code != code {
		c.t.Fatalf("got %q, want an ERROR of %v", f.Raw, code)
	}
}

// welcome reads a WELCOME.
func (c *client) welcome() wire.Welcome {
	c.t.Helper()
	f := c.frame()
	w, ok := wire.ParseWelcome(f.Payload)
	if f.Cmd != uint32(wire.CmdWelcome) || !ok {
		c.t.Fatalf("got %q, want WELCOME", f.Raw)
	}
	return w
}

// publish is a message of the given quality.
func publish(t testing.TB, id uint32, qos uint8, payload string) []byte {
	t.Helper()
	b, err := wire.AppendExt(nil, 0x10, &wire.Ext{QoS: qos, ID: id, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
