package handler

import (
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// part is what of one piece of the stream goes to one lease, with one Send when the piece is used up. Neighbouring frames are passed as they lie in the piece;
// what is scattered in it, or translated, is gathered in a buffer.
type part struct {
	b          []byte  // the piece
	start, end int     // frames that are neighbours: b[start:end]
	gathered   *[]byte // frames before those, or translated ones, borrowed; nil: none
	frames     int     // how many they are
	asks       int     // and how many of them ask for an answer
}

// add adds the frame b[start:end] of a piece.
func (p *part) add(b []byte, start, end int) {
	switch {
	case p.frames == 0:
		p.b, p.start = b, start
	case start != p.end:
		p.gather()
		p.start = start
	}
	p.end = end
}

// gather copies the neighbours into the buffer.
func (p *part) gather() {
	to := p.buffer()
	*to = append(*to, p.b[p.start:p.end]...)
	p.start = p.end
}

func (p *part) buffer() *[]byte {
	if p.gathered == nil {
		p.gathered = answers.Get().(*[]byte)
	}
	return p.gathered
}

// run returns all frames, back to back.
func (p *part) run() []byte {
	if p.gathered == nil {
		return p.b[p.start:p.end]
	}
	p.gather()
	return *p.gathered
}

// clear forgets the frames, and the piece.
func (p *part) clear() {
	if p.gathered != nil {
		giveBack(p.gathered)
	}
	*p = part{}
}

// pass adds an application frame as it is.
func (h *hold) pass(b []byte, start, end int, f *wire.Frame) {
	h.add(b, start, end)
	h.count(h.c.s.asks(f))
}

// translate adds an application frame in the backend's format. What asks is for that format to say, where it can: it is what the backend goes by.
func (h *hold) translate(f *wire.Frame) error {
	t, buf := &h.to.translator.up, h.buffer()
	b, out, err := t.append(*buf, f, true)
	if err == nil && (t.to.IsPing(&out) || t.to.IsPong(&out)) {
		err = t.heartbeat(&out)
	}
	if err != nil {
		return &untranslatable{wire.RejectError{Reason: wire.ReasonMalformed, Got: uint64(f.Cmd), Want: uint64(f.Cmd), Skip: len(f.Raw)}, err}
	}
	*buf = b
	asks := false
	if t.to.HasPairing() {
		asks = t.to.Asks(&out)
	} else if asks = h.c.s.asks(f); asks {
		h.debts.n.Add(1)
	}
	h.count(asks)
	return nil
}

// count counts an application frame that was added. A run never holds more requests than a lease takes at once.
func (h *hold) count(asks bool) {
	h.frames++
	if asks {
		h.asks++
		if h.asks >= h.to.maxAsks {
			h.forward()
		}
	}
}

// forward sends the part to the backend.
func (h *hold) forward() {
	if h.frames > 0 {
		h.full.Store(true) // first: a Room that comes before Send has returned is for this
		if !h.lease.Send(h.run(), h.frames, h.asks) {
			h.full.Store(false)
		}
	}
	h.clear()
}
