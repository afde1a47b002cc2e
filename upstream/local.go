package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// ParseLocalAddress reads the address that links are to come from: an IP address without a port.
func ParseLocalAddress(s string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(s)
	if err != nil || addr.IsUnspecified() || addr.IsMulticast() {
		return addr, fmt.Errorf("local_address %q is no address of this host: give an IP address without a port, such as 10.0.0.5 or 2001:db8::5", s)
	}
	return addr.Unmap(), nil
}

// checkLocal says whether links from the local address can reach a backend that is named by its address.
func checkLocal(local netip.Addr, backend string) error {
	network, addr, err := splitBackend(backend)
	if err != nil || network != "tcp" {
		return err
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil // a name: what it resolves to is known when it is dialled
	}
	if ip.Unmap().Is4() != local.Is4() {
		return fmt.Errorf("local_address %v can't reach the backend %s: give one of the same kind, IPv4 or IPv6", local, backend)
	}
	return nil
}

// dialFrom returns a dialler whose TCP connections come from the address; the zero address: from the one that the system chooses. names resolves names; nil: the system does.
func dialFrom(local netip.Addr, names *net.Resolver) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if !local.IsValid() {
		return (&net.Dialer{Resolver: names}).DialContext
	}
	tcp := &net.Dialer{Resolver: names, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0)), Control: lateLocalPort}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network != "tcp" {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
		return tcp.DialContext(ctx, network, addr)
	}
}
