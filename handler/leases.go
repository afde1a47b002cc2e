package handler

import (
	"crypto/tls"
	"sync/atomic"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// leases are a connection's holds on groups of backends: one for each group that its frames go to. That of the handler's own upstream is made first, so that what
// its backend sends unasked has where to go; that of a route, with the first frame that goes there.
//
// The connection's goroutine alone adds to them; all may read.
type leases struct {
	tls   *tls.ConnectionState // of whom they are for; nil: none. Set before the first
	holds atomic.Pointer[[]*hold]
}

// hold is a connection's lease of one group, and the upstream.Peer of that lease.
type hold struct {
	c       *conn
	to      *target
	group   *gateway.Group
	lease   upstream.Lease
	dialect atomic.Pointer[dialect] // the client's
	debts   debts                   // under translation: requests that the backend has not answered

	// The connection's goroutine owns these.
	of    *target   // what it is to the settings of the connection, or, where it is stale, was
	stale *settings // whose it was, of those before a reload; nil: it is not stale

	full atomic.Bool // the backend does not take more. It is set before the Send that finds it out, and cleared by Room

	part // what of the piece at hand goes there; the connection's goroutine owns it
}

// all returns the holds there are.
func (l *leases) all() []*hold {
	if p := l.holds.Load(); p != nil {
		return *p
	}
	return nil
}

// of returns the connection's hold on a target's group.
func (l *leases) of(c *conn, to *target) (*hold, error) {
	for _, h := range l.all() {
		if h.of == to {
			return h, nil
		}
	}
	return l.take(c, to)
}

// take leases the group of a target. It neither dials nor waits.
func (l *leases) take(c *conn, to *target) (*hold, error) {
	group := to.acquire()
	up, err := group.Upstream()
	if err != nil {
		gateway.ReleaseGroup(group)
		return nil, err
	}
	h := &hold{c: c, to: to, of: to, group: group}
	h.dialect.Store(&c.s.dialect)
	h.lease = up.Lease(h, l.clientOf(c))
	old := l.all()
	holds := append(old[:len(old):len(old)], h)
	l.holds.Store(&holds)
	h.lease.Resume() // for a Drained that did not find it
	return h, nil
}

// clientOf says whom a lease is for. The addresses are made when they are asked for: an idle connection keeps its own in less memory.
func (l *leases) clientOf(c *conn) upstream.Client {
	nc := c.t.NetConn()
	return upstream.Client{Source: nc.RemoteAddr(), Local: nc.LocalAddr(), TLS: l.tls}
}

// drop gives up a hold whose lease has ended.
func (l *leases) drop(h *hold) {
	var holds []*hold
	for _, other := range l.all() {
		if other != h {
			holds = append(holds, other)
		}
	}
	l.holds.Store(&holds)
	go gateway.ReleaseGroup(h.group) // the last one closes the group, which takes as long as the last words of its links
}

// release ends all holds. Nothing may be added any more.
func (l *leases) release() {
	for _, h := range l.all() {
		h.lease.Close()
		gateway.ReleaseGroup(h.group)
	}
}

// giveUp ends all holds, of a connection that needs none.
func (l *leases) giveUp() {
	for _, h := range l.all() {
		h.lease.Close()
		l.drop(h)
	}
}

// full says whether any of the backends does not take more.
func (l *leases) full() bool {
	for _, h := range l.all() {
		if h.full.Load() {
			return true
		}
	}
	return false
}

// resume has all backends read from again.
func (l *leases) resume() {
	for _, h := range l.all() {
		h.lease.Resume()
	}
}

// unanswered is the number of requests without an answer.
func (l *leases) unanswered() (n int) {
	for _, h := range l.all() {
		n += h.lease.Unanswered()
	}
	return n
}

// waiting says whether frames wait for a link.
func (l *leases) waiting() bool {
	for _, h := range l.all() {
		if h.lease.Waiting() {
			return true
		}
	}
	return false
}

// settled says whether all that the client sent has gone to a backend, and all that it asked is answered.
func (l *leases) settled() bool {
	for _, h := range l.all() {
		if !h.lease.Settled() {
			return false
		}
	}
	return true
}
