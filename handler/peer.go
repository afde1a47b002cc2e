package handler

import "github.com/caddy-gopr/caddy-gopr/wire"

// Frames implements upstream.Peer: frames from the backend go to the client as they are, or in the client's format where that is another.
func (c *conn) Frames(run []byte, n int) (full bool) {
	if c.s.translator != nil {
		b := answers.Get().(*[]byte)
		defer giveBack(b)
		if err := c.translateBack(b, run); err != nil {
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
	if c.lingering.Load() && c.hold().Unanswered() == 0 {
		c.t.Wake()
	}
	return full
}

// translateBack appends frames of the backend in the client's format.
func (c *conn) translateBack(to *[]byte, run []byte) error {
	var f wire.Frame
	for len(run) > 0 {
		n, err := c.s.translator.dec.Next(run, &f)
		if err != nil {
			return err
		}
		t := &c.s.translator.down
		b, out, err := t.append(*to, &f, c.debts.take())
		if err != nil {
			return err
		}
		if c.s.isPing(&out) || c.s.isPong(&out) {
			return t.heartbeat(&out)
		}
		*to = b
		run = run[n:]
	}
	return nil
}

// Room implements upstream.Peer: the backend takes more.
func (c *conn) Room() {
	c.upFull.Store(false)
	if !c.ownFull.Load() {
		c.t.Resume()
	}
}

// Lost implements upstream.Peer.
func (c *conn) Lost(cause error) { c.end(endingOf(cause)) }

// out counts what goes to the client.
func (c *conn) out(frames, bytes int) {
	c.framesOut.Add(uint64(frames))
	c.bytesOut.Add(uint64(bytes))
	if frames > 0 {
		c.live.FramesOut.Add(float64(frames))
	}
	c.live.BytesOut.Add(float64(bytes))
}
