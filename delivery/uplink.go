package delivery

import (
	"encoding/binary"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What may be sent to a plain backend before it has proved that it has it.
const (
	maxUnproved      = 1000
	maxUnprovedBytes = 256 << 10
)

// proof is what a plain backend was sent since it last proved what it has: each run of messages ends with a barrier, a PING whose payload is the id of the last of them. As
// TCP keeps order, its PONG says that the backend has read all before it.
type proof struct {
	runs            []run
	messages, bytes int
}

type run struct {
	through         uint64
	messages, bytes int
}

// barrierLen is the length of a barrier's payload: not that of a heartbeat, which is wire.PingLen.
const barrierLen = 8

// sendUp sends the backend what is stored for it. s.mu is held.
func (s *Session) sendUp() {
	switch {
	case !s.ready() || s.linkFull:
	case s.hop != nil:
		if s.up.window > 0 {
			s.forward(queue.Up, out(&s.toLink), false)
		}
	default:
		s.sendPlain()
	}
}

func (s *Session) sendPlain() {
	if s.up.outbox.ready == nil {
		return
	}
	p := s.proof
	if p == nil {
		p = new(proof)
	}
	var r run
	now := time.Now()
	for p.messages+r.messages < maxUnproved && p.bytes+r.bytes < maxUnprovedBytes {
		m := s.up.pop()
		if m == nil {
			break
		}
		r.through = m.ID
		if !m.Expires.IsZero() && !now.Before(m.Expires) {
			continue
		}
		r.messages++
		r.bytes += m.Size()
		if m.ID <= s.up.sent {
			s.v.count.redelivered[queue.Up].Add(1)
		}
		s.up.sent = max(s.up.sent, m.ID)
		o := out(&s.toLink)
		o.plain(m.Cmd, m.Flag, m.Payload)
		if m.Flag&wire.FlagReq != 0 {
			s.asks = append(s.asks, ask{id: uint32(m.ID), stored: m.ID})
		}
	}
	if r.through == 0 {
		return
	}
	o := out(&s.toLink)
	o.b = wire.AppendHeader(o.b, wire.CmdPing, wire.FlagReq, barrierLen)
	o.b = binary.BigEndian.AppendUint64(o.b, r.through)
	o.n++
	o.asks++
	p.runs = append(p.runs, r)
	p.messages += r.messages
	p.bytes += r.bytes
	s.proof = p
}

// Pong implements upstream.LinkPeer: a barrier has come back.
func (h *hold) Pong(payload []byte) {
	if len(payload) != barrierLen {
		return
	}
	through := binary.BigEndian.Uint64(payload)
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	if s.hold != h || !h.linked || s.proof == nil {
		return
	}
	p := s.proof
	proved := uint64(0)
	for len(p.runs) > 0 && p.runs[0].through <= through {
		r := p.runs[0]
		p.runs = p.runs[1:]
		p.messages -= r.messages
		p.bytes -= r.bytes
		proved = r.through
		s.v.count.delivered[queue.Up].Add(uint64(r.messages))
	}
	if len(p.runs) == 0 {
		s.proof = nil
	}
	if proved > 0 {
		s.proved = proved
		s.up.change(queue.Op{Kind: queue.RemoveThrough, ID: proved})
	}
}

// pass sends a frame of QoS 0 to the backend, or keeps it until there is a link. s.mu is held.
func (s *Session) pass(cmd uint8, e *wire.Ext) {
	if !s.ready() || s.linkFull {
		o := out(&s.loose)
		if len(o.b) <= maxPending {
			e.CRC = false
			o.ext(cmd, e)
			return
		}
		s.v.count.dropped.Add(1)
		s.answerLost(e, wire.ErrorLost, "there is no link to a backend")
		return
	}
	if e.Flag == wire.FlagReq {
		if len(s.asks) >= maxAsks {
			s.answerLost(e, wire.ErrorLimit, "too many requests without an answer")
			return
		}
		s.asks = append(s.asks, ask{id: e.ID})
	}
	o := out(&s.toLink)
	if s.hop == nil {
		o.plain(cmd, e.Flag, e.Payload)
		return
	}
	e.CRC = false
	o.ext(cmd, e)
	if e.Flag == wire.FlagReq {
		o.asks++
	}
}

// answerLost tells the client that its request gets no answer.
func (s *Session) answerLost(e *wire.Ext, code wire.ErrorCode, text string) {
	if e.Flag != wire.FlagReq || s.cl == nil {
		return
	}
	s.v.count.lost.Add(1)
	if e.ID == 0 {
		s.endClient(errNameless)
		return
	}
	out(&s.toClient).fault(wire.ErrorFrame{Code: code, ID: e.ID, Text: text})
}

// passLoose sends what has waited for a link. s.mu is held.
func (s *Session) passLoose() {
	o := s.loose
	if o == nil {
		return
	}
	s.loose = nil
	var f wire.Frame
	for b := o.b; len(b) > 0; b = b[len(f.Raw):] {
		if n, err := decoder.Next(b, &f); n == 0 || err != nil {
			break // never: we have written it
		}
		if e, err := wire.ParseExt(&f); err == nil {
			s.pass(uint8(f.Cmd), &e)
		}
	}
	giveBack(&o)
}
