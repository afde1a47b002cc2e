package handler

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

// boundary is where no frame is half read. There the connection looks up: whether it is to leave, and whether there are new settings. It is read on if the answer is
// More.
func (c *conn) boundary(now time.Time) transport.Next {
	if c.leaving.Load() {
		return c.depart(now)
	}
	c.renew(now)
	if err := c.authorize(); err != nil {
		return c.fail(err)
	}
	if c.resting(now) {
		c.held = true
		return transport.Pause
	}
	return transport.More
}

// lookUp is boundary for a Tick.
func (c *conn) lookUp(now time.Time) transport.Next {
	c.renew(now)
	switch {
	case c.authorize() != nil:
		return c.fail(errUnauthorized)
	case c.resting(now):
		c.held = true
		return transport.Pause
	case !c.held:
		return transport.More
	case !c.flow.rests().IsZero():
		c.relent(now)
	case !c.ownFull.Load() && !c.full(): // what it was held for is over
		c.t.Resume()
	}
	return transport.Pause
}

// called says whether there is something to look up for.
func (c *conn) called() bool { return c.stale() || c.moving != nil || c.leaving.Load() }

// renew adopts the newest settings of the handler's name, and goes on with what an earlier adoption has left to do. It is called where no frame is half read.
func (c *conn) renew(now time.Time) {
	if c.stale() {
		c.seen = c.live.Current()
		if c.seen != nil {
			c.adopt(c.seen, now)
		}
	}
	if c.moving != nil {
		c.move(now)
	}
}

// stale says whether there are settings that the connection has not looked at.
func (c *conn) stale() bool { return c.live.Current() != c.seen }

// adopt takes new settings for the connection's own, unless something in them can't change under it. Then it stays with the old ones, as a whole.
func (c *conn) adopt(g *gateway.Generation, now time.Time) {
	s, old := g.Settings.(*settings), c.s
	other, elsewhere := s.identity != old.identity, c.ext.Load() != nil && !s.sessions.same(old.sessions)
	c.generation.set(otherFormat, other)
	c.generation.set(otherSessions, elsewhere)
	if other || elsewhere || s == old {
		return
	}
	c.plain = c.plain || c.spoken && c.ext.Load() == nil
	c.generation.id.Store(g.ID)
	c.s = s
	c.t.SetOptions(&s.transport)
	c.watch.Set(&s.limits, now)
	if c.pinger == nil && s.probe != nil {
		c.pinger = new(keepalive.Pinger)
	}
	if c.pinger != nil {
		c.pinger.Set(s.probe, now)
	}
	if s.tcp != old.tcp {
		if err := c.t.Socket(s.tcp.Apply); err != nil {
			logging{c.live}.unguarded(c.t.NetConn().RemoteAddr(), err)
		}
	}
	c.reroute(old, now)
}

// Generation implements gateway.Conn.
func (c *conn) Generation() (id uint64, differs []string) {
	return c.generation.id.Load(), c.generation.differs()
}

// Renew implements gateway.Conn.
func (c *conn) Renew() { c.t.Wake() }
