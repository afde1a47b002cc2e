package transport

import "sync"

// unreads are the records of what logics have left: an idle connection has none.
var unreads = sync.Pool{New: func() any { return new(unread) }}

// take returns a piece to read into, behind the n bytes that the logic has left. It is given back by leave.
func (c *loopConn) take() (p *[]byte, n int) {
	if u := c.left.Load(); u != nil {
		return u.take()
	}
	c.loop.lent = borrowPiece()
	return c.loop.lent, 0
}

// leave keeps what is left of a piece.
func (c *loopConn) leave(p *[]byte, rest []byte) {
	c.loop.lent = nil
	u := c.left.Load()
	switch {
	case u == nil && len(rest) == 0:
		returnPiece(p)
		return
	case u == nil:
		u = unreads.Get().(*unread)
		c.left.Store(u)
	}
	if u.keep(p, rest); len(rest) == 0 {
		c.release()
	}
}

// keep keeps a copy of what is left of a slot. Nothing was left before.
func (c *loopConn) keep(rest []byte) {
	u := unreads.Get().(*unread)
	u.rest = append(u.rest[:0], rest...)
	u.weigh()
	c.left.Store(u)
}

// release forgets what is left, and gives up what holds it; after a panic of the logic, the piece that it was given, too.
func (c *loopConn) release() {
	if p := c.loop.lent; p != nil {
		c.loop.lent = nil
		returnPiece(p)
	}
	if u := c.left.Swap(nil); u != nil {
		u.release()
		unreads.Put(u)
	}
}

// holds is what unread bytes take. Another connection may have the record by the time it is looked at: it is a number for statistics.
func (c *loopConn) holds() int {
	if u := c.left.Load(); u != nil {
		return u.holds.get()
	}
	return 0
}
