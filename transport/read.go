//go:build unix

package transport

import (
	"io"
	"os"
	"syscall"
	"time"
)

// rawIO: this system's sockets can be read and written without blocking from within the runtime's poller.
const rawIO = true

// readRaw reads until the logic wants a pause or an end, a deadline comes, or a piece was filled. The whole loop runs inside one RawConn.Read:
// the goroutine waits for readability in the runtime's poller without a buffer, and borrows one when there is something to read.
func (c *goroutineConn) readRaw() (Next, error) {
	c.next = More
	c.arm()
	err := c.raw.Read(c.onReadable)
	switch {
	case err != nil && isTimeout(err):
		return c.timedOut(), nil
	case err != nil:
		return Close, err
	case c.rerr != nil:
		err, c.rerr = c.rerr, nil
		return Close, err
	}
	return c.next, nil
}

// readable is called by RawConn.Read, first at once and then whenever the socket has become readable (edge-triggered: after a read that
// did not fill the buffer the next bytes raise a new edge). false: wait for readability; true: leave RawConn.Read.
func (c *goroutineConn) readable(fd uintptr) bool {
	for {
		p, n := c.take()
		to := (*p)[n:min(len(*p), n+c.opt.readMax())]
		got, err := syscall.Read(int(fd), to)
		if got <= 0 {
			c.keep(p, (*p)[:n])
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				if n == 0 {
					c.clear()
				}
				c.unsettled = false
				c.arm()
				return false
			case err != nil:
				c.rerr = os.NewSyscallError("read", err)
			default:
				c.rerr = io.EOF
			}
			return true
		}
		now := time.Now()
		used, next := c.logic.Data(now, (*p)[:n+got])
		filled := got == len(to)
		c.keep(p, (*p)[used:n+got])
		c.next, c.readAt, c.unsettled = next, now, true
		// Deadlines are looked at where RawConn.Read begins and where it waits. A peer that sends faster than we read fills piece after piece
		// and would never let it wait, so it begins anew with each.
		if next != More || filled {
			return true
		}
		c.arm()
		return false
	}
}
