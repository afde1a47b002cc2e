package client

import (
	"bytes"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What may wait for OnMessage. Messages of QoS 0 are dropped beyond; the others are bounded by the window, which WELCOME grants to both sides: a gateway that sends so many
// more keeps to none.
const (
	maxIdle   = 256
	maxBytes  = 1 << 20
	maxUndone = 4096
)

// arrival is a message of QoS 1 or 2 that came and is not acknowledged.
type arrival struct {
	session *session

	// Guarded by session.mu.
	id   uint64
	qos  uint8
	link *link // on which it came last
	done bool  // OnMessage, or Ack, is done with it
}

// take takes in a message. The error is what is wrong with it, and its code.
func (s *session) take(l *link, cmd uint8, e *wire.Ext) (wire.ErrorCode, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l || s.ended {
		return 0, nil
	}
	if e.QoS == 0 {
		if s.idle >= maxIdle || s.bytes+len(e.Payload) > maxBytes {
			s.stats.Dropped++
			return 0, nil
		}
		s.idle++
		s.bytes += len(e.Payload)
		s.deliverSoon(Message{Cmd: cmd, Flag: e.Flag, ID: e.ID, Payload: bytes.Clone(e.Payload)})
		return 0, nil
	}
	rel, verdict := s.receiver.Take(e.ID, e.Dup)
	id := s.ticket.Down + rel
	switch verdict {
	case qos.New:
		if len(s.arrivals)+len(s.settling) >= maxUndone {
			return wire.ErrorLimit, fmt.Errorf("message %d is one of more than %d in flight", e.ID, maxUndone)
		}
		s.taken = id
		a := &arrival{session: s, id: id, qos: e.QoS, link: l}
		s.arrivals = append(s.arrivals, a)
		s.deliverSoon(Message{Cmd: cmd, Flag: e.Flag, QoS: e.QoS, ID: e.ID, Payload: bytes.Clone(e.Payload), arrival: a})
	case qos.Duplicate:
		s.acknowledge(e.QoS, e.ID)
	case qos.Pending:
		for _, list := range [][]*arrival{s.settling, s.arrivals} {
			for _, a := range list {
				if a.id == id {
					a.link = l
				}
			}
		}
	default:
		return wire.ErrorID, fmt.Errorf("message %d of QoS %d, DUP %v: its id was used before, or is far from the others", e.ID, e.QoS, e.Dup)
	}
	return 0, nil
}

func (s *session) deliverSoon(m Message) {
	s.inbox = append(s.inbox, m)
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

func (s *session) acknowledge(qos uint8, id uint32) {
	cmd := uint8(wire.CmdPubAck)
	if qos == 2 {
		cmd = wire.CmdPubRec
	}
	s.appendAck(cmd, id) // one that finds no room is asked for again
}

// release answers a PUBREL. false: it releases what was not received.
func (s *session) release(l *link, id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return true
	}
	if !s.receiver.Release(id) {
		return false
	}
	s.appendAck(wire.CmdPubComp, id)
	return true
}

// deliver calls OnMessage.
func (s *session) deliver() {
	for {
		m, ok := s.next()
		if !ok {
			return
		}
		if s.opt.OnMessage != nil {
			s.opt.OnMessage(m)
		}
		if !s.opt.ManualAck || s.opt.OnMessage == nil {
			m.Ack()
		}
	}
}

// next waits for a message. false: the Client ends.
func (s *session) next() (Message, bool) {
	for {
		s.mu.Lock()
		if s.ended {
			s.mu.Unlock()
			return Message{}, false
		}
		if len(s.inbox) > 0 {
			m := s.inbox[0]
			s.inbox[0] = Message{}
			s.inbox = s.inbox[1:]
			if m.QoS == 0 {
				s.idle--
				s.bytes -= len(m.Payload)
			}
			s.mu.Unlock()
			return m, true
		}
		s.inbox = nil
		s.mu.Unlock()
		select {
		case <-s.arrived:
		case <-s.closing:
		}
	}
}

// processed notes that a message is done. When all before it are, too, their number goes to the queue, and then they are acknowledged.
func (s *session) processed(a *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.done {
		return
	}
	a.done = true
	n := 0
	for n < len(s.arrivals) && s.arrivals[n].done {
		n++
	}
	if n == 0 {
		return
	}
	through := s.arrivals[n-1].id
	s.settling = append(s.settling, s.arrivals[:n]...)
	clear(s.arrivals[:n])
	s.arrivals = s.arrivals[n:]
	s.down.ops = append(s.down.ops[:0], queue.Op{Kind: queue.Seen, N: through}) // one for all before it
	s.down.commit()
}

// downDone is told that the number of the last message that is done is safe.
func (s *session) downDone(res queue.Result) {
	s.mu.Lock()
	defer s.leave()
	s.down.finished(res)
	if res.Err == nil {
		through := s.down.batch.Ops[len(s.down.batch.Ops)-1].N
		n := 0
		for ; n < len(s.settling) && s.settling[n].id <= through; n++ {
			a := s.settling[n]
			rel := a.id - s.ticket.Down
			s.receiver.Safe(rel)
			if a.link == s.link && s.link != nil { // else the gateway sends it again, and is answered then
				s.acknowledge(a.qos, uint32(rel))
			}
		}
		clear(s.settling[:n])
		s.settling = s.settling[n:]
	}
	s.down.commit()
}
