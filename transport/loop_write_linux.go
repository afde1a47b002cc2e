package transport

import (
	"os"
	"syscall"
)

// flushAbove is how many appended bytes don't wait for the end of the turn: the peer can begin with them meanwhile.
const flushAbove = 64 << 10

// Write implements Conn.
func (c *loopConn) Write(b []byte) (full bool, err error) {
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
	if c.busy || c.out != nil || len(b) < shortBelow && c.loop.gathers() { // what was appended goes first
		c.add(b)
		switch {
		case c.busy || c.blocked:
		case c.unsent >= flushAbove || c.unsent > c.opt.high(): // full is what the socket does not take, and not what it was not asked to
			c.sendOut()
		default:
			c.flush = true
			c.post()
		}
	} else if n, err := c.send(b); err != nil && n == 0 {
		return false, err
	} // after a part is written, as little is known of b as of what was written before
	return c.mark(), nil
}

// Append implements Conn.
func (c *loopConn) Append(b []byte) (full bool, err error) {
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
	return c.mark(), nil
}

// Flush implements Conn.
func (c *loopConn) Flush(atOnce bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.busy || c.blocked || c.out == nil || c.werr != nil || c.closing:
	case atOnce && c.loop.asleep.Load() || len(*c.out) >= flushAbove:
		c.sendOut()
	default:
		c.flush = true
		c.post()
	}
}

// mark returns whether too much is unsent, and remembers that it said so. c.mu is held.
func (c *loopConn) mark() (full bool) {
	if c.unsent > c.opt.high() {
		c.full = true
	}
	return c.full
}

// add keeps b behind what is unsent. c.mu is held.
func (c *loopConn) add(b []byte) {
	if c.out == nil {
		c.out = borrowOut()
	}
	if c.sent > keptOut && c.sent > len(*c.out)/2 {
		*c.out = (*c.out)[:copy(*c.out, (*c.out)[c.sent:])]
		c.sent = 0
	}
	growOut(c.out, b)
	c.unsent += len(b)
}

// send writes b at once, as far as the socket takes it, and keeps the rest. c.mu is held, and given up during the system call: others append meanwhile. Nothing is
// unsent, and nobody else is writing.
func (c *loopConn) send(b []byte) (n int, err error) {
	c.unsent += len(b)
	n, err = c.try(b)
	if err == nil && n < len(b) {
		p := borrowOut()
		growOut(p, b[n:])
		c.putBack(p, 0)
	}
	c.written()
	return n, err
}

// sendOut writes what is unsent, as far as the socket takes it. c.mu is held, and given up during the system call. Nobody else is writing.
func (c *loopConn) sendOut() {
	p, sent := c.out, c.sent
	c.out, c.sent = nil, 0
	n, err := c.try((*p)[sent:])
	c.sentOut(p, sent, n, err)
}

// sentOut keeps what is left of p, of which n more bytes were sent now. c.mu is held.
func (c *loopConn) sentOut(p *[]byte, sent, n int, err error) {
	if sent += n; err == nil && sent < len(*p) {
		c.putBack(p, sent)
	} else {
		returnOut(p)
	}
	c.written()
}

// try is the system call.
func (c *loopConn) try(b []byte) (int, error) {
	c.busy = true
	c.mu.Unlock()
	n, errno := sysWrite(c.fd, b)
	c.mu.Lock()
	return c.tried(b, n, errno)
}

// tried notes what became of a write of b. c.mu is held.
func (c *loopConn) tried(b []byte, n int, errno syscall.Errno) (int, error) {
	c.busy = false
	c.unsent -= n
	if errno != 0 {
		err := os.NewSyscallError("write", errno)
		c.fail(err)
		return n, err
	}
	if n == len(b) {
		c.since = 0
		return n, nil
	}
	if n > 0 || c.since == 0 {
		c.since = clock()
	}
	c.blocked = true
	c.listen()
	c.post() // for the write timeout
	return n, nil
}

// putBack keeps what the socket did not take, before what others have appended meanwhile. c.mu is held.
func (c *loopConn) putBack(p *[]byte, sent int) {
	if c.werr != nil {
		returnOut(p)
		return
	}
	if behind := c.out; behind != nil {
		growOut(p, *behind)
		returnOut(behind)
	}
	c.out, c.sent = p, sent
}

// written sees to what a write leaves to be done. c.mu is held.
func (c *loopConn) written() {
	switch {
	case c.closing || c.full && c.unsent <= c.opt.high()/2:
		c.post()
	case c.out != nil && !c.blocked: // appended meanwhile, by who found that somebody is writing
		c.flush = true
		c.post()
	}
}

// relieved says whether Drained is to be called now. c.mu is held.
func (c *loopConn) relieved() bool {
	if !c.full || c.unsent > c.opt.high()/2 || c.werr != nil {
		return false
	}
	c.full = false
	return true
}

// takesMore is called when the socket takes more.
func (c *loopConn) takesMore() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy || c.phase == closed {
		return // it is told again
	}
	c.blocked = false
	if c.out != nil {
		c.sendOut()
	}
	c.listen()
}

// fail ends the sending side. c.mu is held.
func (c *loopConn) fail(err error) {
	if c.werr == nil {
		c.werr = err
		c.drop()
		c.post()
	}
}

// drop forgets what is unsent. c.mu is held.
func (c *loopConn) drop() {
	if c.out != nil {
		returnOut(c.out)
		c.out, c.sent = nil, 0
	}
	if c.blocked {
		c.blocked = false
		c.listen()
	}
}
