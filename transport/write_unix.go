//go:build unix

package transport

import (
	"os"
	"syscall"
)

// writable is called by RawConn.Write: one attempt, and never a wait.
func (c *goroutineConn) writable(fd uintptr) bool {
	for len(c.wbuf) > c.wn {
		n, err := syscall.Write(int(fd), c.wbuf[c.wn:])
		switch {
		case n > 0:
			c.wn += n
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			c.wsys = os.NewSyscallError("write", err)
			return true
		default:
			return true
		}
	}
	return true
}
