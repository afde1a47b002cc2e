package moves

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// backend acknowledges, and remembers what it has received by session. It has one device.
type backend struct {
	t    *testing.T
	wg   sync.WaitGroup
	wake chan struct{} // holds one: something has been received

	mu       sync.Mutex
	session  string
	link     *link  // over which the session is; nil: none
	has      uint64 // the id of the last message received
	received uint64 // its number
	sent     uint64 // messages to the device; a message's id is its number
	upTo     uint64 // may be sent
	unacked  []out  // by number
	hellos   int
}

// out is a message that is not acknowledged.
type out struct {
	n        uint64
	received bool // its PUBREC has come
}

// link is an upstream.Lease, and its links one after the other.
type link struct {
	b    *backend
	peer upstream.LinkPeer
	more chan struct{} // holds one
	stop chan struct{} // closed when the lease has ended

	mu    sync.Mutex
	sent  []byte // by the gateway
	up    bool
	full  bool // the gateway does not take more
	ended bool
}

var errCut = errors.New("the session is over another link")

func (b *backend) lease(p upstream.LinkPeer, _ upstream.Client) (upstream.Lease, func(), error) {
	l := &link{b: b, peer: p, more: make(chan struct{}, 1), stop: make(chan struct{})}
	b.wg.Go(l.run)
	return l, func() {}, nil
}

func (l *link) ring() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Send implements upstream.Lease.
func (l *link) Send(frames []byte, _, _ int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up && !l.ended {
		l.sent = append(l.sent, frames...)
		l.ring()
	}
	return false
}

// Resume implements upstream.Lease.
func (l *link) Resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = false
	l.ring()
}

// Close implements upstream.Lease. What was sent is still read, as TCP has it.
func (l *link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.stop)
	}
}

// The other methods of upstream.Lease are not used.
func (l *link) Unanswered() int          { return 0 }
func (l *link) Waiting() bool            { return false }
func (l *link) Held() int                { return 0 }
func (l *link) Settled() bool            { return true }
func (l *link) Withdraw() ([]byte, bool) { return nil, false }
func (l *link) Backend() string          { return "backend" }

// run is the backend's end of the links of a lease: the next is made when one was cut.
func (l *link) run() {
	for {
		l.mu.Lock()
		l.up, l.full, l.sent = true, false, nil
		ended := l.ended
		l.mu.Unlock()
		if ended {
			return
		}
		l.peer.Linked(l, "backend")
		if l.serve() {
			return
		}
		l.mu.Lock()
		l.up = false
		l.mu.Unlock()
		l.peer.Unlinked(errCut)
		select {
		case <-l.stop:
			return
		case <-time.After(time.Millisecond): // a dial
		}
	}
}

// serve reads one link. ended: there is no next.
func (l *link) serve() (ended bool) {
	said := false
	for {
		select {
		case <-l.stop:
			ended = true
		case <-l.more:
		}
		l.mu.Lock()
		in, full := l.sent, l.full
		l.sent = nil
		l.mu.Unlock()
		var answer []byte
		l.b.mu.Lock()
		if said && l.b.link != l {
			l.b.mu.Unlock()
			return ended
		}
		frames(l.b.t, in, func(f *wire.Frame) {
			if f.Cmd == wire.CmdHello {
				said = true
			}
			answer = l.b.frame(answer, l, f)
		})
		if said && !full && !ended {
			answer = l.b.send(answer)
		}
		if ended && l.b.link == l {
			l.b.link = nil
		}
		l.b.mu.Unlock()
		if ended {
			return true
		}
		if len(answer) > 0 {
			l.mu.Lock()
			l.full = true // Resume may come before Frames returns
			l.mu.Unlock()
			if !l.peer.Frames(answer, 1) {
				l.Resume()
			}
		}
	}
}

// frame takes a frame, and adds what it is answered with. b.mu is held.
func (b *backend) frame(answer []byte, l *link, f *wire.Frame) []byte {
	id, _ := wire.ParseAck(f.Payload)
	switch cmd := uint8(f.Cmd); cmd {
	case wire.CmdHello:
		h, ok := wire.ParseHello(f.Payload)
		if name := string(h.ClientID) + " " + string(h.Token); !ok || b.session != "" && b.session != name {
			b.t.Errorf("HELLO of %q after %q", name, b.session)
		} else {
			b.session = name
		}
		if b.link != nil {
			b.link.ring() // to see that it is cut
		}
		b.link = l
		b.hellos++
		answer, _ = wire.AppendWelcome(answer, &wire.Welcome{Resumed: b.hellos > 1, Capabilities: h.Capabilities, Window: window, LastID: uint32(b.has), Token: h.Token})
		for _, m := range b.unacked {
			if m.received {
				answer = wire.AppendAck(answer, wire.CmdPubRel, uint32(m.n))
			} else {
				answer = message(answer, m.n, quality(m.n), m.n, true)
			}
		}
	case wire.CmdPubAck, wire.CmdPubComp:
		for i, m := range b.unacked {
			if m.n == uint64(id) {
				b.unacked = append(b.unacked[:i:i], b.unacked[i+1:]...)
				break
			}
		}
	case wire.CmdPubRec:
		for i := range b.unacked {
			b.unacked[i].received = b.unacked[i].received || b.unacked[i].n == uint64(id)
		}
		answer = wire.AppendAck(answer, wire.CmdPubRel, id)
	case wire.CmdPubRel:
		answer = wire.AppendAck(answer, wire.CmdPubComp, id)
	case app:
		e, err := wire.ParseExt(f)
		if err != nil {
			b.t.Error(err)
			return answer
		}
		full, above, ok := qos.Expand(b.has, e.ID)
		switch {
		case !ok || !above && !e.Dup:
			b.t.Errorf("the backend was sent id %d, DUP %v, after %d", e.ID, e.Dup, b.has)
		case above:
			n := parse(b.t, e.Payload)
			if n != b.received+1 {
				b.t.Errorf("the backend was sent message %d (id %d) after %d", n, e.ID, b.received)
			}
			b.has, b.received = full, n
			select {
			case b.wake <- struct{}{}:
			default:
			}
		}
		if e.QoS == 2 {
			return wire.AppendAck(answer, wire.CmdPubRec, e.ID)
		}
		return wire.AppendAck(answer, wire.CmdPubAck, e.ID)
	default:
		b.t.Errorf("the backend was sent the command %#x: %q", cmd, f.Payload)
	}
	return answer
}

// send adds messages to the device, as far as the window goes. b.mu is held.
func (b *backend) send(answer []byte) []byte {
	for b.sent < b.upTo && len(b.unacked) < window {
		b.sent++
		b.unacked = append(b.unacked, out{n: b.sent})
		answer = message(answer, b.sent, quality(b.sent), b.sent, false)
	}
	return answer
}

// allow has messages sent up to a number.
func (b *backend) allow(upTo uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.upTo = max(b.upTo, upTo)
	if b.link != nil {
		b.link.ring()
	}
}

func (b *backend) got() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.received
}
