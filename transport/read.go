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

// readRaw reads until the logic wants a pause or an end, or a deadline comes. The whole loop runs inside one RawConn.Read: the goroutine waits
// for readability in the runtime's poller without a buffer, and borrows one when there is something to read.
func (c *Conn) readRaw() (Next, error) {
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
func (c *Conn) readable(fd uintptr) bool {
	for {
		p, n := c.take()
		got, err := syscall.Read(int(fd), (*p)[n:])
		if got <= 0 {
			c.keep(p, (*p)[:n])
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				if n == 0 {
					c.rest = nil
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
		c.keep(p, (*p)[used:n+got])
		c.next, c.readAt, c.unsettled = next, now, true
		if next != More {
			return true
		}
		if n+got < len(*p) {
			c.arm()
			return false
		}
	}
}

// take returns a piece that begins with the n bytes not yet used.
func (c *Conn) take() (p *[]byte, n int) {
	p, c.piece = c.piece, nil
	if p != nil {
		n = copy(*p, c.rest) // rest lies in p: to its front
		c.rest = nil
	} else {
		p = borrowPiece()
		if len(c.rest) >= len(*p) {
			p = larger(p, len(c.rest))
		}
		n = copy(*p, c.rest)
		c.rest = c.rest[:0]
	}
	if n == len(*p) {
		p = larger(p, n)
	}
	return p, n
}

// keep stores what is left of a piece, and gives the piece back unless what is left is large.
func (c *Conn) keep(p *[]byte, rest []byte) {
	if len(rest) > holdAbove {
		n := copy(*p, rest)
		c.piece, c.rest = p, (*p)[:n]
		return
	}
	if cap(c.rest) > keptRest || len(rest) > cap(c.rest) {
		c.rest = nil
	}
	if len(rest) == 0 {
		c.rest = c.rest[:0]
	} else {
		c.rest = append(c.rest[:0], rest...)
	}
	if len(*p) == pieceSize {
		returnPiece(p)
	}
}

// larger moves the n bytes of a frame that fills its piece into one of twice their size.
func larger(p *[]byte, n int) *[]byte {
	b := make([]byte, 2*n)
	copy(b, *p)
	if len(*p) == pieceSize {
		returnPiece(p)
	}
	return &b
}
