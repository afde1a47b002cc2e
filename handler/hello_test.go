package handler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestBadHello: what a client is told that says no HELLO, or a wrong one, or one too late, and why its connection ends.
func TestBadHello(t *testing.T) {
	good := hello(t, wire.Hello{ClientID: []byte("meter-1")})
	required := func(h *Handler) { h.Sessions.Require = requireHello }
	tests := []struct {
		name   string
		edit   func(*Handler)
		send   []byte
		code   wire.ErrorCode
		reason string
	}{
		{"half a HELLO", nil, frame(uint8(wire.CmdHello), 0, "\x01\x01"), wire.ErrorMalformed, "malformed"},
		{"no client id", nil, frame(uint8(wire.CmdHello), 0, "\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00"), wire.ErrorMalformed, "malformed"},
		{"version 0", nil, frame(uint8(wire.CmdHello), 0, "\x00\x01\x00\x00\x00\x00\x01a\x00\x00\x00"), wire.ErrorMalformed, "malformed"},
		{"after another frame", nil, join(oneWay, good), wire.ErrorProtocol, reasonLateHello},
		{"a frame where HELLO is required", required, oneWay, wire.ErrorProtocol, reasonNoHello},
		{"a ping where HELLO is required", required, ping, wire.ErrorProtocol, reasonNoHello},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dial, _ := pipes()
			h := withSessions(t, dial, tt.edit)
			c := onPipe(t, h)
			go func() { _, _ = c.Write(tt.send) }()
			c.expectError(tt.code)
			c.expectEnd()
			closedFor(t, h, tt.reason, 1)
		})
	}
}

// TestSilentWhereHelloIsRequired: who says nothing is not waited for.
func TestSilentWhereHelloIsRequired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, _ := pipes()
		h := withSessions(t, dial, func(h *Handler) { h.Sessions.Require = requireHello })
		c := onPipe(t, h)
		began := time.Now()
		c.expectEnd()
		if took := time.Since(began); took != defaultFirstHello {
			t.Errorf("it took %v, want %v", took, defaultFirstHello)
		}
		closedFor(t, h, reasonNoHello, 1)
	})
}

// TestPlainBesideSessions: a client that says no HELLO is served as where there are no sessions; it has a link from its first frame on.
func TestPlainBesideSessions(t *testing.T) {
	for name, first := range map[string][]byte{"a frame": oneWay, "a heartbeat": ping} {
		t.Run(name, func(t *testing.T) {
			dial, links := pipes()
			h := withSessions(t, dial, nil)
			c := onPipe(t, h)
			c.send(first)
			link := <-links
			if string(first) == string(ping) {
				c.expect(pong)
			} else {
				expect(t, link, first)
			}
			go func() { _, _ = link.Write(answer) }() // unasked
			c.expect(answer)
			_ = c.Close()
			<-c.done
			closedFor(t, h, reasonEOF, 1)
		})
	}
}

// TestHello: a client gets a session, its messages go to the backend as the application's frames, and it is told when they are safe.
func TestHello(t *testing.T) {
	dial, links := pipes()
	h := withSessions(t, dial, nil)
	c := onPipe(t, h)
	c.send(hello(t, wire.Hello{ClientID: []byte("meter-1")}))
	if w := c.welcome(); w.Resumed || len(w.Token) != 16 || w.Window != 64 || w.Idle != 45*time.Second || w.Heartbeat > 30*time.Second || w.Heartbeat < 27*time.Second {
		t.Errorf("WELCOME says %+v", w)
	}
	c.send(publish(t, 1, 1, "hello"))
	link := <-links
	defer link.Close()
	ack := c.frame()
	if ack.Cmd != uint32(wire.CmdPubAck) {
		t.Errorf("got %q, want PUBACK", ack.Raw)
	}
	expect(t, link, frame(0x10, 0, "hello"))
}
