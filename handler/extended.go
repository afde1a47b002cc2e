package handler

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// takeExtended gives a frame of an extended connection to its session.
func (c *conn) takeExtended(e *extended, p *piece, f *wire.Frame, now time.Time) error {
	if isHello(f) {
		return errLateHello
	}
	if f.Cmd >= uint32(wire.CmdApp) {
		if c.s.commands != nil && !c.s.commands.Contains(f.Cmd) || !c.licensed(f.Cmd) {
			return c.s.notAllowed(f)
		}
		p.frames++
	}
	return e.session.Load().Take(e, now, f)
}

// flush has the session carry out what a piece has brought; whole: at least one frame. full: nothing more is to be read.
func (e *extended) flush(now time.Time, whole bool) (full bool) {
	s := e.session.Load()
	if s == nil {
		return false
	}
	if whole && !e.heard {
		e.heard = true
		s.Heard(e)
	}
	e.full.Store(true) // first: a Resume that comes before Flush has returned is for this
	if !s.Flush(e, now) {
		e.full.Store(false)
	}
	return e.full.Load()
}

// Write implements delivery.Client.
func (e *extended) Write(frames []byte, n int) (full bool) {
	full, err := e.c.t.Write(frames)
	if err != nil {
		return false // the connection is ending
	}
	e.c.out(n, len(frames))
	e.c.rec.out(e.dialect, frames, n)
	if e.c.lingering.Load() || e.c.leaving.Load() {
		e.c.t.Wake()
	}
	return full
}

// Resume implements delivery.Client.
func (e *extended) Resume() {
	e.full.Store(false)
	if !e.c.ownFull.Load() {
		e.c.t.Resume()
	}
}

// From implements delivery.Client.
func (e *extended) From() upstream.Client { return e.c.leases.clientOf(e.c) }

// End implements delivery.Client.
func (e *extended) End(err error) {
	end := endingOf(err)
	var v *delivery.Violation
	if errors.As(err, &v) {
		e.c.sayError(v.Code, v.Text)
	} else {
		e.c.sayGoAway(end.reason)
	}
	e.c.end(end)
}

// drained tells the session that its client takes more.
func (e *extended) drained() {
	if s := e.session.Load(); s != nil {
		s.Drained(e)
	}
}

// awaits says whether a HELLO is under way.
func (c *conn) awaits() bool {
	e := c.ext.Load()
	return e != nil && e.waiting != nil
}

// sessionFull says whether the session takes no more.
func (c *conn) sessionFull() bool {
	e := c.ext.Load()
	return e != nil && e.full.Load()
}

// settled says whether all that the client has asked for is answered, and its messages are safe.
func (c *conn) settled() bool {
	if !c.leases.settled() {
		return false
	}
	e := c.ext.Load()
	if e == nil {
		return true
	}
	s := e.session.Load()
	return s == nil || s.Settled()
}

// tellSession says whose connection it is.
func (c *conn) tellSession(i *gateway.Info) {
	e := c.ext.Load()
	if e == nil {
		return
	}
	i.Client = gateway.ClientName(e.client)
	s := e.session.Load()
	if s == nil {
		return
	}
	of := s.Info()
	i.Session, i.Unanswered = gateway.SessionName(of.ID), i.Unanswered+of.Requests
	if of.Backend != "" {
		i.Links = append(i.Links, gateway.Link{Group: c.live.Name, Backend: of.Backend, Unanswered: of.Requests})
	}
}

// certificateHash is what a session is bound to.
func certificateHash(state *tls.ConnectionState) (h session.Hash) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return h
	}
	return sha256.Sum256(state.PeerCertificates[0].Raw)
}
