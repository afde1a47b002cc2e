package upstream

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// dial starts a dial, and the goroutine that will serve the link. waited: it is for one of those that wait. g.mu is held.
func (g *Group) dial(b *backend, waited bool, now time.Time) {
	b.dialing++
	b.dials++
	g.wg.Go(func() {
		nc, err := g.connect(b)
		if l := g.dialled(b, waited, now, nc, err); l != nil {
			g.serve(l)
		}
	})
}

func (g *Group) connect(b *backend) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.ctx, g.cfg.DialTimeout)
	defer cancel()
	nc, err := g.cfg.Dial(ctx, b.network, b.addr)
	if err != nil {
		return nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		if err := g.cfg.TCP.Apply(tcp); err != nil {
			nc.Close()
			return nil, err
		}
	}
	return nc, nil
}

// dialled notes what became of a dial. A link that works goes to who has waited longest, else among the spares; one that nobody needs is closed and
// not returned.
func (g *Group) dialled(b *backend, waited bool, began time.Time, nc net.Conn, err error) *link {
	var l *link
	if err == nil {
		l = &link{b: b, g: g, up: time.Now()}
		l.conn = client.NewConn(nc, &g.conn, l)
	}
	g.mu.Lock()
	now := time.Now()
	b.dialing--
	if waited {
		g.dialing--
	}
	var given []match
	switch {
	case g.closed:
		l = nil
	case err != nil:
		b.dialErrors++
		g.failure(b, now, began, err)
	default:
		if b.upAt.IsZero() && !b.failed.IsZero() {
			g.log(b, slog.LevelInfo, "backend is back")
		}
		b.succeeded(now)
		switch {
		case g.waiting.Len() > 0:
			b.links[l] = struct{}{}
			given = append(given, match{g.next(), l})
		case len(b.spare) < g.cfg.MinLinks:
			b.links[l] = struct{}{}
			b.spare = append(b.spare, l)
		default:
			l = nil
		}
	}
	given = append(given, g.pump(now)...)
	g.mu.Unlock()
	hand(given)
	if l == nil && nc != nil {
		nc.Close()
	}
	return l
}

// failure notes and logs a failure of a backend. g.mu is held.
func (g *Group) failure(b *backend, now, began time.Time, err error) {
	if b.fail(now, began, err) {
		g.log(b, slog.LevelWarn, "backend failed", "error", err, "failures", b.retry.Failures(), "next_dial_in", b.retry.NextAt().Sub(now))
	}
}

// serve runs a link until it ends, and has its lease find another.
func (g *Group) serve(l *link) {
	err := l.conn.Serve(g.ctx)
	b := l.b
	g.mu.Lock()
	now := time.Now()
	delete(b.links, l)
	spare := b.dropSpare(l)
	if !g.closed {
		if spare {
			b.lost++
			if now.Sub(l.up) < g.cfg.Reconnect.Stable {
				g.failure(b, now, l.up, err) // no client was there to make it hang up
			}
		} else if err != errReleased {
			b.lost++
		}
	}
	given := g.pump(now)
	g.mu.Unlock()
	hand(given)
	l.ended(err)
}

func (g *Group) log(b *backend, level slog.Level, msg string, args ...any) {
	g.cfg.Logger.Log(context.Background(), level, msg, slices.Concat([]any{"backend", b.name}, args)...)
}
