package upstream

import "syscall"

// ipBindAddressNoPort is IP_BIND_ADDRESS_NO_PORT of linux/in.h, for IPv6 sockets, too.
const ipBindAddressNoPort = 24

// lateLocalPort has the port chosen when the socket connects, not when it is bound: then one local address has its some 28,000 ports for each backend, not for all
// together. Where the system does not know it, it does without.
func lateLocalPort(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, ipBindAddressNoPort, 1)
	})
}
