package transport

import (
	"net"
	"os"
	"syscall"
)

// Socket implements Conn. The loop has the socket as a bare descriptor; a duplicate of it is a Go connection for as long as the call takes.
func (c *loopConn) Socket(do func(*net.TCPConn) error) error {
	c.mu.Lock()
	if c.phase == closed {
		c.mu.Unlock()
		return nil
	}
	fd, err := syscall.Dup(int(c.fd))
	c.mu.Unlock()
	if err != nil {
		return os.NewSyscallError("dup", err)
	}
	syscall.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), "")
	defer func() { _ = f.Close() }()
	nc, err := net.FileConn(f)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	return do(tcp)
}
