package gateway

import (
	"net"
	"net/netip"
)

// who returns what of a client's address is counted as one client: an IPv4 address, or the /64 of an IPv6 address, which is what one subscriber has. ok is
// false where there is no IP address, as on a Unix socket: such clients are not told apart.
func who(remote net.Addr) (addr netip.Addr, ok bool) {
	switch a := remote.(type) {
	case *net.TCPAddr:
		addr, ok = netip.AddrFromSlice(a.IP)
	case nil:
		return addr, false
	default:
		ap, err := netip.ParseAddrPort(remote.String())
		addr, ok = ap.Addr(), err == nil
	}
	if !ok {
		return addr, false
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		p, _ := addr.Prefix(64) // an IPv6 address has one
		addr = p.Addr()
	}
	return addr, true
}
