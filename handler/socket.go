package handler

import (
	"crypto/tls"
	"net"

	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// clientOf says who the client is: its addresses as Caddy knows them, and the TLS nearest to the protocol, where Caddy ended more than one.
func clientOf(cx *layer4.Connection) upstream.Client {
	c := upstream.Client{Source: cx.RemoteAddr(), Local: cx.LocalAddr()}
	if states, _ := cx.GetVar(layer4.TLSConnectionStatesVarName).([]*tls.ConnectionState); len(states) > 0 {
		c.TLS = states[len(states)-1]
	}
	return c
}

// subject is whom the client's certificate is for; "": it showed none.
func subject(state *tls.ConnectionState) string {
	if state == nil || len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.String()
}

// socket returns the connection to serve, and what Caddy has read of it already. Where nothing but Caddy's own wrapper lies on the TCP connection, it is that one,
// which can be read when it is readable and written without blocking. Where there is more (TLS, PROXY protocol, throttling) it is the wrapper. tcp is what lies at
// the bottom; nil: nobody knows.
func socket(cx *layer4.Connection, tcp *net.TCPConn) (nc net.Conn, first []byte, err error) {
	if tcp == nil {
		return cx, nil, nil
	}
	if cx.Conn != net.Conn(tcp) {
		return wrapped{cx, tcp}, nil, nil
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

// takeOver returns the TCP connection with a descriptor of its own, so that it lives on when Caddy closes its one; nil: this system has no such thing, or none left.
func takeOver(tcp *net.TCPConn) *net.TCPConn {
	f, err := tcp.File()
	if err != nil {
		return nil
	}
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil {
		return nil
	}
	own, _ := nc.(*net.TCPConn)
	return own
}

// wrapped is a connection that shows what lies at its bottom, to be closed where the goodbye of the layers above could only wait for a peer that does not read.
type wrapped struct {
	*layer4.Connection
	tcp *net.TCPConn
}

// NetConn returns the TCP connection.
func (w wrapped) NetConn() net.Conn { return w.tcp }

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
