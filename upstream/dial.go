package upstream

import (
	"log/slog"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// dial starts a dial, and the goroutine that will serve the link. awaited: it is for one of those that wait. g.mu is held.
func (g *Group) dial(b *backend, awaited bool, now time.Time) {
	g.pace.take(now)
	b.dials++
	b.dialing++
	if awaited {
		b.awaited++
	}
	g.wg.Go(func() {
		var nc net.Conn
		var lease *session
		var err error
		if g.tells() {
			nc, lease, err = g.connectFor(b, &awaited)
		} else {
			nc, err = g.connect(b)
		}
		l := g.dialled(b, awaited, now, nc, lease, err)
		if lease != nil && l == nil {
			g.enqueue(lease, true)
		}
		if l != nil {
			g.serve(l)
		}
	})
}

// arrived notes that a dial for one of those that wait is for that no more. g.mu is held.
func (g *Group) arrived(b *backend) {
	b.awaited--
	if !g.cfg.Policy.keyed() {
		g.awaited--
	}
}

// dialled notes what became of a dial. A link that works goes to the lease that it is for, or to who has waited longest, else among the spares; one that nobody needs
// is closed and not returned.
func (g *Group) dialled(b *backend, awaited bool, began time.Time, nc net.Conn, lease *session, err error) *link {
	var l, unused *link
	if nc != nil {
		l = newLink(g, b, nc, began)
		unused = l
	}
	g.mu.Lock()
	now := time.Now()
	b.dialing--
	b.growing.Store(false)
	b.replaced = b.replaced || b.replacing && err == nil
	b.replacing = false
	if awaited {
		g.arrived(b)
	}
	var given []match
	switch {
	case g.closed:
		l = nil
	case err != nil:
		b.dialErrors++
		g.failure(b, now, began, err)
	default:
		if b.succeeded(now, began) {
			g.note(slog.LevelInfo, "backend is back", slog.String("backend", b.name))
			g.up(b)
		}
		g.worked(b, now)
		switch {
		case l == nil: // nobody was there whom it could be for
		case g.emptied(b):
			l = nil
		case lease != nil && g.open(b):
			b.links[l] = struct{}{}
			given = append(given, g.give(lease, l, now))
		case lease != nil:
			l = nil
		case g.cfg.Pooling == Request:
			b.links[l] = struct{}{}
			g.publish()
		case g.open(b) && g.claimed(b) && (awaited || g.free(b)):
			b.links[l] = struct{}{}
			given = append(given, g.match(l, now))
		case len(b.spare) < g.spares(b):
			b.links[l] = struct{}{}
			b.spare = append(b.spare, l)
		default:
			l = nil
		}
	}
	g.unlock(append(given, g.pump(now)...))
	g.serveWaiting()
	if l == nil && unused != nil {
		unused.discard()
	}
	return l
}

// serve runs a link until it ends: in this goroutine, or, where an event loop can run it, in none.
func (g *Group) serve(l *link) {
	g.wg.Add(1) // the caller is one of them, so it is not 0
	ended := func(err error) {
		defer g.wg.Done()
		g.ended(l, err)
	}
	if !l.conn.Start(g.ctx, func(err error) { go ended(g.unpanicked(l.b, err)) }) {
		ended(g.run(l))
	}
}

// ended is called when a link is no more. Its lease finds another.
func (g *Group) ended(l *link, err error) {
	if err == client.ErrHeartbeat {
		l.b.missed.Add(1)
	}
	if l.shared != nil {
		g.sharedEnded(l.shared, err)
		return
	}
	lease := l.ended()
	b := l.b
	g.mu.Lock()
	now := time.Now()
	delete(b.links, l)
	g.noteEnd(b, err, now)
	b.dropSpare(l)
	if l.limit != nil {
		l.limit.Stop()
	}
	if !g.closed && err != errReleased && err != errRetired {
		b.lost++
		if lease == nil && now.Sub(l.up) < g.cfg.Reconnect.Stable {
			g.failure(b, now, l.began, err) // no client was there to make it hang up
		} else if lease != nil {
			g.accuse(b, l.up, now, lease.client)
		}
	}
	if err == errRetired && lease != nil { // first it gets another, and then the next link may go
		g.unlock(nil)
		lease.lost(l, err)
		g.pumpNow()
		return
	}
	g.unlock(g.pump(now))
	if lease != nil {
		lease.lost(l, err)
	}
}

// failure notes a failure of a backend. g.mu is held.
func (g *Group) failure(b *backend, now, began time.Time, err error) {
	first := !b.failing()
	if b.fail(now, began, err) {
		g.down(b, first, err)
		b.resume = b.latest(now, g.cfg.Reconnect)
		g.note(slog.LevelWarn, "backend failed", slog.String("backend", b.name), slog.Any("error", err),
			slog.Int("failures", b.retry.Failures()), slog.Duration("next_dial_in", b.notBefore.Sub(now)))
		g.failed(b, now)
	}
}

// note is a line for the log, written when the group's lock is given up.
type note struct {
	level slog.Level
	msg   string
	attrs []slog.Attr
}

// note has a line logged. g.mu is held.
func (g *Group) note(level slog.Level, msg string, attrs ...slog.Attr) {
	g.notes = append(g.notes, note{level, msg, attrs})
}
