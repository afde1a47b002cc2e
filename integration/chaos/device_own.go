package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// An ownDevice is an independent client of the protocol: it shares no code with the gateway or the SDK.
type ownDevice struct {
	ledger *ledger
	dial   dialer
	size   int           // of a payload
	expiry time.Duration // of the session, as it asks for it
	retry  time.Duration // how long it waits between tries, ± 50 %
	spent  chan struct{} // has one element when a message was acknowledged since it was last received from

	mu     sync.Mutex // guards all below
	token  []byte
	next   uint32      // the id of the next message
	open   []*outgoing // published and not completed, in order
	last   uint32      // the highest id received
	window int
	stream *stream // nil: not connected
	left   *stream // the connection that was left behind, open and unread
	hellos int     // that were answered
	err    error   // why the last connection ended
}

func newOwnDevice(l *ledger, dial dialer) *ownDevice {
	return &ownDevice{
		ledger: l, dial: dial, size: 64, expiry: time.Hour, retry: 200 * time.Millisecond,
		spent: make(chan struct{}, 1),
	}
}

// An outgoing message is kept until its promise is kept.
type outgoing struct {
	message  message
	id       uint32
	tries    int       // on any connection
	at       time.Time // of the last one
	released bool      // PUBREC has come: PUBREL is what is sent now
}

func (d *ownDevice) book() *ledger { return d.ledger }

func (d *ownDevice) status() status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return status{connected: d.stream != nil, hellos: d.hellos, err: d.err}
}

func (d *ownDevice) publish(qos uint8) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = append(d.open, &outgoing{message: d.ledger.publish(qos, time.Now())})
	if d.stream != nil {
		d.fill()
		d.flush()
	}
}

// leave implements [device]. With a takeover the old connection stays open for a second, unread.
func (d *ownDevice) leave(takeover bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stream
	if s == nil {
		return
	}
	d.left, d.stream = s, nil
	if !takeover {
		_ = s.Close()
	}
	_ = s.SetReadDeadline(time.Unix(1, 0))
}

func (d *ownDevice) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := d.connection(ctx)
		d.mu.Lock()
		d.err = err
		if wait == 0 {
			wait = d.retry/2 + rand.N(d.retry)
		}
		if d.left != nil {
			d.left, wait = nil, 0
		}
		d.mu.Unlock()
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			}
		}
	}
}

// connection lives one connection, and returns how long the gateway asked to stay away; 0: it did not.
func (d *ownDevice) connection(ctx context.Context) (after time.Duration, err error) {
	nc, err := d.dial(ctx)
	if err != nil {
		return 0, err
	}
	s := newStream(nc, false)
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stream == s {
			d.stream = nil
		}
		if d.left == s {
			time.AfterFunc(time.Second, func() { _ = nc.Close() })
			return
		}
		_ = nc.Close()
	}()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	idle, err := d.greet(s)
	if err != nil {
		return 0, err
	}
	stop := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { d.tick(s, idle/3, stop) })
	defer ticking.Wait()
	defer close(stop)
	for {
		f, err := s.next(idle)
		if err != nil {
			return 0, err
		}
		if f.cmd == cmdGoAway && len(f.payload) == 6 {
			return time.Duration(binary.BigEndian.Uint32(f.payload[2:])) * time.Millisecond, errGoAway
		}
		if err := d.take(s, f); err != nil {
			return 0, err
		}
	}
}

var errGoAway = errors.New("GOAWAY")

// greet says HELLO, and takes up what there is to take up.
func (d *ownDevice) greet(s *stream) (idle time.Duration, err error) {
	d.mu.Lock()
	h := hello{caps: capQoS | capResume | capPong, expiry: uint32(d.expiry / time.Second), client: []byte(clientID(d.ledger.device)), token: d.token}
	d.mu.Unlock()
	s.put(frame{cmd: cmdHello, payload: h.append(nil)})
	if err := s.flush(); err != nil {
		return 0, err
	}
	f, err := s.next(3 * time.Second)
	for err == nil && f.cmd == cmdPing { // the gateway wants to know whether we are still there
		s.put(frame{cmd: cmdPong, flag: flagRsp, payload: f.payload})
		if err = s.flush(); err == nil {
			f, err = s.next(3 * time.Second)
		}
	}
	if err != nil {
		return 0, err
	}
	if f.cmd != cmdWelcome {
		return 0, fmt.Errorf("the answer to HELLO is command 0x%02X: %q", f.cmd, f.payload)
	}
	w, err := parseWelcome(f.payload)
	if err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if w.resumed {
		d.resumed(w.last)
	} else {
		if d.hellos > 0 {
			d.ledger.renew(time.Now())
		}
		d.anew()
	}
	d.hellos++
	d.token = append([]byte(nil), w.token...)
	d.window = int(w.window)
	d.stream = s
	d.fill()
	d.flush()
	return max(time.Duration(w.idle)*time.Second, 3*time.Second), nil
}

// resumed has all that the gateway has received acknowledged, and the rest sent again.
func (d *ownDevice) resumed(last uint32) {
	now := time.Now()
	kept := d.open[:0]
	for _, o := range d.open {
		if o.id != 0 && o.id <= last {
			d.ledger.ack(o.message.number, now)
			if o.message.qos == 1 {
				continue
			}
			o.released = true
		}
		o.at = time.Time{}
		kept = append(kept, o)
	}
	d.open = kept
}

// anew begins with no ids: the gateway remembers none.
func (d *ownDevice) anew() {
	d.next, d.last = 0, 0
	kept := d.open[:0]
	for _, o := range d.open {
		if !o.released {
			o.id, o.tries, o.at = 0, 0, time.Time{}
			kept = append(kept, o)
		}
	}
	d.open = kept
}

// fill sends what the window has room for, in order.
func (d *ownDevice) fill() {
	now := time.Now()
	for i, o := range d.open {
		if i >= d.window {
			return
		}
		if !o.at.IsZero() {
			continue
		}
		o.at = now
		if o.released {
			d.stream.putAck(cmdPubRel, o.id)
			continue
		}
		if o.id == 0 {
			d.next++
			o.id = d.next
		}
		d.stream.put(frame{cmd: cmdApp, qos: o.message.qos, dup: o.tries > 0, id: o.id, payload: o.message.append(nil, d.size)})
		o.tries++
	}
}

// flush writes; a connection that takes nothing more is closed, and the reader sees it.
func (d *ownDevice) flush() {
	if err := d.stream.flush(); err != nil {
		_ = d.stream.Close()
	}
}

// take looks at a frame from the gateway.
func (d *ownDevice) take(s *stream, f frame) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stream != s {
		return net.ErrClosed // it was left meanwhile: what it still brings comes again
	}
	switch f.cmd {
	case cmdPing:
		s.put(frame{cmd: cmdPong, flag: flagRsp, payload: f.payload})
	case cmdPong:
	case cmdPubAck, cmdPubRec, cmdPubComp:
		d.acknowledged(f.cmd, f.ackID())
	case cmdPubRel:
		s.putAck(cmdPubComp, f.ackID())
	case cmdError:
		if f.id == 0 {
			return fmt.Errorf("ERROR %x", f.payload)
		}
		d.ledger.refuse() // it keeps its id, and is sent again on the next connection: this one ends
	default:
		m, ok := parseMessage(f.payload)
		if !ok || f.cmd != cmdApp {
			return fmt.Errorf("command 0x%02X with %d bytes is no message", f.cmd, len(f.payload))
		}
		d.receive(s, f, m)
	}
	if !s.more() {
		d.fill()
		d.flush()
	}
	return nil
}

// receive delivers what is new, and acknowledges all.
func (d *ownDevice) receive(s *stream, f frame, m message) {
	if f.id == 0 || f.id > d.last {
		d.last = max(d.last, f.id)
		d.ledger.receive(m)
	}
	switch f.qos {
	case 1:
		s.putAck(cmdPubAck, f.id)
	case 2:
		s.putAck(cmdPubRec, f.id)
	}
}

func (d *ownDevice) acknowledged(cmd uint8, id uint32) {
	for i, o := range d.open {
		if o.id != id {
			continue
		}
		d.ledger.ack(o.message.number, time.Now())
		if cmd == cmdPubRec {
			o.released, o.at = true, time.Now()
			d.stream.putAck(cmdPubRel, id)
			return
		}
		d.open = append(d.open[:i], d.open[i+1:]...)
		select {
		case d.spent <- struct{}{}:
		default:
		}
		return
	}
}

// tick pings, and repeats what has waited for 3 s.
func (d *ownDevice) tick(s *stream, every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	pinged := time.Now()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		d.mu.Lock()
		if d.stream == s {
			if time.Since(pinged) >= every {
				pinged = time.Now()
				s.put(frame{cmd: cmdPing, flag: flagReq})
			}
			for i, o := range d.open {
				if i < d.window && !o.at.IsZero() && time.Since(o.at) >= 3*time.Second {
					o.at = time.Time{}
				}
			}
			d.fill()
			d.flush()
		}
		d.mu.Unlock()
	}
}
