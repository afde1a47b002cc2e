package transport

import (
	"os"
	"syscall"
	"time"
)

// ready is called when the poller has something for the connection. One that neither reads nor waits for room is told of nothing.
func (c *loopConn) ready(events uint32) {
	if c.reads && events&^writable != 0 {
		c.readable()
	}
	if !c.reads || events&writable != 0 {
		c.takesMore()
	}
}

// attend does what others have asked for, and what their writes have left to do.
func (c *loopConn) attend() {
	c.mu.Lock()
	c.queued = false
	begin := c.phase == fresh && c.ender != nil
	if begin {
		c.phase = open
	}
	flush := c.flush
	c.flush = false
	if flush && c.out != nil && !c.busy && !c.blocked && c.werr == nil {
		c.sendOut()
	}
	if c.phase != open {
		c.mu.Unlock()
		c.die()
		return
	}
	drained, woken, failed := c.relieved(), c.woken, c.werr != nil
	only := flush && !begin && !drained && !woken && !failed && !c.blocked && !c.resumed
	c.woken = false
	c.mu.Unlock()
	if only {
		return // the flush was all, as nearly always
	}
	if begin {
		c.begin()
	}
	if drained {
		c.logic.Drained()
	}
	if failed && c.phase == open {
		c.end(nil)
	}
	if woken && c.phase == open {
		c.tick(time.Now())
	}
	c.unpause()
	c.rearm()
}

// begin has the logic see what somebody else has read, and reads on.
func (c *loopConn) begin() {
	c.loop.add(c)
	if c.left.Load() != nil {
		c.feed(time.Now())
	} else {
		c.follow(More)
	}
}

// readable reads once. What is left will be reported again, after the others have had their turn; so is the end of the stream, be it together with the last bytes.
func (c *loopConn) readable() {
	if c.phase != open {
		c.discard()
		return
	}
	p, n := c.take()
	got, errno := sysRead(c.fd, (*p)[n:min(len(*p), n+c.opt.readMax())])
	if errno != 0 || got == 0 {
		c.leave(p, (*p)[:n])
		switch errno {
		case syscall.EAGAIN:
		case 0:
			c.peerEnded()
		default:
			c.end(os.NewSyscallError("read", errno))
		}
		return
	}
	c.bulk = got >= shortBelow
	used, next := c.logic.Data(time.Now(), (*p)[:n+got])
	c.leave(p, (*p)[used:n+got])
	c.follow(next)
}

// peerEnded tells the logic. What is left will never be whole.
func (c *loopConn) peerEnded() {
	c.eof = true
	c.read(false)
	c.release()
	c.follow(c.logic.EOF(time.Now()))
}

// feed gives the logic what is in rest, and keeps what it leaves.
func (c *loopConn) feed(now time.Time) {
	u := c.left.Load()
	if u == nil {
		_, next := c.logic.Data(now, nil)
		c.follow(next)
		return
	}
	n, next := c.logic.Data(now, u.rest)
	if u.used(n); len(u.rest) == 0 {
		c.release()
	}
	c.follow(next)
}

// follow does what the logic said.
func (c *loopConn) follow(next Next) {
	switch {
	case next == Close:
		c.end(nil)
	case c.eof:
	case next == Pause:
		c.pause()
	case !c.reads:
		c.read(true)
	}
	c.rearm()
}

func (c *loopConn) pause() {
	c.paused = true
	c.read(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resumed {
		c.post()
	}
}

// unpause ends a pause that was resumed.
func (c *loopConn) unpause() {
	if c.phase != open || !c.paused {
		return
	}
	c.mu.Lock()
	resumed := c.resumed
	c.resumed = false
	c.mu.Unlock()
	if resumed {
		c.paused = false
		c.feed(time.Now())
	}
}

// tick has the logic look at the clock. In a pause only Close counts.
func (c *loopConn) tick(now time.Time) {
	next := c.logic.Tick(now)
	if next == Close || !c.paused {
		c.follow(next)
	}
}

// rearm sets the timer to what the logic waits for; the write timeout, where it is nearer, to that.
func (c *loopConn) rearm() {
	if c.phase != open {
		return
	}
	c.loop.timers.set(c, at(c.logic.Deadline()))
	c.mu.Lock()
	blocked, since := c.blocked, c.since
	c.mu.Unlock()
	if blocked {
		c.loop.timers.set(c, since+int64(c.opt.writeTimeout()))
	}
}

// expire is called when the timer's moment has come, which may be out of date.
func (c *loopConn) expire(now time.Time) {
	if c.phase != open {
		c.die()
		return
	}
	if c.writeTimedOut(now) {
		c.end(nil)
		return
	}
	late := now.Add(-lateBy)
	if c.reads && due(c.logic.Deadline(), late) {
		c.readable() // the delay is ours: what the peer has sent meanwhile goes first
	}
	if c.phase == open && due(c.logic.Deadline(), now) {
		c.tick(now)
	}
	c.rearm()
}

func (c *loopConn) writeTimedOut(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.blocked || at(now)-c.since < int64(c.opt.writeTimeout()) {
		return false
	}
	c.fail(ErrWriteTimeout)
	return true
}
