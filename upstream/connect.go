package upstream

import (
	"context"
	"fmt"
	"net"
	"time"
)

// A link becomes ready for frames in two steps, both within DialTimeout: the backend is reached, and told who comes. Where it is told of a client, the client is
// chosen in between, so a backend that does not answer keeps nobody waiting that another could serve.

// connect makes a connection to a backend that is ready for frames, for no client.
func (g *Group) connect(b *backend) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.DialTimeout)
	defer cancel()
	nc, err := g.reach(ctx, b)
	if err != nil {
		return nil, err
	}
	return g.introduce(ctx, b, nc, nil)
}

// connectFor makes a connection for the client that has waited longest by the time the backend is reached. It returns the client's lease, which is in no queue any
// more, and nil if nobody waits: then there is no connection, and no error.
func (g *Group) connectFor(b *backend, awaited *bool) (net.Conn, *session, error) {
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.DialTimeout)
	defer cancel()
	nc, err := g.reach(ctx, b)
	if err != nil {
		return nil, nil, err
	}
	lease := g.reserve(b, awaited)
	if lease == nil {
		_ = nc.Close()
		return nil, nil, nil
	}
	nc, err = g.introduce(ctx, b, nc, &lease.client)
	return nc, lease, err
}

// tells says whether links begin with whom they are for. Then each is for one client from its first byte, and none can be kept for who comes next.
func (g *Group) tells() bool { return g.cfg.ProxyProtocol != "" }

// reserve takes who has waited longest for a link to the backend out of the queue. The dial is no longer awaited then.
func (g *Group) reserve(b *backend, awaited *bool) *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || !g.open(b) || !g.claimed(b) || !*awaited && !g.free(b) {
		return nil
	}
	if *awaited {
		g.arrived(b)
		*awaited = false
	}
	return g.claimant(b)
}

// reach makes a connection to a backend: a socket, or a stream on one.
func (g *Group) reach(ctx context.Context, b *backend) (_ net.Conn, err error) {
	defer g.guard(b, &err)
	if g.cfg.Pooling == Mux {
		return g.muxOf(b).Open(ctx)
	}
	return g.socket(ctx, b)
}

// socket dials a backend.
func (g *Group) socket(ctx context.Context, b *backend) (nc net.Conn, err error) {
	if nc, err = g.cfg.Dial(ctx, b.network, b.addr); err != nil {
		return nil, err
	}
	if g.loopback(b, nc) {
		_ = nc.Close()
		return nil, fmt.Errorf("%s was discovered and is on loopback, at %v: allow_loopback has it used", b.name, nc.RemoteAddr())
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		if err := g.cfg.TCP.Apply(tcp); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	return nc, nil
}

// introduce says who comes, where that is to be said, and secures the connection. It closes nc when it fails.
func (g *Group) introduce(ctx context.Context, b *backend, nc net.Conn, client *Client) (_ net.Conn, err error) {
	defer g.guard(b, &err)
	if g.tells() {
		if err := writeWithin(ctx, nc, appendProxy(nil, client)); err != nil {
			_ = nc.Close()
			return nil, err
		}
	}
	if g.tls == nil || g.cfg.Pooling == Mux { // then what carries it is secured
		return nc, nil
	}
	return g.handshake(ctx, b, nc)
}

// writeWithin writes b before the context ends.
func writeWithin(ctx context.Context, nc net.Conn, b []byte) error {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetWriteDeadline(time.Unix(1, 0)) })
	_, err := nc.Write(b)
	if !stop() {
		return context.Cause(ctx)
	}
	return err
}

// handshake secures a connection, and notes what became of that.
func (g *Group) handshake(ctx context.Context, b *backend, nc net.Conn) (net.Conn, error) {
	nc, err := g.tls.handshake(ctx, b, nc)
	if g.ctx.Err() == nil { // or it says nothing of the backend
		g.mu.Lock()
		b.handshaked(time.Now(), err == nil)
		g.mu.Unlock()
	}
	return nc, err
}

// handshaked notes what became of a TLS handshake with the backend.
func (b *backend) handshaked(now time.Time, ok bool) {
	b.record.Handshake(now, ok)
	b.handshakes++
	if !ok {
		b.handshakeErrors++
	}
}
