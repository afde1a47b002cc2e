package transport

import (
	"errors"
	"net"
	"time"
)

// close ends the connection, and returns when nothing of it runs any more. politely: what is unsent may still be sent, within lastWords.
func (c *goroutineConn) close(politely bool) {
	until := time.Now().Add(min(lastWords, c.opt.writeTimeout()))
	c.mu.Lock()
	c.closing = true
	c.woken = true                                            // a Wake has nothing to wake any more, and must not end what linger reads
	if politely && !c.busy && c.out != nil && c.werr == nil { // appended, not flushed
		c.seize()
		go c.writeOut()
	}
	if politely && c.busy {
		_ = c.nc.SetWriteDeadline(until)
	} else {
		_ = c.nc.SetWriteDeadline(time.Unix(1, 0))
		c.end()
	}
	c.mu.Unlock()
	c.writers.Wait()
	c.mu.Lock()
	cut := !politely || c.werr != nil && !errors.Is(c.werr, ErrClosed)
	c.end()
	c.mu.Unlock()
	if !cut && !c.eof {
		c.linger(until)
	}
	if under, ok := c.nc.(interface{ NetConn() net.Conn }); ok && cut {
		// A TLS connection says goodbye when it is closed, and waits 5 s for a peer that takes nothing, or is gone.
		_ = under.NetConn().Close()
	}
	_ = c.nc.Close()
	c.forget()
}

// aMoment is how long a closing connection waits for bytes of the peer that would make closing a reset.
const aMoment = time.Millisecond

// maxForgotten is how many bytes are read and forgotten at the most of a peer that goes on sending: about what is on its way of one that stops when it sees our end.
// One that floods is not worth the reading, and is reset.
const maxForgotten = 1 << 20

// linger reads what the peer is still sending, and forgets it, until the peer has seen our end and closes, too, or the time for last words is over. For a
// socket that is closed while bytes are unread resets the connection, and drops what it has not sent yet: our last words.
// Where nothing is unread, which is the rule, the connection is closed at once.
func (c *goroutineConn) linger(until time.Time) {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	p := borrowPiece()
	defer returnPiece(p)
	_ = c.nc.SetReadDeadline(time.Now().Add(aMoment))
	forgotten, _ := c.nc.Read(*p)
	if forgotten == 0 {
		return
	}
	if half.CloseWrite() != nil {
		return
	}
	_ = c.nc.SetReadDeadline(until)
	for forgotten < maxForgotten {
		n, err := c.nc.Read(*p)
		if err != nil {
			return
		}
		forgotten += n
	}
}
