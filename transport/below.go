package transport

import (
	"net"
	"syscall"
)

// below is the TCP connection beneath one that is written by its own method, such as one of TLS. Where its socket has room, a short write comes back at once: so whoever has
// something to send can write it himself, as over plain TCP, and need not wake a writer for it.
type below struct {
	raw  syscall.RawConn // nil: nothing is known of it
	look func(fd uintptr)
	left int // of the room that look has found; who has set busy, or holds the connection's lock while it is not set, owns it
}

const (
	// atOnceMost is the longest write that is made so.
	atOnceMost = 4 << 10
	// eachWrite is what a write takes of the send buffer beside its bytes, at the most: the kernel's record of a packet, and the layer's own header.
	eachWrite = 1 << 10
	// roomMost is how much room is counted on before the socket is asked again: its buffer may be made smaller where the system is short of memory.
	roomMost = 64 << 10
)

// lookBelow finds the TCP connection where the layers above it show it.
func (b *below) lookBelow(nc net.Conn) {
	layered, ok := nc.(interface{ NetConn() net.Conn })
	if !ok || !rawIO {
		return
	}
	tcp, ok := layered.NetConn().(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		b.raw = raw
		b.look = func(fd uintptr) { b.left = min(room(fd), roomMost) }
	}
}

// takes says whether a write of n bytes will not wait, and counts it.
func (b *below) takes(n int) bool {
	if b.raw == nil || n > atOnceMost {
		return false
	}
	if b.left < n+eachWrite {
		b.left = 0
		if b.raw.Control(b.look) != nil || b.left < n+eachWrite {
			return false
		}
	}
	b.left -= n + eachWrite
	return true
}
