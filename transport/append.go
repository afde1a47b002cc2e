package transport

import "runtime"

// Append keeps a copy of b for the next Flush, Write or Close. Many that append to one connection leave with one system call. It returns what [Conn.Write]
// returns. Whoever appends must flush, whatever it reports: what nobody flushes stays, and Drained with it.
func (c *Conn) Append(b []byte) (full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.werr != nil:
		return false, c.werr
	case c.closing:
		return false, ErrClosed
	case len(b) == 0:
		return c.full, nil
	}
	c.add(b)
	if c.unsent > c.opt.high() {
		c.full = true
	}
	return c.full, nil
}

// Flush sends what was appended. atOnce tries it in the calling goroutine, as Write does: for a lone request, which must not wait for anybody. Otherwise a writer
// does it that first lets the goroutines run that are ready to, so that they can append what they have.
func (c *Conn) Flush(atOnce bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.out == nil || c.werr != nil || c.closing {
		return // who is busy sends this, too
	}
	c.seize()
	if !atOnce || c.raw == nil {
		go func() {
			runtime.Gosched()
			c.writeOut()
		}()
		return
	}
	p := c.out
	c.out = nil
	c.unsent -= len(*p)
	_, _ = c.attempt(*p) // an error ends the connection by itself
	returnOut(p)
}
