package upstream

import (
	"context"
	"net"
	"slices"

	"github.com/caddy-gopr/caddy-gopr/upstream/mux"
)

// Under mux pooling a link is a stream. All else is as under session pooling: a link is one client's, has its own heartbeat, begins with its client's header where links do.

// defaultKeepAlive is how often the connections beneath are pinged where heartbeats are off.
const defaultKeepAlive = defaultHeartbeat

// muxes are the pools of a group's backends.
type muxes struct {
	conns, streams int // per backend, and on each connection
	of             map[*backend]*mux.Pool
}

// muxOf returns the pool of a backend.
func (g *Group) muxOf(b *backend) *mux.Pool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := g.mux.of[b]; p != nil {
		return p
	}
	for old, p := range g.mux.of {
		if !slices.Contains(g.backends, old) && p.Conns() == 0 {
			delete(g.mux.of, old) // it has nothing to close
		}
	}
	keepAlive := g.cfg.Heartbeat.Interval
	if keepAlive <= 0 {
		keepAlive = defaultKeepAlive
	}
	p := mux.NewPool(mux.Config{
		Dial:   func(ctx context.Context) (net.Conn, error) { return g.carrier(ctx, b) },
		Spread: g.cfg.MinLinks, Conns: g.mux.conns, Streams: g.mux.streams,
		Idle: g.cfg.Idle, KeepAlive: keepAlive, WriteTimeout: g.cfg.WriteTimeout,
		Logger: g.cfg.Logger.With("backend", b.name),
	})
	if g.mux.of == nil {
		g.mux.of = make(map[*backend]*mux.Pool)
	}
	g.mux.of[b] = p
	return p
}

// carrier makes a connection that carries streams.
func (g *Group) carrier(ctx context.Context, b *backend) (net.Conn, error) {
	nc, err := g.socket(ctx, b)
	if err != nil || g.tls == nil {
		return nc, err
	}
	return g.handshake(ctx, b, nc)
}

// closeMuxes ends all connections that carry streams. Nobody opens any more.
func (g *Group) closeMuxes() {
	for _, p := range g.mux.of {
		p.Close()
	}
}

// connections is how many connections carry the links to a backend. g.mu is held.
func (g *Group) connections(b *backend) int {
	if p := g.mux.of[b]; p != nil {
		return p.Conns()
	}
	return 0
}
