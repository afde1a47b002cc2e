package delivery

import (
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// flow is a session's messages in one direction.
type flow struct {
	box
	sent   uint64 // the highest id that was ever sent, as far as is known: what comes again goes out as a repeat
	window uint16 // that who acknowledges them has granted; 0: nobody does, or is there
	relay  *relay // nil: nothing is in flight
}

// relay is messages on their way to who acknowledges each.
type relay struct {
	sender qos.Sender
	flight []*queue.Message // in flight, by id; but for those that wait for PUBCOMP alone
	bytes  int              // of these
}

// begin has all that is stored sent, from the first on: to a client or a backend that has just come.
func (f *flow) begin(window uint16) {
	f.window, f.relay = window, nil
	f.restart(0)
	if f.info.Messages == f.info.Failed {
		f.fed = f.info.Last
	}
}

// stop has nothing more sent.
func (f *flow) stop() {
	f.window, f.relay = 0, nil
	f.restart(0)
}

// inFlight is how many messages are.
func (f *flow) inFlight() int {
	if f.relay == nil {
		return 0
	}
	return f.relay.sender.InFlight()
}

// deadline is when a message is to be repeated; zero: never.
func (f *flow) deadline() time.Time {
	if f.relay == nil {
		return time.Time{}
	}
	return f.relay.sender.Deadline()
}

func (r *relay) place(id uint64) (int, bool) {
	return slices.BinarySearchFunc(r.flight, id, func(m *queue.Message, id uint64) int {
		switch {
		case m.ID < id:
			return -1
		case m.ID > id:
			return 1
		}
		return 0
	})
}

func (r *relay) find(id uint64) *queue.Message {
	if i, ok := r.place(id); ok {
		return r.flight[i]
	}
	return nil
}

// land takes a message out of flight. What is acknowledged is mostly the first.
func (r *relay) land(id uint64) *queue.Message {
	i, ok := r.place(id)
	if !ok {
		return nil
	}
	m := r.flight[i]
	r.bytes -= m.Size()
	switch {
	case len(r.flight) == 1:
		r.flight = nil
	case i == 0:
		r.flight[0] = nil
		r.flight = r.flight[1:]
	default:
		r.flight = slices.Delete(r.flight, i, i+1)
	}
	return m
}

// forward sends what is due and what there is room for. s.mu is held.
func (s *Session) forward(d queue.Direction, o *outgoing, crc bool) {
	f := s.flow(d)
	if f.relay == nil {
		if f.ready == nil {
			return
		}
		f.relay = &relay{sender: qos.NewSender(s.v.set().limits(f.window), f.last)}
	}
	r := f.relay
	now := time.Now()
	for f.relay == r {
		id, a := r.sender.Due(now)
		if a == qos.Nothing {
			break
		}
		s.repeat(f, d, id, a, o, crc)
	}
	if f.relay != r { // it was given up
		return
	}
	for r.sender.Room() > 0 && r.bytes < maxInFlight {
		m := f.pop()
		if m == nil {
			break
		}
		switch {
		case m.State == queue.Acknowledged:
			if r.sender.Release(m.ID, now) {
				o.ack(wire.CmdPubRel, uint32(m.ID))
			}
			continue
		case !m.Expires.IsZero() && !now.Before(m.Expires), !r.sender.Sent(m.ID, m.QoS, now):
			continue
		}
		dup := m.ID <= f.sent
		if dup {
			s.v.count.redelivered[d].Add(1)
		}
		f.sent = max(f.sent, m.ID)
		r.flight = append(r.flight, m)
		r.bytes += m.Size()
		o.message(m, dup, crc)
	}
	if r.sender.InFlight() == 0 {
		f.relay = nil
	}
}

// repeat does what the sender says about a message that was not acknowledged in time.
func (s *Session) repeat(f *flow, d queue.Direction, id uint64, a qos.Action, o *outgoing, crc bool) {
	r := f.relay
	switch a {
	case qos.SendAgain:
		m := r.find(id)
		if m == nil {
			r.sender.Drop(id)
			return
		}
		s.v.count.redelivered[d].Add(1)
		o.message(m, true, crc)
	case qos.ReleaseAgain:
		o.ack(wire.CmdPubRel, uint32(id))
	case qos.GiveUp:
		r.land(id)
		s.giveUp(d, id)
	case qos.Forget:
		r.land(id)
		f.change(queue.Op{Kind: queue.Remove, ID: id})
		s.v.count.delivered[d].Add(1)
	}
}

// maxFailed is the share of a box's bounds that failed messages may take: what is beyond is not kept, that they do not keep out those that can be delivered.
const maxFailed = 0.25

// giveUp is told of a message that was repeated often enough. One to the client has failed. One to a backend is kept: later ones may have arrived, and were it sent after them, it
// would be taken for one that came before; so all that is not acknowledged is sent again, over another link. s.mu is held.
func (s *Session) giveUp(d queue.Direction, id uint64) {
	set := s.v.set()
	if d == queue.Up {
		s.dropLease("it does not acknowledge", 0)
		return
	}
	op := queue.Op{Kind: queue.Fail, ID: id, N: uint64(set.MaxRetries)}
	if float64(s.down.info.Failed) >= maxFailed*float64(set.Bounds.Messages) || s.down.filled(set.Bounds, backpressureAt) {
		op = queue.Op{Kind: queue.Remove, ID: id}
	}
	s.down.change(op)
	s.v.count.failed[d].Add(1)
	s.tell(Event{Kind: MessageFailed, Direction: d, Message: id})
}

// acked takes a PUBACK, PUBREC or PUBCOMP of a message that went that way. false: no such message was sent. s.mu is held.
func (s *Session) acked(d queue.Direction, cmd uint8, id uint32, o *outgoing) bool {
	f := s.flow(d)
	if f.window == 0 {
		return true // it was granted no messages, or not yet: this is of a time before
	}
	if f.relay == nil { // it can only be late, or forged
		f.relay = &relay{sender: qos.NewSender(s.v.set().limits(f.window), f.last)}
	}
	full, outcome := f.relay.sender.Ack(cmd, id)
	switch outcome {
	case qos.Done:
		f.relay.land(full)
		f.change(queue.Op{Kind: queue.Remove, ID: full})
		s.v.count.delivered[d].Add(1)
	case qos.Release:
		f.relay.land(full)
		f.change(queue.Op{Kind: queue.Acknowledge, ID: full})
		f.relay.sender.Release(full, time.Now())
		o.ack(wire.CmdPubRel, id)
	case qos.Late:
		if cmd == wire.CmdPubRec {
			o.ack(wire.CmdPubRel, id)
		} else {
			f.change(queue.Op{Kind: queue.Remove, ID: full})
		}
	default:
		return false
	}
	return true
}
