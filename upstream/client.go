package upstream

import (
	"crypto/tls"
	"net"
)

// Client says whom a [Lease] is for, as far as choosing a backend and telling it of the client need to know. Each part may be missing.
type Client struct {
	// Source is the client's address, as the PROXY protocol gives it where there is one.
	Source net.Addr
	// Local is the gateway's address that the client reached.
	Local net.Addr
	// TLS is what the handshake with the client came to. nil: no TLS. It is not changed.
	TLS *tls.ConnectionState
}

// noSubject is the length of an empty subject in DER: a certificate may name its owner elsewhere.
const noSubject = 2

// key is what the client is known by: its address without the port; for client_hash, the subject of its TLS certificate where there is one. All clients of
// whom nothing is known have the same.
func (c Client) key(p Policy) uint64 {
	if p == ClientHash && c.TLS != nil && len(c.TLS.PeerCertificates) > 0 {
		if subject := c.TLS.PeerCertificates[0].RawSubject; len(subject) > noSubject {
			return hashOf(subject)
		}
	}
	switch a := c.Source.(type) {
	case nil:
		return 0
	case *net.TCPAddr: // without its port; one address, however it is written
		ip := a.AddrPort().Addr().Unmap()
		return hashOf(ip.AsSlice())
	default:
		host, _, err := net.SplitHostPort(a.String())
		if err != nil {
			host = a.String()
		}
		return hashOf([]byte(host))
	}
}
