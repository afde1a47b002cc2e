package client

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// maxReady and readyBytes are how much is held of what is to be sent next; the rest is read from the queue when it is its turn.
const (
	maxReady   = 256
	readyBytes = 256 << 10
)

// nextID is the id after last: one that the wire can say.
func (s *session) nextID(last uint64) uint64 { return s.ticket.Up + qos.Next(last-s.ticket.Up) }

// pump sends what is ready, as far as the gateway and the network take it. mu is held.
func (s *session) pump() {
	now := time.Now()
	for s.link != nil && len(s.ready) > 0 && s.sender.Room() > 0 {
		m := &s.ready[0]
		if !m.Expires.IsZero() && !now.Before(m.Expires) {
			s.pop()
			continue
		}
		if !s.send(m, now) {
			return
		}
		s.pop()
	}
	if s.behind && len(s.ready) == 0 {
		s.rouse()
	}
}

func (s *session) pop() {
	s.ready[0] = queue.Message{}
	s.ready = s.ready[1:]
}

// send sends a message for the first time on this connection; of one that was received, its PUBREL. false: the connection takes no more now. mu is held.
func (s *session) send(m *queue.Message, now time.Time) bool {
	rel := m.ID - s.ticket.Up
	if m.State == queue.Acknowledged {
		if !s.appendAck(wire.CmdPubRel, uint32(rel)) {
			return false
		}
		s.sender.Release(rel, now)
		s.flights[m.ID] = queue.Message{}
	} else {
		if !s.appendMessage(m, m.ID <= s.sent) {
			return false
		}
		s.sender.Sent(rel, m.QoS, now)
		s.flights[m.ID] = *m
		if m.ID <= s.sent {
			s.stats.Repeated++
		}
	}
	s.sent = max(s.sent, m.ID)
	s.rouseBy(s.sender.Deadline())
	return true
}

func (s *session) appendMessage(m *queue.Message, dup bool) bool {
	ext := wire.Ext{QoS: m.QoS, Flag: m.Flag, Dup: dup, CRC: s.link.crc, ID: uint32(m.ID - s.ticket.Up), Payload: m.Payload}
	return s.append(s.link.appendExt(m.Cmd, &ext))
}

func (s *session) appendAck(cmd uint8, id uint32) bool {
	return s.append(s.link.appendAck(cmd, id))
}

func (s *session) append(err error) bool {
	s.unsent = s.unsent || err == nil
	return err == nil
}

// acked is told of a PUBACK, PUBREC or PUBCOMP. false: it acknowledges what was never sent.
func (s *session) acked(l *link, cmd uint8, id uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l {
		return true
	}
	rel, outcome := s.sender.Ack(cmd, id)
	full := s.ticket.Up + rel
	switch outcome {
	case qos.Done:
		s.remove(full)
	case qos.Release:
		s.up.ops = append(s.up.ops, queue.Op{Kind: queue.Acknowledge, ID: full})
		s.flights[full] = queue.Message{}
		s.settle(full, nil)
	case qos.Forged:
		return false
	}
	return true
}

// releasable has a message released whose PUBREC is safe: not before, or it might be sent again to a gateway that has forgotten it. mu is held.
func (s *session) releasable(id uint64) {
	rel := id - s.ticket.Up
	if _, here := s.flights[id]; here && s.sender.Release(rel, time.Now()) { // else its PUBREC came over another connection
		s.appendAck(wire.CmdPubRel, uint32(rel)) // if it does not go out now, it does when it is late
		s.rouseBy(s.sender.Deadline())
	}
}

// flushed is told when all acknowledgements of a piece were told of.
func (s *session) flushed() {
	s.mu.Lock()
	defer s.leave()
	s.up.commit()
	s.pump()
}

// keep does what takes time, or is due at a time: it reads what is behind, repeats what is late, and tells of what has expired.
func (s *session) keep() {
	t := time.NewTimer(never)
	defer t.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-s.wake:
		case <-t.C:
		}
		s.load()
		t.Reset(s.tick())
	}
}

// load reads from the queue what is to be sent next.
func (s *session) load() {
	s.mu.Lock()
	defer s.leave()
	for s.link != nil && s.behind && len(s.ready) == 0 && !s.ended {
		l, after, stored := s.link, s.loaded, s.stored
		s.mu.Unlock()
		ms, err := s.store.Read(context.Background(), s.up.box, after, maxReady, readyBytes)
		s.mu.Lock()
		if s.link != l {
			continue
		}
		if err != nil {
			l.conn.Close(fmt.Errorf("queue: %w", err))
			return
		}
		s.loaded = stored // if nothing was left of what is there
		for i := range ms {
			if ms[i].ID > s.stored { // its receipt is not there yet: kept will offer it
				break
			}
			s.loaded = ms[i].ID
			s.offer(&ms[i])
		}
		s.behind = s.loaded < s.stored
		s.up.commit()
		s.pump()
		s.tellEmpty()
	}
}

// offer makes a message of the queue ready, or forgets it where the gateway has it. mu is held.
func (s *session) offer(m *queue.Message) {
	has := m.ID <= s.known
	if has != (m.State == queue.Acknowledged) { // it arrived, on the connection before or in an earlier session
		s.remove(m.ID)
		return
	}
	if !has && s.counted < m.ID && m.ID <= s.doubt {
		s.counted = m.ID
		s.stats.Unsure++
	}
	s.ready = append(s.ready, *m)
}

// tick does what is due, and returns when to be called again.
func (s *session) tick() time.Duration {
	s.mu.Lock()
	defer s.leave()
	now := time.Now()
	s.repeat(now)
	if !s.soonest.IsZero() && !now.Before(s.soonest) {
		s.expire(now)
	}
	s.timer = time.Time{}
	for _, c := range []*changes{&s.up, &s.down} {
		if !c.retry.IsZero() && !now.Before(c.retry) {
			c.retry = time.Time{}
			c.commit()
		}
		s.by(c.retry)
	}
	if len(s.waiting) > 0 { // others may have made room
		if !s.up.busy && len(s.up.ops) == 0 {
			s.readmit(1)
		}
		s.by(now.Add(retryAfter))
	}
	if s.link != nil {
		s.by(s.sender.Deadline())
	}
	s.by(s.soonest)
	if s.timer.IsZero() {
		return never
	}
	return s.timer.Sub(now)
}

func (s *session) by(at time.Time) {
	if !at.IsZero() && (s.timer.IsZero() || at.Before(s.timer)) {
		s.timer = at
	}
}

// rouseBy has keep wake at the moment given, at the latest. mu is held.
func (s *session) rouseBy(at time.Time) {
	if !at.IsZero() && (s.timer.IsZero() || at.Before(s.timer)) {
		s.timer = at
		s.rouse()
	}
}

// repeat sends again what was not acknowledged in time. mu is held.
func (s *session) repeat(now time.Time) {
	for s.link != nil {
		rel, action := s.sender.Due(now)
		id := s.ticket.Up + rel
		switch action {
		case qos.SendAgain:
			m := s.flights[id]
			s.stats.Repeated++
			s.appendMessage(&m, true)
		case qos.ReleaseAgain:
			s.appendAck(wire.CmdPubRel, uint32(rel))
		case qos.Forget:
			s.remove(id)
			s.up.commit()
		case qos.GiveUp:
			s.link.conn.Close(ErrUnacknowledged)
			return
		default:
			return
		}
	}
}

// expire tells of what is too old to be delivered. mu is held.
func (s *session) expire(now time.Time) {
	s.soonest = time.Time{}
	var over []uint64
	for id, r := range s.receipts {
		switch {
		case r.expires.IsZero():
		case !now.Before(r.expires):
			over = append(over, id)
		case s.soonest.IsZero() || r.expires.Before(s.soonest):
			s.soonest = r.expires
		}
	}
	slices.Sort(over)
	for _, id := range over {
		s.settle(id, ErrExpired)
	}
}
