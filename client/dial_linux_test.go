package client

import (
	"net"
	"syscall"
	"testing"
)

// keepIdle asks the kernel after how many seconds it probes.
func keepIdle(t *testing.T, nc net.Conn) (seconds int) {
	t.Helper()
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		seconds, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE)
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return seconds
}
