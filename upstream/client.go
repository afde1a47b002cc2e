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
