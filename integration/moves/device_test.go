package moves

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// app is a command of the application.
const app = 0x20

// capabilities are those that all ask for.
const capabilities = wire.CapQoS | wire.CapResume

// decoder cuts what comes.
var decoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err)
	}
	return d
}()

// frames calls f for each frame.
func frames(t *testing.T, b []byte, f func(*wire.Frame)) {
	var frame wire.Frame
	for len(b) > 0 {
		n, err := decoder.Next(b, &frame)
		if n == 0 || err != nil {
			t.Errorf("what is no frame: %x", b)
			return
		}
		b = b[n:]
		f(&frame)
	}
}

// number is a message of the test: each is told from all others, and has a place.
func number(n uint64) []byte { return fmt.Appendf(nil, "%d", n) }

func parse(t *testing.T, payload []byte) (n uint64) {
	if _, err := fmt.Sscanf(string(payload), "%d", &n); err != nil {
		t.Errorf("message %q: %v", payload, err)
	}
	return n
}

func message(b []byte, n uint64, quality uint8, id uint64, dup bool) []byte {
	b, err := wire.AppendExt(b, app, &wire.Ext{QoS: quality, ID: uint32(id), Dup: dup, Payload: number(n)})
	if err != nil {
		panic(err)
	}
	return b
}

// quality is the QoS of the n-th message.
func quality(n uint64) uint8 { return uint8(1 + n%2) }

// window is how many messages are in flight, at both ends.
const window = 8

// device is a client that moves between services, and sends and receives all the while. All but the connection's methods are its goroutine's own.
type device struct {
	t        *testing.T
	name     string
	services []*delivery.Service
	backend  *backend
	at       int // which of them
	token    []byte
	session  *delivery.Session
	conn     *conn // to it; nil: none

	sent, acked uint64            // messages to the backend; a message's id is its number
	unacked     map[uint64]uint64 // that are not acknowledged; its PUBREC has come where the value is 1
	in          qos.Receiver      // of messages from the backend
	received    uint64            // the number of the last
	moves       int
}

// conn is a connection of the device.
type conn struct {
	wake chan struct{} // the device's: holds one

	mu     sync.Mutex
	in     []byte
	full   bool // the session does not take more
	ended  error
	silent bool // the device has gone
}

func (c *conn) ring() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) Write(frames []byte, _ int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.silent {
		c.in = append(c.in, frames...)
		c.ring()
	}
	return false
}

func (c *conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = false
	c.ring()
}

// From implements delivery.Client: the backend of these tests does not ask.
func (c *conn) From() (none upstream.Client) { return none }

func (c *conn) End(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = err
	c.ring()
}

// come says HELLO at a service, until the session is there.
func (d *device) come(at int) {
	d.at = at
	for tries := 0; ; tries++ {
		if tries == 100 || d.t.Failed() {
			d.t.Fatalf("no session at service %d after %d tries", at, tries)
		}
		h := delivery.Hello{Client: d.name, Token: d.token, Wanted: capabilities, Expiry: time.Hour}
		s, w, err := d.services[at].Hello(context.Background(), h)
		if err != nil {
			d.t.Logf("HELLO at service %d: %v", at, err)
			continue
		}
		hello := wire.Welcome{}
		frames(d.t, w.Frame, func(f *wire.Frame) { hello, _ = wire.ParseWelcome(f.Payload) })
		if hello.Resumed != (d.token != nil) {
			d.t.Fatalf("move %d: resumed %v", d.moves, hello.Resumed)
		}
		if rand.N(10) == 0 && d.token != nil {
			continue // the WELCOME was lost on its way: the token before is good
		}
		d.token = append([]byte(nil), hello.Token...)
		c := &conn{wake: make(chan struct{}, 1)}
		if !s.Attach(c, w) {
			continue // gone to another meanwhile
		}
		d.conn, d.session = c, s
		d.again(uint64(hello.LastID))
		return
	}
}

// again sends what is not acknowledged, in order, but what the gateway has.
func (d *device) again(has uint64) {
	if has > d.sent {
		d.t.Errorf("the gateway has message %d, and %d were sent", has, d.sent)
	}
	var b []byte
	for n := d.acked + 1; n <= d.sent; n++ {
		_, open := d.unacked[n]
		switch {
		case !open:
		case n <= has && quality(n) == 1:
			d.done(n)
		case n <= has:
			d.unacked[n] = 1
			b = wire.AppendAck(b, wire.CmdPubRel, uint32(n))
		default:
			b = message(b, n, quality(n), n, true)
		}
	}
	d.say(b)
}

func (d *device) done(n uint64) {
	delete(d.unacked, n)
	for d.acked < d.sent {
		if _, open := d.unacked[d.acked+1]; open {
			return
		}
		d.acked++
	}
}

// say sends frames, in one piece. The connection may end with it.
func (d *device) say(b []byte) {
	c := d.conn
	if c == nil || len(b) == 0 {
		return
	}
	var err error
	frames(d.t, b, func(f *wire.Frame) {
		if err == nil {
			err = d.session.Take(c, time.Now(), f)
		}
	})
	if err != nil {
		if !errors.Is(err, delivery.ErrTaken) {
			d.t.Errorf("Take: %v", err)
		}
		d.leave(true)
		return
	}
	c.mu.Lock()
	c.full = true // Resume may come before Flush returns
	c.mu.Unlock()
	if !d.session.Flush(c, time.Now()) {
		c.Resume()
	}
}

// leave gives the connection up. The gateway hears of that, or it does not.
func (d *device) leave(told bool) {
	c := d.conn
	if c == nil {
		return
	}
	d.conn = nil
	c.mu.Lock()
	c.silent = true
	c.mu.Unlock()
	if told {
		d.session.Detach(c)
	}
}

// publish sends new messages, up to a number, as far as the window goes.
func (d *device) publish(upTo uint64) {
	c := d.conn
	if c == nil {
		return
	}
	c.mu.Lock()
	full := c.full
	c.mu.Unlock()
	var b []byte
	for !full && d.sent < upTo && len(d.unacked) < window {
		d.sent++
		d.unacked[d.sent] = 0
		b = message(b, d.sent, quality(d.sent), d.sent, false)
	}
	d.say(b)
}

// take takes what has come.
func (d *device) take() {
	c := d.conn
	if c == nil {
		return
	}
	c.mu.Lock()
	in, ended := c.in, c.ended
	c.in = nil
	c.mu.Unlock()
	var b []byte
	frames(d.t, in, func(f *wire.Frame) { b = d.frame(b, f) })
	d.say(b)
	if ended != nil && d.conn == c {
		if !errors.Is(ended, delivery.ErrTaken) {
			d.t.Errorf("move %d: the connection ended: %v", d.moves, ended)
		}
		d.leave(true)
	}
}

// frame takes one frame, and adds what it is answered with.
func (d *device) frame(b []byte, f *wire.Frame) []byte {
	id, _ := wire.ParseAck(f.Payload)
	switch cmd := uint8(f.Cmd); cmd {
	case wire.CmdPubAck, wire.CmdPubComp:
		d.done(uint64(id))
	case wire.CmdPubRec:
		if _, open := d.unacked[uint64(id)]; open {
			d.unacked[uint64(id)] = 1
		}
		b = wire.AppendAck(b, wire.CmdPubRel, id)
	case wire.CmdPubRel:
		if !d.in.Release(id) {
			d.t.Errorf("PUBREL of %d, which was never received", id)
		}
		b = wire.AppendAck(b, wire.CmdPubComp, id)
	case app:
		e, err := wire.ParseExt(f)
		if err != nil {
			d.t.Error(err)
			return b
		}
		full, verdict := d.in.Take(e.ID, e.Dup)
		switch verdict {
		case qos.New:
			n := parse(d.t, e.Payload)
			if n != d.received+1 {
				d.t.Errorf("move %d: the device was sent message %d (id %d) after %d", d.moves, n, e.ID, d.received)
			}
			d.received = n
			d.in.Safe(full)
		case qos.Violation:
			d.t.Errorf("move %d: id %d, DUP %v, is none to send", d.moves, e.ID, e.Dup)
		}
		if e.QoS == 2 {
			return wire.AppendAck(b, wire.CmdPubRec, e.ID)
		}
		return wire.AppendAck(b, wire.CmdPubAck, e.ID)
	default:
		d.t.Errorf("move %d: the device was sent the command %#x: %q", d.moves, cmd, f.Payload)
	}
	return b
}

// until goes on sending and receiving until something holds.
func (d *device) until(what string, upTo uint64, holds func() bool) {
	limit := time.After(time.Minute)
	for d.publish(upTo); !holds(); d.publish(upTo) {
		if d.t.Failed() {
			d.t.FailNow()
		}
		if d.conn == nil {
			d.come(d.at)
			continue
		}
		select {
		case <-d.conn.wake:
			d.take()
		case <-d.backend.wake:
		case <-limit:
			d.stuck()
			d.t.Fatalf("move %d: %s: sent %d, acknowledged %d, received %d", d.moves, what, d.sent, d.acked, d.received)
		}
	}
}

// stuck says how all stand.
func (d *device) stuck() {
	for i, v := range d.services {
		all, err := v.List(context.Background(), delivery.Filter{})
		d.t.Logf("service %d: %+v %v", i, all, err)
	}
	d.backend.mu.Lock()
	defer d.backend.mu.Unlock()
	d.t.Logf("backend: has %d, sent %d of %d, unacknowledged %v, HELLO %d times", d.backend.has, d.backend.sent, d.backend.upTo, d.backend.unacked, d.backend.hellos)
	if l := d.backend.link; l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		d.t.Logf("its link: up %v, full %v, ended %v, unread %x", l.up, l.full, l.ended, l.sent)
	}
}
