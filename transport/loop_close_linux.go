package transport

import (
	"errors"
	"io"
	"syscall"
)

// end begins the end. err: what for; nil: the logic said Close. What has failed before is the first cause.
func (c *loopConn) end(err error) {
	if err == nil && c.eof {
		err = io.EOF
	}
	c.mu.Lock()
	if _, panicked := err.(*PanicError); c.werr != nil && !panicked {
		err = c.werr
	}
	until := clock() + int64(min(lastWords, c.opt.writeTimeout()))
	c.dying = &ending{err: err, until: until, next: until}
	c.phase, c.closing, c.reads, c.paused = flushing, true, false, false
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		c.stop()
	case c.out != nil && !c.busy && !c.blocked:
		c.sendOut()
	}
	c.listen()
	c.mu.Unlock()
	c.release()
	c.die()
}

// stop has all further writes fail, and forgets what is unsent. c.mu is held.
func (c *loopConn) stop() {
	if c.werr == nil {
		c.werr = ErrClosed
		c.drop()
	}
}

// die goes on with the end, as far as it can now.
func (c *loopConn) die() {
	timeOver := c.dying != nil && clock() >= c.dying.next
	switch c.phase {
	case flushing:
		c.mu.Lock()
		if timeOver && c.out != nil {
			c.fail(ErrWriteTimeout)
		}
		waits, cut := c.busy || c.out != nil, c.werr != nil
		c.mu.Unlock()
		switch {
		case waits:
			c.loop.timers.set(c, c.dying.next)
		case cut || c.eof:
			c.close()
		default:
			c.stepAside()
		}
	case aside, lingering:
		if timeOver {
			c.close()
		} else {
			c.loop.timers.set(c, c.dying.next)
		}
	}
}

// stepAside looks for bytes of the peer that would make closing a reset. Where none are there, which is the rule, it looks for a moment more.
func (c *loopConn) stepAside() {
	c.dying.next = min(c.dying.until, clock()+int64(aMoment))
	c.enter(aside)
	c.discard()
	if c.phase != closed {
		c.loop.timers.set(c, c.dying.next)
	}
}

// discard reads what the peer is still sending, and forgets it, until the peer has seen our end and closes, too, or the time for last words is over. For a socket that is
// closed while bytes are unread resets the connection, and drops what it has not sent yet: our last words.
func (c *loopConn) discard() {
	p := borrowPiece()
	n, errno := sysRead(c.fd, *p)
	returnPiece(p)
	if errno == 0 {
		c.dying.forgotten += n
	}
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0 || n == 0 || c.dying.forgotten > maxForgotten:
		c.close()
	case c.phase == aside:
		if syscall.Shutdown(int(c.fd), syscall.SHUT_WR) != nil {
			c.close()
			return
		}
		c.dying.next = c.dying.until
		c.enter(lingering)
		c.loop.timers.set(c, c.dying.next)
	}
}

// enter goes on to a phase in which the peer is read.
func (c *loopConn) enter(p phase) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.reads = p, true
	c.listen()
}

// close ends all. Nobody is writing.
func (c *loopConn) close() {
	c.mu.Lock()
	c.stop()
	c.phase = closed
	_ = syscall.Close(int(c.fd))
	c.mu.Unlock()
	c.loop.byFD[c.fd] = nil
	c.loop.timers.remove(c)
	c.loop.over = c.loop.leave()
	c.ender.Ended(c.dying.err)
}

// broke ends a connection whose logic has panicked.
func (c *loopConn) broke(err *PanicError) {
	if c.phase == open {
		c.end(err)
	}
}
