package upstream

import (
	"context"
	"net"
	"time"
)

// connect makes a connection to a backend that is ready for frames: dialled, and secured where links are. All of it within DialTimeout.
func (g *Group) connect(b *backend) (nc net.Conn, err error) {
	defer g.guard(b, &err)
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.DialTimeout)
	defer cancel()
	nc, err = g.cfg.Dial(ctx, b.network, b.addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		if err := g.cfg.TCP.Apply(tcp); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	if g.tls == nil {
		return nc, nil
	}
	nc, err = g.tls.handshake(ctx, b, nc)
	if g.ctx.Err() == nil { // or it says nothing of the backend
		g.mu.Lock()
		b.handshaked(time.Now(), err == nil)
		g.mu.Unlock()
	}
	return nc, err
}

// handshaked notes what became of a TLS handshake with the backend.
func (b *backend) handshaked(_ time.Time, ok bool) {
	b.handshakes++
	if !ok {
		b.handshakeErrors++
	}
}
