package handler

import "github.com/caddy-gopr/caddy-gopr/wire"

// Frames implements upstream.Peer: frames from the backend go to the client as they are, or in the client's format where that is another.
func (h *hold) Frames(run []byte, n int) (full bool) {
	c := h.c
	if h.to.translator != nil {
		b := answers.Get().(*[]byte)
		defer giveBack(b)
		if err := h.translateBack(b, run); err != nil {
			_, _ = c.t.Write(*b) // the frames before it
			c.end(ending{reasonUpstream, err})
			return false
		}
		run = *b
	}
	full, err := c.t.Write(run)
	if err != nil {
		return false // the connection is ending; the backend must not be stopped for it
	}
	c.out(n, len(run))
	c.rec.out(h.dialect.Load(), run, n)
	if (c.lingering.Load() || c.leaving.Load() || c.parting.Load()) && c.leases.unanswered() == 0 {
		c.t.Wake()
	}
	return full
}

// translateBack appends frames of the backend in the client's format.
func (h *hold) translateBack(to *[]byte, run []byte) error {
	var f wire.Frame
	client := h.dialect.Load()
	for len(run) > 0 {
		n, err := h.to.translator.dec.Next(run, &f)
		if err != nil {
			return err
		}
		t := &h.to.translator.down
		b, out, err := t.append(*to, &f, h.debts.take())
		if err != nil {
			return err
		}
		if client.isPing(&out) || client.isPong(&out) {
			return t.heartbeat(&out)
		}
		*to = b
		run = run[n:]
	}
	return nil
}

// Room implements upstream.Peer: the backend takes more.
func (h *hold) Room() {
	h.full.Store(false)
	if !h.c.ownFull.Load() && !h.c.full() {
		h.c.t.Resume()
	}
}

// Lost implements upstream.Peer: a client ends with any of its leases.
func (h *hold) Lost(cause error) { h.c.end(endingOf(cause)) }

// out counts what goes to the client.
func (c *conn) out(frames, bytes int) {
	c.framesOut.Add(uint64(frames))
	c.bytesOut.Add(uint64(bytes))
	if frames > 0 {
		c.live.FramesOut.Add(float64(frames))
	}
	c.live.BytesOut.Add(float64(bytes))
}
