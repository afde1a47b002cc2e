package transport

import "time"

// readAny reads once by the connection's own Read. It must hold a buffer while it waits, so that buffer is small; it grows when a read
// fills it, up to a TLS record, and shrinks again when the connection has settled. A frame larger than that makes it grow further, by doubling,
// as its bytes come in.
func (c *Conn) readAny() (Next, error) {
	if len(c.rest) == 0 && !c.unsettled && len(c.own) > smallBuf {
		c.own = nil
	}
	have := len(c.rest)
	if free := len(c.own) - have; free < smallBuf/2 {
		b := make([]byte, max(smallBuf, 2*have))
		copy(b, c.rest)
		c.own = b
	} else if have > 0 {
		copy(c.own, c.rest) // to the front; rest may already be there
	}
	c.rest = c.own[:have]
	c.arm()
	n, err := c.nc.Read(c.own[have:])
	if n > 0 {
		now := time.Now()
		c.readAt, c.unsettled = now, len(c.own) > smallBuf
		filled := have+n == len(c.own)
		c.rest = c.own[:have+n]
		next := c.feed(now)
		if filled && len(c.own) < tlsRecord {
			b := make([]byte, min(4*len(c.own), tlsRecord))
			c.rest = b[:copy(b, c.rest)]
			c.own = b
		}
		if err == nil || next != More {
			return next, nil // an error comes again with the next read
		}
	}
	switch {
	case err == nil:
		return More, nil
	case isTimeout(err):
		c.unsettled = c.unsettled && time.Since(c.readAt) < settle
		return c.timedOut(), nil
	default:
		return Close, err
	}
}
