package handler

// Frames implements upstream.Peer: frames from the backend go to the client as they are.
func (c *conn) Frames(run []byte, n int) (full bool) {
	full, err := c.t.Write(run)
	if err != nil {
		return false // the connection is ending; the backend must not be stopped for it
	}
	c.out(n, len(run))
	if c.lingering.Load() && c.lease.Load().Unanswered() == 0 {
		c.t.Wake()
	}
	return full
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
