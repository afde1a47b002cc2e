package client

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.member(t, SessionOptions{
			ClientID: "device 42", Expiry: time.Hour, CRC: true,
			Credential: func(context.Context) ([]byte, error) { return []byte("secret"), nil },
		})
		wait(t, c, Connected)
		g.hangUp()
		time.Sleep(2 * time.Second)
		wait(t, c, Connected)
		g.mu.Lock()
		defer g.mu.Unlock()
		if len(g.greets) != 2 {
			t.Fatalf("%d HELLOs", len(g.greets))
		}
		for i, h := range g.greets {
			if string(h.ClientID) != "device 42" || string(h.Credential) != "secret" || h.Expiry != time.Hour ||
				h.Capabilities != wire.CapQoS|wire.CapCRC|wire.CapResume|wire.CapPong || (len(h.Token) > 0) != (i == 1) {
				t.Errorf("HELLO %d: %+v", i, h)
			}
		}
		if s := c.Status().Session; !s.Resumed || s.Begun != 1 || s.Resumes != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestHelloHeartbeat: the client pings as often as WELCOME says, which is every 20 s.
func TestHelloHeartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c := g.member(t, SessionOptions{})
		wait(t, c, Connected)
		time.Sleep(19 * time.Second)
		if rtt := c.Status().RTT; rtt != 0 {
			t.Fatal("pinged early")
		}
		var link *link
		if link, _ = c.current(); link.conn.beat.Interval != 20*time.Second || link.conn.beat.Timeout != 15*time.Second {
			t.Errorf("%+v", link.conn.beat)
		}
	})
}

func TestHelloRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		g.refuse = &wire.ErrorFrame{Code: wire.ErrorNotAuthorized, Text: "who are you?"}
		c := g.member(t, SessionOptions{})
		wait(t, c, Paused) // after 5 tries, as with any failed dial
		var e *wire.ErrorFrame
		err := c.Status().LastErr
		if !errors.Is(err, ErrRefused) || !errors.As(err, &e) || e.Code != wire.ErrorNotAuthorized || e.Text != "who are you?" {
			t.Errorf("got %v", err)
		}
		if len(g.greets) != 5 {
			t.Errorf("%d HELLOs", len(g.greets))
		}
	})
}

// TestHelloAnswers: what is answered to HELLO, and what becomes of the dial.
func TestHelloAnswers(t *testing.T) {
	welcome := func(w wire.Welcome) []byte {
		b, err := wire.AppendWelcome(nil, &w)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	ping := wire.AppendFrame(nil, wire.CmdPing, wire.FlagReq, nil)
	good := welcome(wire.Welcome{Capabilities: wire.CapQoS, Window: 1})
	tests := []struct {
		name   string
		answer []byte
		want   string // of the error; "": it is connected
	}{
		{"WELCOME", good, ""},
		{"a PING before", append(ping, good...), ""},
		{"nothing", nil, "deadline"},
		{"half a WELCOME", good[:12], "deadline"},
		{"no QoS", welcome(wire.Welcome{Capabilities: wire.CapCRC}), "no quality of service"},
		{"a session that nobody asked for", welcome(wire.Welcome{Capabilities: wire.CapQoS, Resumed: true}), "another session"},
		{"a new session that has a past", welcome(wire.Welcome{Capabilities: wire.CapQoS, LastID: 1}), "another session"},
		{"the application", wire.AppendFrame(nil, 0x10, 0, nil), "command 0x10 instead of WELCOME"},
		{"garbage", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "magic"},
		{"a WELCOME too short", wire.AppendFrame(nil, wire.CmdWelcome, 0, []byte{1}), "malformed"},
		{"a long frame", wire.AppendFrame(nil, wire.CmdWelcome, 0, make([]byte, 5000)), "length"},
		{"GOAWAY", wire.AppendGoAway(nil, wire.GoAway{Reason: wire.GoAwayDrain, After: 7 * time.Second}), "for 7s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				c := start(t, n, Options{Session: &SessionOptions{ClientID: "device"}})
				p := n.accept(t)
				defer p.nc.Close()
				if _, err := p.next(); err != nil {
					t.Fatal(err)
				}
				go p.write(tt.answer)
				go p.read()
				time.Sleep(DefaultWelcomeTimeout + time.Millisecond)
				s := c.Status()
				switch {
				case tt.want == "":
					if s.State != Connected {
						t.Errorf("%v: %v", s.State, s.LastErr)
					}
				case s.LastErr == nil || !strings.Contains(s.LastErr.Error(), tt.want):
					t.Errorf("%v: %v, want %q", s.State, s.LastErr, tt.want)
				}
			})
		})
	}
}

func TestDialWithSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		c, err := Dial(t.Context(), "gateway", Options{Dial: g.Dial, Session: &SessionOptions{ClientID: "device"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Publish(t.Context(), 0x10, nil, 2); err != nil {
			t.Error(err)
		}
		c.Close()
		g.refuse = &wire.ErrorFrame{Code: wire.ErrorNotAuthorized}
		if _, err := Dial(t.Context(), "gateway", Options{Dial: g.Dial, Session: &SessionOptions{ClientID: "device"}}); !errors.Is(err, ErrRefused) {
			t.Errorf("got %v", err)
		}
		g.refuse = nil
		denied := errors.New("the smart card is not there")
		_, err = Dial(t.Context(), "gateway", Options{Dial: g.Dial, Session: &SessionOptions{
			ClientID: "device", Credential: func(context.Context) ([]byte, error) { return nil, denied },
		}})
		if !errors.Is(err, denied) {
			t.Errorf("got %v", err)
		}
	})
}

// TestGoAway: the client comes back when the gateway says so, and not by its own backoff; but rests where coming back would do harm.
func TestGoAway(t *testing.T) {
	for _, tt := range []struct {
		name  string
		away  wire.GoAway
		state State
		after time.Duration
		err   error // nil: none of its own
	}{
		{"drain", wire.GoAway{Reason: wire.GoAwayDrain, After: 42 * time.Second}, Reconnecting, 42 * time.Second, nil},
		{"drain, no time", wire.GoAway{Reason: wire.GoAwayDrain}, Reconnecting, time.Second, nil},
		{"too long", wire.GoAway{After: 1000 * time.Hour}, Reconnecting, time.Hour, nil},
		{"taken over", wire.GoAway{Reason: wire.GoAwayTakenOver, After: time.Second}, Paused, 5 * time.Minute, ErrTakenOver},
		{"ended", wire.GoAway{Reason: wire.GoAwayEnded}, Paused, 5 * time.Minute, ErrEnded},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGateway(t)
				c := g.memberWith(t, Options{Reconnect: Reconnect{Jitter: -1}}, SessionOptions{})
				wait(t, c, Connected)
				time.Sleep(time.Minute)
				g.each(func(gc *gatewayConn) { gc.write(wire.AppendGoAway(nil, tt.away)) })
				synctest.Wait()
				s := c.Status()
				var away *GoAwayError
				if s.State != tt.state || time.Until(s.NextDial) != tt.after || !errors.As(s.LastErr, &away) || tt.err != nil && !errors.Is(s.LastErr, tt.err) {
					t.Errorf("%v, next dial in %v: %v", s.State, time.Until(s.NextDial), s.LastErr)
				}
				if s.Failures != 0 {
					t.Errorf("%d failures", s.Failures)
				}
				time.Sleep(tt.after)
				synctest.Wait()
				if s := c.Status(); s.State != Connected {
					t.Errorf("%v: %v", s.State, s.LastErr)
				}
			})
		})
	}
}

func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		first := g.member(t, SessionOptions{})
		wait(t, first, Connected)
		second := g.member(t, SessionOptions{})
		wait(t, second, Connected)
		synctest.Wait()
		if s := first.Status(); s.State != Paused || !errors.Is(s.LastErr, ErrTakenOver) {
			t.Errorf("the first: %v, %v", s.State, s.LastErr)
		}
		time.Sleep(time.Minute)
		if s := second.Status(); s.State != Connected || s.Connects != 1 {
			t.Errorf("the second: %v, %v", s.State, s.LastErr)
		}
	})
}

// TestTakenOverByItself: a HELLO that the client has given up may arrive late, and take the session over; that is no reason to stay away.
func TestTakenOverByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var ends []net.Conn
		c := g.memberWith(t, Options{
			Reconnect: Reconnect{Jitter: -1},
			Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if len(ends) > 0 {
					return g.Dial(ctx, network, addr)
				}
				near, far := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, far) }()
				ends = append(ends, far)
				return near, nil
			},
		}, SessionOptions{})
		wait(t, c, Connected)
		taken := func() Status {
			time.Sleep(time.Minute) // it is stable
			g.each(func(gc *gatewayConn) { gc.write(wire.AppendGoAway(nil, wire.GoAway{Reason: wire.GoAwayTakenOver})) })
			synctest.Wait()
			return c.Status()
		}
		if s := taken(); s.State != Reconnecting || time.Until(s.NextDial) != time.Second || !errors.Is(s.LastErr, ErrTakenOver) {
			t.Errorf("%v, next dial in %v: %v", s.State, time.Until(s.NextDial), s.LastErr)
		}
		wait(t, c, Connected)
		time.Sleep(lateHello)
		if s := taken(); s.State != Paused {
			t.Errorf("long after that: %v, next dial in %v", s.State, time.Until(s.NextDial))
		}
		_ = ends[0].Close()
	})
}

// TestSessionLost: what was not acknowledged in a session that the gateway has forgotten is sent again in the next, and counted.
func TestSessionLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var came []string
		c := g.member(t, SessionOptions{OnMessage: func(m Message) { came = append(came, string(m.Payload)) }})
		wait(t, c, Connected)
		if err := c.Publish(t.Context(), 0x10, []byte("before"), 1); err != nil {
			t.Fatal(err)
		}
		g.publish("device", 2, "down 1")
		g.publish("device", 1, "down 2")
		g.mu.Lock()
		g.mute = true
		g.mu.Unlock()
		var receipts []*Receipt
		for q := range uint8(2) {
			r, err := c.Enqueue(t.Context(), 0x10, []byte{'1' + q}, 1+q)
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, r)
		}
		synctest.Wait()
		g.mu.Lock()
		g.mute = false
		s := g.sessions["device"]
		s.conn.nc.Close()
		delete(g.sessions, "device")
		g.mu.Unlock()
		for _, r := range receipts {
			if err := r.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if s := c.Status().Session; s.Begun != 2 || s.Resumes != 0 || s.Unsure != 2 {
			t.Errorf("%+v", s)
		}
		if got := strings.Join(g.payloads(), " "); got != "before 1 2" {
			t.Errorf("arrived: %s", got)
		}
		g.publish("device", 2, "down 3") // its id is that of down 1
		synctest.Wait()
		if got := strings.Join(came, ", "); got != "down 1, down 2, down 3" {
			t.Errorf("came: %s", got)
		}
		synctest.Wait()
		if s := c.Status().Session; s.Queued != 0 || s.Undone != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestQueueLost: the queue is lost, and the ticket is not: ids go on where the gateway's memory ends.
func TestQueueLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		tickets := new(ticketMemory)
		for range 3 {
			var came []string
			c := g.member(t, SessionOptions{Tickets: tickets, OnMessage: func(m Message) { came = append(came, string(m.Payload)) }})
			for range 3 {
				if err := c.Publish(t.Context(), 0x10, []byte("x"), 2); err != nil {
					t.Fatal(err)
				}
			}
			g.publish("device", 1, "down")
			synctest.Wait()
			if len(came) != 1 {
				t.Errorf("came: %q", came)
			}
			c.Close()
		}
		if n := len(g.payloads()); n != 9 {
			t.Errorf("%d arrived", n)
		}
		if len(g.sessions) != 1 || g.sessions["device"].recv.Last() != 9 {
			t.Errorf("%d", g.sessions["device"].recv.Last())
		}
	})
}

func TestBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		store := memory.New(queue.Bounds{}, nil)
		defer store.Close()
		tickets := new(ticketMemory)
		c := g.member(t, SessionOptions{Queue: store, Tickets: tickets})
		g.set(false)
		if _, err := c.Enqueue(t.Context(), 0x10, []byte("last words"), 1); err != nil {
			t.Fatal(err)
		}
		g.hangUp()
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		time.Sleep(time.Millisecond)
		g.mute = true
		if err := c.Bye(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		g.mute = false
		g.set(true)
		if err := c.Bye(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(g.sessions) != 0 || c.State() != Closed || len(tickets.t.Token) != 0 {
			t.Errorf("%d sessions, %v, ticket %+v", len(g.sessions), c.State(), tickets.t)
		}
		if got := g.payloads(); len(got) != 1 {
			t.Errorf("arrived: %q", got)
		}
		if err := c.Bye(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("again: %v", err)
		}
	})
}
