package transport

// heldOnLoop is held of a connection on an event loop.
func heldOnLoop(c Conn) int {
	l := c.(*loopConn)
	if l.piece != nil {
		return len(*l.piece)
	}
	return cap(l.rest)
}

// writesOnLoop is writes of a connection on an event loop.
func writesOnLoop(c Conn) bool {
	l := c.(*loopConn)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy || l.out != nil
}
