package mux

import (
	"encoding/binary"
	"net"
)

// headerLen is the length of yamux's header: version, type, flags, stream, length.
const headerLen = 12

// typeData is the type of a header that announces so many bytes of a stream.
const typeData = 0

// joinedConn writes a header and the bytes that it announces with one write: yamux gives them one after the other, which would be two system calls, and two packets, for
// each. yamux writes from one goroutine.
type joinedConn struct {
	net.Conn
	held []byte // a header whose bytes have not come
	buf  []byte
}

func joined(nc net.Conn) net.Conn { return &joinedConn{Conn: nc} }

// Write holds a header back that announces bytes, until those come: with the next call, as yamux does it.
func (c *joinedConn) Write(b []byte) (int, error) {
	if len(c.held) == 0 {
		if len(b) == headerLen && b[1] == typeData && binary.BigEndian.Uint32(b[8:]) > 0 {
			c.held = append(c.held, b...)
			return len(b), nil
		}
		return c.Conn.Write(b)
	}
	c.buf = append(append(c.buf[:0], c.held...), b...)
	c.held = c.held[:0]
	n, err := c.Conn.Write(c.buf)
	if cap(c.buf) > maxJoined {
		c.buf = nil
	}
	return max(0, n-headerLen), err
}

// maxJoined is the largest buffer that is kept.
const maxJoined = 64 << 10
