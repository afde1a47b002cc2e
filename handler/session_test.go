package handler

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// asked is an authenticator that a test answers for.
type asked func(ctx context.Context, c gateway.Credentials) error

func (a asked) Authenticate(ctx context.Context, c gateway.Credentials) error { return a(ctx, c) }

// authenticatedBy has every HELLO asked for.
func authenticatedBy(t testing.TB, a asked, edit func(*Handler)) (*Handler, chan net.Conn) {
	t.Helper()
	dial, links := pipes()
	return withSessions(t, dial, func(h *Handler) {
		h.authenticators = []gateway.Authenticator{a}
		if edit != nil {
			edit(h)
		}
	}), links
}

// TestAuthenticate: what an authenticator says is what the client gets; a token is enough without it, and too many failures are enough for an address.
func TestAuthenticate(t *testing.T) {
	h, _ := authenticatedBy(t, func(_ context.Context, c gateway.Credentials) error {
		switch string(c.Secret) {
		case "right":
			return nil
		case "broken":
			return errors.New("the database is away")
		}
		return gateway.ErrNotAuthorized
	}, func(h *Handler) { h.Limits = &Limits{FailedHello: &FailedHello{Tries: 2}} })
	come := func(secret string, token []byte) *client {
		c := onTCP(t, h)
		c.send(hello(t, wire.Hello{ClientID: []byte("meter-1"), Credential: []byte(secret), Token: token}))
		return c
	}
	c := come("right", nil)
	token := c.welcome().Token
	_ = c.Close()
	c = come("wrong", token)
	if !c.welcome().Resumed {
		t.Error("the token is not enough")
	}
	c = come("broken", nil)
	c.expectError(wire.ErrorStore)
	c.expectEnd()
	for range 3 {
		c = come("wrong", nil)
		c.expectError(wire.ErrorNotAuthorized)
		c.expectEnd()
	}
	c = come("right", nil)
	c.expectError(wire.ErrorLimit)
	c.expectEnd()
	closedFor(t, h, reasonStore, 1)
	closedFor(t, h, reasonNotAuthorized, 3)
	closedFor(t, h, reasonHelloLimited, 1)
}

// TestGoneBeforeWelcome: a client that goes while its HELLO is under way leaves nothing behind; nor does one that is sent away.
func TestGoneBeforeWelcome(t *testing.T) {
	for name, end := range map[string]func(h *Handler, c *client){
		"an operator":  func(h *Handler, c *client) { h.live.Conns()[0].End(gateway.ReasonKilled) },
		"a drain":      func(h *Handler, c *client) { h.live.Conns()[0].Leave() },
		"its own word": func(h *Handler, c *client) { close(sure) },
	} {
		t.Run(name, func(t *testing.T) {
			sure = make(chan struct{})
			began := make(chan struct{})
			h, _ := authenticatedBy(t, func(ctx context.Context, _ gateway.Credentials) error {
				close(began)
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-sure:
					return nil
				}
			}, nil)
			c := onTCP(t, h)
			c.send(hello(t, wire.Hello{ClientID: []byte("meter-1")}))
			<-began
			end(h, c)
			if name == "its own word" {
				_ = c.Close() // between the answer and the WELCOME, or before, or after
			}
			<-c.done
			eventually(t, "its end", func() bool { return h.live.Open() == 0 })
		})
	}
}

var sure chan struct{}

// TestHelloInAnyPieces: a HELLO and what follows it may come in one piece, or byte by byte; what follows waits for the WELCOME.
func TestHelloInAnyPieces(t *testing.T) {
	for name, size := range map[string]int{"at once": 1 << 20, "byte by byte": 1} {
		t.Run(name, func(t *testing.T) {
			dial, links := pipes()
			h := withSessions(t, dial, nil)
			c := onTCP(t, h)
			stream := join(hello(t, wire.Hello{ClientID: []byte("meter-1")}), publish(t, 1, 1, "one"), ping, publish(t, 2, 1, "two"))
			for len(stream) > 0 {
				n := min(size, len(stream))
				c.send(stream[:n])
				stream = stream[n:]
			}
			c.welcome()
			link := <-links
			defer link.Close()
			go ponging(link)
			for acks, pongs := 0, 0; acks < 2 || pongs < 1; {
				switch f := c.frame(); f.Cmd {
				case uint32(wire.CmdPubAck):
					acks++
				case uint32(wire.CmdPong):
					pongs++
				default:
					t.Fatalf("got %q", f.Raw)
				}
			}
		})
	}
}

// ponging answers pings alone.
func ponging(nc net.Conn) {
	for {
		cmd, flag, payload, err := readFrame(nc)
		if err != nil {
			return
		}
		if cmd == wire.CmdPing && flag == wire.FlagReq {
			if _, err := nc.Write(frame(wire.CmdPong, wire.FlagRsp, string(payload))); err != nil {
				return
			}
		}
	}
}

// TestSentAway: whoever ends an extended connection for the gateway's reasons, the client is told first.
func TestSentAway(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(gateway.Conn)
		goAway wire.GoAwayReason
		reason string
	}{
		{"a drain", gateway.Conn.Leave, wire.GoAwayDrain, gateway.ReasonDraining},
		{"the end of a drain", func(c gateway.Conn) { c.End(gateway.ReasonDraining) }, wire.GoAwayDrain, gateway.ReasonDraining},
		{"an operator", func(c gateway.Conn) { c.End(gateway.ReasonKilled) }, wire.GoAwayOther, gateway.ReasonKilled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial, _ := pipes()
			h := withSessions(t, dial, nil)
			c := onTCP(t, h)
			c.send(hello(t, wire.Hello{ClientID: []byte("meter-1")}))
			c.welcome()
			eventually(t, "the session", func() bool { return h.live.Conns()[0].Info().Session != "" })
			if i := h.live.Conns()[0].Info(); i.Client != "meter-1" {
				t.Errorf("the connection is %q's", i.Client)
			}
			tt.end(h.live.Conns()[0])
			f := c.frame()
			g, ok := wire.ParseGoAway(f.Payload)
			if f.Cmd != uint32(wire.CmdGoAway) || !ok || g.Reason != tt.goAway || g.After > 2*time.Second {
				t.Errorf("got %q", f.Raw)
			}
			c.expectEnd()
			closedFor(t, h, tt.reason, 1)
		})
	}
}

// TestViolations: what a client with a session must not do: it is told what it was, and closed.
func TestViolations(t *testing.T) {
	allowed := func(h *Handler) { h.Commands = []string{"0x10-0x1F"} }
	for _, tt := range []struct {
		name   string
		send   []byte
		code   wire.ErrorCode
		reason string
	}{
		{"HELLO twice", hello(t, wire.Hello{ClientID: []byte("meter-1")}), wire.ErrorProtocol, reasonLateHello},
		{"a command that makes no sense", frame(uint8(wire.CmdWelcome), 0, ""), wire.ErrorProtocol, reasonViolation},
		{"a command of the protocol's that is none", frame(0x0F, 0, ""), wire.ErrorProtocol, "command"},
		{"a command that is not allowed", frame(0x20, 0, ""), wire.ErrorProtocol, "command"},
		{"an id that was used", join(publish(t, 7, 1, "a"), publish(t, 7, 1, "b")), wire.ErrorID, reasonViolation},
		{"QoS 3", frame(0x10, 0x0C, "abcd"), wire.ErrorMalformed, "malformed"},
		{"no frame", []byte("GET / HTTP"), wire.ErrorMalformed, "magic"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial, _ := pipes()
			h := withSessions(t, dial, allowed)
			c := onTCP(t, h)
			c.send(hello(t, wire.Hello{ClientID: []byte("meter-1")}))
			c.welcome()
			c.send(tt.send)
			f := c.frame()
			for f.Cmd == uint32(wire.CmdPubAck) {
				f = c.frame()
			}
			if e, ok := wire.ParseError(&f); f.Cmd != uint32(wire.CmdError) || !ok || e.Code != tt.code {
				t.Errorf("got %q, want an ERROR of %v", f.Raw, tt.code)
			}
			_ = c.Close()
			<-c.done
			closedFor(t, h, tt.reason, 1)
		})
	}
}

// TestMuteClientsAreNotPinged: a client that has not said that it answers pings gets none.
func TestMuteClientsAreNotPinged(t *testing.T) {
	for name, caps := range map[string]wire.Capability{"mute": wire.CapQoS, "answering": wire.CapQoS | wire.CapPong} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, _ := pipes()
				h := withSessions(t, dial, func(h *Handler) { h.Heartbeat = &Heartbeat{Probe: *duration(10 * time.Second)} })
				c := onPipe(t, h)
				c.send(hello(t, wire.Hello{ClientID: []byte("meter-1"), Capabilities: caps}))
				c.welcome()
				_ = c.SetReadDeadline(time.Now().Add(40 * time.Second))
				_, err := c.Read(make([]byte, 1))
				if pinged := err == nil; pinged != (name == "answering") {
					t.Errorf("pinged: %v", pinged)
				}
				_ = c.Close()
				<-c.done
			})
		})
	}
}

// TestManyHellos: a fleet that comes at once is served, each with its own session.
func TestManyHellos(t *testing.T) {
	const clients = 1000
	h := withSessions(t, loopback(t, ponging), nil)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c := onPipe(t, h)
			c.send(hello(t, wire.Hello{ClientID: []byte(strings.Repeat("x", 1+i%200) + string(rune('a'+i/200)))}))
			if w := c.welcome(); w.Resumed {
				t.Error("it is another's session")
			}
		})
	}
	all.Wait()
	if n := h.live.Open(); n != clients {
		t.Errorf("%d are served, want %d", n, clients)
	}
}

// TestLastMessage: a client that closes its sending side at once after a message still gets the acknowledgement.
func TestLastMessage(t *testing.T) {
	h := withSessions(t, loopback(t, ponging), nil)
	c := onTCP(t, h)
	c.send(hello(t, wire.Hello{ClientID: []byte("meter-1")}))
	c.welcome()
	c.send(publish(t, 1, 1, "last"))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if f := c.frame(); f.Cmd != uint32(wire.CmdPubAck) {
		t.Errorf("got %q, want PUBACK", f.Raw)
	}
	c.expectEnd()
	closedFor(t, h, reasonEOF, 1)
}
