package transport

import (
	"net"
	"syscall"
	"unsafe"
)

// The system calls of an event loop. Those on sockets never block, so the runtime need not be told of them (RawSyscall): telling it costs more than some of
// them do, and lets it take the thread's processor away meanwhile. Only the wait is told.

func sysRead(fd int32, b []byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if err != syscall.EINTR {
			return int(n), err
		}
	}
}

func sysWrite(fd int32, b []byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch err {
		case syscall.EINTR:
		case 0:
			return int(n), 0
		case syscall.EAGAIN:
			return 0, 0
		default:
			return 0, err
		}
	}
}

// A poller is an epoll instance, and a bell that ends its wait.
type poller struct{ ep, bell int32 }

const (
	readable = syscall.EPOLLIN
	writable = syscall.EPOLLOUT
	// edge is syscall.EPOLLET as the unsigned number that it is.
	edge = 1 << 31
	// eventfd2's flags are those of open.
	eventfdFlags = syscall.O_CLOEXEC | syscall.O_NONBLOCK
)

func newPoller() (*poller, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	bell, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, eventfdFlags, 0)
	if errno != 0 {
		_ = syscall.Close(ep)
		return nil, errno
	}
	p := &poller{int32(ep), int32(bell)}
	// Each ring is an edge, and an event of its own: nobody needs to read the bell.
	if err := syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, int(bell), &syscall.EpollEvent{Events: readable | edge, Fd: p.bell}); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *poller) close() {
	_ = syscall.Close(int(p.bell))
	_ = syscall.Close(int(p.ep))
}

// wait returns what is ready, after ms milliseconds at most; -1: however long it takes.
func (p *poller) wait(events []syscall.EpollEvent, ms int) []syscall.EpollEvent {
	n, err := syscall.EpollWait(int(p.ep), events, ms)
	if err != nil {
		return nil // interrupted by a signal
	}
	return events[:n]
}

var one = [8]byte{1}

// ring ends a wait.
func (p *poller) ring() { sysWrite(p.bell, one[:]) }

// watch has the poller report another set of events for a socket. A socket that nothing is watched for is not in the poller at all: an epoll instance
// reports the end of both directions also to who did not ask, again and again.
func (p *poller) watch(fd int32, from, to uint32) {
	op := syscall.EPOLL_CTL_MOD
	switch {
	case from == to:
		return
	case from == 0:
		op = syscall.EPOLL_CTL_ADD
	case to == 0:
		op = syscall.EPOLL_CTL_DEL
	}
	ev := syscall.EpollEvent{Events: to, Fd: fd}
	_, _, _ = syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
}

// dupSocket returns a descriptor of the connection's socket that Go's poller knows nothing of.
func dupSocket(tcp *net.TCPConn) (int32, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var fd uintptr
	var errno syscall.Errno
	if err := raw.Control(func(old uintptr) {
		fd, _, errno = syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, errno
	}
	return int32(fd), nil
}
