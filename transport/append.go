package transport

import "runtime"

func (c *goroutineConn) Append(b []byte) (full bool, err error) {
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

func (c *goroutineConn) Flush(atOnce bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.out == nil || c.werr != nil || c.closing {
		return // who is busy sends this, too
	}
	c.seize()
	if !atOnce || c.raw == nil && !c.below.takes(len(*c.out)) {
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
