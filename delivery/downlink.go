package delivery

import (
	"bytes"
	"slices"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// decoder cuts what backends send. The links have checked it.
var decoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err) // the zero rules are every format's own
	}
	return d
}()

// maxStored is the longest payload of a message with an id.
const maxStored = wire.MaxPayload - 4

// Frames implements upstream.Peer.
func (h *hold) Frames(b []byte, _ int) (full bool) {
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	var f wire.Frame
	for len(b) > 0 && s.hold == h && !s.gone {
		n, err := decoder.Next(b, &f)
		if n == 0 || err != nil {
			s.dropLease("it has sent what is no frame", 0) // of a version that the link accepts, and we do not
			return false
		}
		b = b[n:]
		if s.hop != nil {
			s.takeHop(&f)
		} else {
			s.takePlain(&f)
		}
	}
	s.backendHeld = s.hold == h && s.holdsBackend()
	return s.backendHeld
}

// takePlain takes a frame of a plain backend. s.mu is held.
func (s *Session) takePlain(f *wire.Frame) {
	cmd, flag := uint8(f.Cmd), uint8(f.Flag)
	e := wire.Ext{Flag: flag & (wire.FlagReq | wire.FlagRsp), QoS: s.v.set().Downlink, Payload: f.Payload}
	if own := flag & wire.FlagQoS >> 2; own == 1 || own == 2 {
		e.QoS = own
	}
	switch {
	case cmd < wire.CmdApp || e.Flag == wire.FlagReq|wire.FlagRsp: // to an extended client it would be something else
		s.v.count.dropped.Add(1)
	case e.Flag == wire.FlagRsp:
		s.answer(cmd, &e)
	case e.QoS == 0 || len(e.Payload) > maxStored || s.cl != nil && s.caps&wire.CapQoS == 0:
		e.QoS = 0
		s.passDown(cmd, &e)
	default:
		s.down.put(s.v.message(s.down.nextID(), cmd, e.Flag, e.QoS, bytes.Clone(e.Payload)), receipt{})
	}
}

// answer passes a plain backend's answer on, as that to the request that it was asked first. s.mu is held.
func (s *Session) answer(cmd uint8, e *wire.Ext) {
	e.QoS = 0
	if len(s.asks) > 0 {
		a := s.asks[0]
		s.dropAsk(0)
		if a.dead {
			s.v.count.dropped.Add(1)
			return
		}
		e.ID = a.id
	}
	s.passDown(cmd, e)
}

func (s *Session) dropAsk(i int) {
	switch {
	case len(s.asks) == 1:
		s.asks = nil
	case i == 0:
		s.asks = s.asks[1:]
	default:
		s.asks = slices.Delete(s.asks, i, i+1)
	}
}

// passDown sends the client a frame of QoS 0, if it is there. s.mu is held.
func (s *Session) passDown(cmd uint8, e *wire.Ext) {
	if s.cl == nil {
		s.v.count.dropped.Add(1)
		return
	}
	e.QoS, e.Dup, e.CRC = 0, false, s.caps&wire.CapCRC != 0
	if !out(&s.toClient).ext(cmd, e) {
		s.v.count.dropped.Add(1)
		if e.Flag == wire.FlagRsp {
			out(&s.toClient).fault(wire.ErrorFrame{Code: wire.ErrorLost, ID: e.ID, Text: "the answer is too long to carry its id"})
		}
	}
}

// tookDown acknowledges to the backend what is stored, and sends it to the client. What the store had no room for is tried again. s.mu is held.
func (s *Session) tookDown(b *batch, r queue.Result, last uint64) {
	for _, owed := range b.owed[:min(r.Stored, len(b.owed))] {
		if s.hop != nil && s.hop.welcome && owed.id != 0 {
			out(&s.toLink).ack(receiptFor(owed.qos), owed.id)
		}
	}
	if s.hop != nil {
		s.hop.in.Safe(r.Box.Seen)
	}
	if s.sends(queue.Down) {
		s.down.add(b.Ops, r.Stored, last, r.Dropped)
	}
	s.v.count.taken[queue.Down].Add(uint64(r.Stored))
	if r.Stored < len(b.owed) {
		s.needRare().refusedAt = s.v.now() + moment(refusedFor)
		s.down.takeBack(b, r.Stored)
	}
}
