package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestManualAck: what is not acknowledged by hand is not acknowledged, nor given to OnMessage again.
func TestManualAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var came []Message
		c := g.member(t, SessionOptions{ManualAck: true, OnMessage: func(m Message) { came = append(came, m) }})
		wait(t, c, Connected)
		for i := range 4 {
			g.publish("device", 1+uint8(i)%2, fmt.Sprint(i))
		}
		inflight := func(want int) {
			t.Helper()
			synctest.Wait()
			g.mu.Lock()
			defer g.mu.Unlock()
			if n := g.sessions["device"].send.InFlight(); n != want {
				t.Errorf("%d in flight, want %d", n, want)
			}
		}
		inflight(4)
		came[1].Ack() // out of order: it waits for the first
		inflight(4)
		came[0].Ack()
		inflight(2)
		came[0].Ack()
		inflight(2)
		g.hangUp()
		time.Sleep(3 * time.Second)
		wait(t, c, Connected)
		inflight(2)
		came[3].Ack()
		came[2].Ack()
		inflight(0)
		if len(came) != 4 {
			t.Errorf("%d came", len(came))
		}
	})
}

// TestAckWhileAway: what is acknowledged while there is no connection is on the next one.
func TestAckWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		came := make(chan Message, 8)
		c := g.member(t, SessionOptions{ManualAck: true, OnMessage: func(m Message) { came <- m }})
		wait(t, c, Connected)
		g.publish("device", 2, "")
		g.publish("device", 1, "")
		one, other := <-came, <-came
		g.set(false)
		g.hangUp()
		synctest.Wait()
		one.Ack()
		g.set(true)
		wait(t, c, Connected)
		synctest.Wait()
		other.Ack()
		synctest.Wait()
		if n := g.sessions["device"].send.InFlight(); n != 0 {
			t.Errorf("%d in flight", n)
		}
	})
}

// TestSlowReceiver: OnMessage may take its time, and publish itself.
func TestSlowReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var c *Client
		ready := make(chan struct{})
		c = g.member(t, SessionOptions{OnMessage: func(m Message) {
			<-ready
			time.Sleep(time.Minute)
			if err := c.Publish(t.Context(), 0x11, m.Payload, 2); err != nil {
				t.Error(err)
			}
		}})
		close(ready)
		wait(t, c, Connected)
		var want []string
		for i := range 20 {
			want = append(want, fmt.Sprint(i))
			g.publish("device", 1, want[i])
		}
		time.Sleep(time.Hour)
		if got := g.payloads(); !slices.Equal(got, want) {
			t.Errorf("came back: %q", got)
		}
		if s := c.Status(); s.Connects != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestIdleMessages: of QoS 0 no more is kept than there is time for.
func TestIdleMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		hold := make(chan struct{})
		n := 0
		c := g.member(t, SessionOptions{OnMessage: func(Message) { <-hold; n++ }})
		wait(t, c, Connected)
		g.each(func(gc *gatewayConn) {
			for range 1000 {
				b, _ := wire.AppendExt(nil, commandDown, &wire.Ext{Payload: []byte("whatever")})
				gc.write(b)
			}
		})
		synctest.Wait()
		close(hold)
		synctest.Wait()
		if s := c.Status().Session; n != maxIdle+1 || s.Dropped != uint64(1000-n) {
			t.Errorf("%d came, %d dropped", n, s.Dropped)
		}
	})
}

func TestSessionRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var held []uint32
		answer := func(c *gatewayConn, id uint32, payload string) {
			b, err := wire.AppendExt(nil, 0x11, &wire.Ext{Flag: wire.FlagRsp, ID: id, CRC: c.crc, Payload: []byte(payload)})
			if err != nil {
				t.Error(err)
			}
			c.write(b)
		}
		g.answers[0x10] = func(c *gatewayConn, _ uint8, e wire.Ext) {
			switch string(e.Payload) {
			case "hold":
				held = append(held, e.ID)
			case "lose":
				c.write(wire.AppendError(nil, wire.ErrorFrame{Code: wire.ErrorLost, ID: e.ID, Text: "the backend is gone"}))
			case "limit":
				c.write(wire.AppendError(nil, wire.ErrorFrame{Code: wire.ErrorLimit, ID: e.ID}))
			default:
				answer(c, e.ID, string(e.Payload))
			}
		}
		c := g.member(t, SessionOptions{CRC: true})
		wait(t, c, Connected)
		var got []string
		done := make(chan struct{}, 2)
		for range 2 {
			go func() {
				f, err := c.Request(t.Context(), 0x10, []byte("hold"))
				got = append(got, fmt.Sprintf("%s %v", f.Payload, err))
				done <- struct{}{}
			}()
			synctest.Wait()
		}
		f, err := c.Request(t.Context(), 0x10, []byte("now"))
		if err != nil || string(f.Payload) != "now" || f.Cmd != 0x11 || f.Flag != wire.FlagRsp {
			t.Errorf("%+v, %v", f, err)
		}
		if n := c.Status().Inflight; n != 2 {
			t.Errorf("%d in flight", n)
		}
		g.each(func(gc *gatewayConn) { // the other way round, and one that nobody asked for
			answer(gc, 12345, "stray")
			answer(gc, held[1], "second")
		})
		<-done
		g.each(func(gc *gatewayConn) { answer(gc, held[0], "first") })
		<-done
		if s := strings.Join(got, ", "); s != "second <nil>, first <nil>" {
			t.Errorf("answers: %s", s)
		}
		if _, err := c.Request(t.Context(), 0x10, []byte("lose")); !errors.Is(err, ErrLost) {
			t.Errorf("lost: %v", err)
		}
		var e *wire.ErrorFrame
		if _, err := c.Request(t.Context(), 0x10, []byte("limit")); !errors.As(err, &e) || errors.Is(err, ErrLost) {
			t.Errorf("limited: %v", err)
		}
		go func() {
			_, err := c.Request(t.Context(), 0x10, []byte("hold"))
			got = append(got, fmt.Sprint(errors.Is(err, ErrLost)))
			done <- struct{}{}
		}()
		synctest.Wait()
		g.hangUp()
		if <-done; got[2] != "true" {
			t.Errorf("%q", got)
		}
		wait(t, c, Connected)
		g.each(func(gc *gatewayConn) { answer(gc, held[2], "late") }) // over the link that was parked
		if f, err := c.Request(t.Context(), 0x10, []byte("again")); err != nil || string(f.Payload) != "again" {
			t.Errorf("%q, %v", f.Payload, err)
		}
		if s := c.Status(); s.Connects != 2 || s.Inflight != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		var c *Client
		c = g.member(t, SessionOptions{OnMessage: func(m Message) {
			if m.Flag != wire.FlagReq || m.ID == 0 {
				t.Errorf("%+v", m)
			}
			if err := c.Answer(t.Context(), m, 0x33, append(m.Payload, '!')); err != nil {
				t.Error(err)
			}
		}})
		wait(t, c, Connected)
		var got []string
		g.answers[0x33] = func(_ *gatewayConn, _ uint8, e wire.Ext) {
			got = append(got, fmt.Sprint(e.Flag, e.QoS, e.ID, string(e.Payload)))
		}
		g.mu.Lock()
		s := g.sessions["device"]
		s.unsent = append(s.unsent, gatewayMessage{qos: 1, flag: wire.FlagReq, payload: "all well?"})
		s.conn.pump()
		g.mu.Unlock()
		synctest.Wait()
		if len(got) != 1 || got[0] != "2 0 1all well?!" {
			t.Errorf("%q", got)
		}
	})
}

// TestHostileGateway: what a gateway must not do ends the connection, and it is told why.
func TestHostileGateway(t *testing.T) {
	ext := func(e wire.Ext) []byte {
		b, _ := wire.AppendExt(nil, 0x20, &e)
		return b
	}
	flood := []byte{}
	for id := range uint32(maxUndone + 1) {
		flood = append(flood, ext(wire.Ext{QoS: 1, ID: id + 1})...)
	}
	broken := ext(wire.Ext{CRC: true})
	broken[len(broken)-1] ^= 1
	for _, tt := range []struct {
		name string
		sent []byte
		code wire.ErrorCode
	}{
		{"PUBACK of what was never sent", wire.AppendAck(nil, wire.CmdPubAck, 7), wire.ErrorID},
		{"PUBCOMP of what was never sent", wire.AppendAck(nil, wire.CmdPubComp, 1<<31+5), wire.ErrorID},
		{"PUBREL of what never came", wire.AppendAck(nil, wire.CmdPubRel, 1), wire.ErrorID},
		{"an id twice", append(ext(wire.Ext{QoS: 1, ID: 5}), ext(wire.Ext{QoS: 1, ID: 5})...), wire.ErrorID},
		{"an id below", append(ext(wire.Ext{QoS: 1, ID: 5}), ext(wire.Ext{QoS: 2, ID: 4})...), wire.ErrorID},
		{"the id 0", wire.AppendAck(nil, wire.CmdPubAck, 0), wire.ErrorMalformed},
		{"QoS 3", wire.AppendFrame(nil, 0x20, 0x2C, []byte{0, 0, 0, 1}), wire.ErrorMalformed},
		{"a checksum that is wrong", broken, wire.ErrorMalformed},
		{"WELCOME twice", wire.AppendFrame(nil, wire.CmdWelcome, 0, []byte{1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0}), wire.ErrorProtocol},
		{"BYE", wire.AppendBye(nil), wire.ErrorProtocol},
		{"an unknown command", wire.AppendFrame(nil, 0x0C, 0, nil), wire.ErrorMalformed},
		{"more than can be in flight", flood, wire.ErrorLimit},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				hold := make(chan struct{})
				c := start(t, n, Options{Session: &SessionOptions{ClientID: "device", OnMessage: func(Message) { <-hold }}})
				defer close(hold)
				p := n.accept(t)
				if _, err := p.next(); err != nil {
					t.Fatal(err)
				}
				b, _ := wire.AppendWelcome(nil, &wire.Welcome{Capabilities: wire.CapQoS, Window: 8})
				p.write(b)
				go p.write(tt.sent)
				f, err := p.next()
				if err != nil {
					t.Fatal(err)
				}
				if e, ok := wire.ParseError(&f); f.Cmd != wire.CmdError || !ok || e.Code != tt.code || e.Text == "" {
					t.Errorf("got %q", f.Raw)
				}
				if _, err := p.next(); err == nil {
					t.Error("the connection is not closed")
				}
				p.nc.Close()
				synctest.Wait()
				if s := c.Status(); s.State != Reconnecting || !errors.Is(s.LastErr, ErrProtocol) {
					t.Errorf("%v: %v", s.State, s.LastErr)
				}
			})
		})
	}
}

// TestErrorFrame: an ERROR ends the connection, and what it says is there to be read. What it refuses is sent again on the next.
func TestErrorFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGateway(t)
		refused := false
		g.answers[0x10] = func(c *gatewayConn, _ uint8, e wire.Ext) {
			refused = true
			delete(g.answers, 0x10)
			c.write(wire.AppendError(nil, wire.ErrorFrame{Code: wire.ErrorQueueFull, ID: e.ID, Text: "no room"}))
		}
		c := g.member(t, SessionOptions{})
		wait(t, c, Connected)
		r, err := c.Enqueue(t.Context(), 0x10, []byte("refused at first"), 2)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var e *wire.ErrorFrame
		if s := c.Status(); !refused || s.State != Reconnecting || !errors.As(s.LastErr, &e) || e.Code != wire.ErrorQueueFull {
			t.Errorf("%v: %v", s.State, s.LastErr)
		}
		if err := r.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if got := g.payloads(); len(got) != 1 {
			t.Errorf("arrived: %q", got)
		}
	})
}
