package handler

import (
	"crypto/tls"
	"net"

	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// socket returns the connection to serve, and what Caddy has read of it already. Where nothing but Caddy's own wrapper lies on a TCP connection, it is the TCP
// connection, which can be read when it is readable and written without blocking. Where there is more (TLS, PROXY protocol, throttling) it is the wrapper. The
// keepalive is set on the TCP connection wherever it can be found.
func socket(cx *layer4.Connection, k keepalive.TCP) (nc net.Conn, first []byte, err error) {
	if tcp := bottom(cx); tcp != nil {
		if err := k.Apply(tcp); err != nil {
			return nil, nil, err
		}
	}
	tcp, plain := cx.Conn.(*net.TCPConn)
	if !plain {
		return cx, nil, nil
	}
	for n := len(cx.MatchingBytes()); n > 0; n = len(cx.MatchingBytes()) {
		b := make([]byte, n)
		n, err := cx.Read(b)
		if err != nil {
			return nil, nil, err
		}
		first = append(first, b[:n]...)
	}
	return tcp, first, nil
}

// bottom finds the TCP connection beneath the wrappers that are known to show theirs; nil: there is none to be found.
func bottom(nc net.Conn) *net.TCPConn {
	for {
		switch c := nc.(type) {
		case *net.TCPConn:
			return c
		case *layer4.Connection:
			nc = c.Conn
		case *tls.Conn:
			nc = c.NetConn()
		case interface{ Raw() net.Conn }: // PROXY protocol
			nc = c.Raw()
		default:
			return nil
		}
	}
}
