package transport

import "time"

// readAny reads once by the connection's own Read. It must hold a buffer while it waits, so that buffer is small; it grows when a read
// fills it, up to a TLS record, and shrinks again when the connection has settled. A frame larger than that makes it grow further, by doubling,
// as its bytes come in.
func (c *goroutineConn) readAny() (Next, error) {
	if !c.unsettled {
		c.shrink(smallBuf)
	}
	have := len(c.rest)
	if free := len(c.own) - have; free < smallBuf/2 {
		b := make([]byte, max(smallBuf, 2*have))
		copy(b, c.rest)
		c.own = b
	} else if have > 0 {
		toFront(&c.own, c.rest)
	}
	c.rest = c.own[:have]
	c.holds.set(len(c.own), 0)
	c.arm()
	n, err := c.nc.Read(c.own[have:])
	if n > 0 {
		now := time.Now()
		filled := have+n == len(c.own)
		c.rest = c.own[:have+n]
		next := c.feed(now)
		if filled && len(c.own) < tlsRecord {
			b := make([]byte, min(4*len(c.own), tlsRecord))
			c.rest = b[:copy(b, c.rest)]
			c.own = b
			c.holds.set(len(b), 0)
		}
		c.readAt, c.unsettled = now, len(c.own) > smallBuf
		if err == nil || next != More {
			return next, nil // an error comes again with the next read
		}
	}
	switch {
	case err == nil:
		return More, nil
	case isTimeout(err):
		return c.timedOut(), nil
	default:
		return Close, err
	}
}

// shrink gives up a buffer of more than enough bytes that is mostly empty.
func (c *goroutineConn) shrink(enough int) {
	if len(c.own) > max(enough, 4*len(c.rest)) {
		c.rest = append([]byte(nil), c.rest...)
		c.own = nil
		c.weigh()
	}
}
