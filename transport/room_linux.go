package transport

import (
	"syscall"
	"unsafe"
)

// What SO_MEMINFO tells of a socket's memory, by its place (linux/sock_diag.h).
const (
	soMemInfo    = 55
	memSendBuf   = 3 // the size of the send buffer
	memWrote     = 5 // how much of it is taken
	memInfoWords = 9
)

// room returns how many bytes of the send buffer may be taken until it is half full, by the kernel's own account, in which each write costs more than its bytes.
func room(fd uintptr) int {
	var info [memInfoWords]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, fd, syscall.SOL_SOCKET, soMemInfo, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || size <= memWrote*4 {
		return 0
	}
	return int(info[memSendBuf]/2) - int(info[memWrote])
}
