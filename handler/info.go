package handler

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// ID implements gateway.Conn.
func (c *conn) ID() gateway.ConnID { return c.id }

// Info implements gateway.Conn.
func (c *conn) Info() gateway.Info {
	i := gateway.Info{
		ID: c.id, Remote: c.t.NetConn().RemoteAddr(), Local: c.t.NetConn().LocalAddr(), TLSSubject: subject(c.leases.tls), Since: c.since,
		FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(), BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		RTT: time.Duration(c.rtt.Load()), Unsent: c.t.Unsent(),
		Generation: c.generation.id.Load(), Differs: c.generation.differs(),
	}
	i.LastHeard, i.LastFrame = c.rec.times()
	waiting := false
	for _, h := range c.leases.all() {
		l := gateway.Link{Group: h.to.name, Backend: h.lease.Backend(), Unanswered: h.lease.Unanswered()}
		i.Links = append(i.Links, l)
		i.Unanswered += l.Unanswered
		waiting = waiting || h.lease.Waiting()
	}
	c.tellSession(&i)
	i.State = c.state(&i, waiting)
	return i
}

// state says what the connection is doing.
func (c *conn) state(i *gateway.Info, waiting bool) string {
	switch {
	case c.ended.Load() != nil:
		return gateway.StateClosing
	case c.leaving.Load():
		return gateway.StateDraining
	case c.lingering.Load():
		return gateway.StateLeaving
	case waiting:
		return gateway.StateWaiting
	case c.ownFull.Load(), c.full():
		return gateway.StatePaused
	case i.Unsent > 0, i.Unanswered > 0, !i.LastFrame.IsZero() && time.Since(i.LastFrame) < gateway.ActiveFor:
		return gateway.StateActive
	default:
		return gateway.StateIdle
	}
}

// Pending implements gateway.Conn.
func (c *conn) Pending() (bytes int, full bool) { return c.t.Backlog() }

// Weight implements gateway.Conn.
func (c *conn) Weight() (held int, heard time.Time) {
	held = c.t.Held()
	for _, h := range c.leases.all() {
		held += h.lease.Held()
	}
	heard, _ = c.rec.times()
	return held, heard
}

// End implements gateway.Conn.
func (c *conn) End(reason string) {
	c.sayGoAway(reason)
	c.end(ending{reason: reason})
}
