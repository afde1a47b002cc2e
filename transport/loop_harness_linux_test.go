package transport

// heldOnLoop is held of a connection on an event loop.
func heldOnLoop(c Conn) int {
	u := c.(*loopConn).left.Load()
	switch {
	case u == nil:
		return 0
	case u.piece != nil:
		return len(*u.piece)
	default:
		return cap(u.rest)
	}
}

// writesOnLoop is writes of a connection on an event loop.
func writesOnLoop(c Conn) bool {
	l := c.(*loopConn)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy || l.out != nil
}
