//go:build unix && !solaris

package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// shareable sets SO_REUSEPORT, as Caddy does with its own listeners: so a reload can turn `:7450` into `gopr/:7450` and back, where both are open for a moment.
func shareable(cfg *net.ListenConfig) {
	before := cfg.Control
	cfg.Control = func(network, address string, c syscall.RawConn) (err error) {
		if before != nil {
			if err := before(network, address, c); err != nil {
				return err
			}
		}
		if ctl := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) }); ctl != nil {
			return ctl
		}
		return err
	}
}
