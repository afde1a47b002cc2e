package delivery

import (
	"bytes"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// hop is what there is to know of a backend that speaks the extended protocol: to it the session is a client, whose token is the session's id. It lives as long as the session,
// since what was received over one link may come again over the next.
type hop struct {
	welcome bool         // the backend has said WELCOME: messages may be sent
	in      qos.Receiver // of what it sends
}

// helloWait is how long a backend may take to answer HELLO.
const helloWait = 10 * time.Second

// greet begins a link to such a backend. s.mu is held.
func (s *Session) greet() {
	if s.hop == nil {
		s.hop = &hop{in: qos.NewReceiver(s.down.info.Seen)}
	}
	s.hop.welcome = false
	s.needRare().helloAt = s.v.now() + moment(helloWait)
	o := out(&s.toLink)
	b, err := wire.AppendHello(o.b, &wire.Hello{
		Capabilities: wire.CapQoS | wire.CapResume | wire.CapPong,
		Expiry:       s.expiry, ClientID: []byte(s.client), Token: s.id[:],
	})
	if err != nil {
		s.dropLease("HELLO can't be said: "+err.Error(), helloWait)
		return
	}
	o.b = b
	o.n++
}

// takeHop takes a frame of such a backend. s.mu is held.
func (s *Session) takeHop(f *wire.Frame) {
	cmd := uint8(f.Cmd)
	if !s.hop.welcome && cmd != wire.CmdWelcome && cmd != wire.CmdError {
		s.dropLease("it has sent something else before WELCOME", 0)
		return
	}
	switch cmd {
	case wire.CmdWelcome:
		w, ok := wire.ParseWelcome(f.Payload)
		if !ok || s.hop.welcome || w.Capabilities&wire.CapQoS == 0 || w.Window == 0 {
			s.dropLease("its WELCOME is malformed, comes twice, or grants no messages", 0)
			return
		}
		s.welcomed(w)
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp:
		if id, ok := wire.ParseAck(f.Payload); !ok || !s.acked(queue.Up, cmd, id, out(&s.toLink)) {
			s.dropLease("it has acknowledged what it was not sent", 0)
		}
	case wire.CmdPubRel:
		id, ok := wire.ParseAck(f.Payload)
		if !ok || !s.hop.in.Release(id) {
			s.dropLease("it has released what it has not sent", 0)
			return
		}
		out(&s.toLink).ack(wire.CmdPubComp, id)
	case wire.CmdError:
		s.hopError(f)
	case wire.CmdGoAway:
		g, _ := wire.ParseGoAway(f.Payload)
		s.dropLease("it has said GOAWAY", g.After)
	default:
		if cmd < wire.CmdApp {
			s.dropLease("it has sent a command that is not a gateway's to take", 0)
			return
		}
		s.hopMessage(f)
	}
}

// welcomed goes on after what the backend has of the session's messages. s.mu is held.
func (s *Session) welcomed(w wire.Welcome) {
	s.hop.welcome = true
	s.answered()
	after := s.proved
	switch has, above, ok := qos.Expand(s.up.info.Last, w.LastID); {
	case ok && above:
		s.up.sent = max(s.up.sent, has) // by another gateway, whose the session is; what we still send of it comes again
	case ok && has > after:
		after = has
		s.up.change(queue.Op{Kind: queue.RemoveThrough, ID: has})
	}
	s.proved = after
	s.up.begin(w.Window)
	if s.up.fed < after {
		s.up.restart(after)
	}
	s.passLoose()
}

// hopError takes a backend's ERROR: of a request, it is the answer. Any other is the backend's last word, or of a message that will be repeated. s.mu is held.
func (s *Session) hopError(f *wire.Frame) {
	e, ok := wire.ParseError(f)
	if !ok || e.ID == 0 {
		s.dropLease(e.Error(), 0)
		return
	}
	if i := s.askOf(e.ID); i >= 0 {
		dead := s.asks[i].dead
		s.dropAsk(i)
		if s.cl != nil && !dead {
			out(&s.toClient).fault(e)
		}
	}
}

// askOf finds a request by its id; -1: there is none.
func (s *Session) askOf(id uint32) int {
	for i := range s.asks {
		if s.asks[i].id == id {
			return i
		}
	}
	return -1
}

// hopMessage takes a frame of the application. s.mu is held.
func (s *Session) hopMessage(f *wire.Frame) {
	e, err := wire.ParseExt(f)
	if err != nil {
		s.dropLease(err.Error(), 0)
		return
	}
	cmd := uint8(f.Cmd)
	if e.QoS == 0 {
		if e.Flag == wire.FlagRsp {
			i := s.askOf(e.ID)
			if i < 0 || s.asks[i].dead {
				s.v.count.dropped.Add(1)
				if i >= 0 {
					s.dropAsk(i)
				}
				return
			}
			s.dropAsk(i)
		}
		s.passDown(cmd, &e)
		return
	}
	id, verdict := s.hop.in.Take(e.ID, e.Dup)
	switch verdict {
	case qos.New:
		s.down.put(s.v.message(s.down.nextID(), cmd, e.Flag, e.QoS, bytes.Clone(e.Payload)), receipt{e.ID, e.QoS})
		s.down.change(queue.Op{Kind: queue.Seen, N: id})
	case qos.Duplicate:
		out(&s.toLink).ack(receiptFor(e.QoS), e.ID)
	case qos.Violation:
		s.dropLease("it has used an id again", 0)
	}
}
