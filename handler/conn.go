package handler

import (
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// conn is the life of one client connection, written without I/O: a transport.Logic. Its transport gives it pieces of bytes and ticks; it answers with
// what to write, what to forward, and why to end.
type conn struct {
	// Set before Serve, never changed.
	t     transport.Conn
	live  *gateway.Live
	id    gateway.ConnID
	since time.Time

	ext atomic.Pointer[extended] // nil: the connection is plain, or nothing has come yet; the connection's goroutine sets it, once

	leases leases // of groups of backends; what a backend sends, and what follows from it, may come before its lease is among them

	// The connection's goroutine owns these.
	s        *settings           // the newest of the handler's name that it could adopt
	seen     *gateway.Generation // the one in force when it looked last
	moving   *moving             // its way to other backends; nil: it is where it belongs
	watch    keepalive.Watch
	pinger   *keepalive.Pinger // nil: it was never to ping
	flow     *flow             // how fast the client sends; nil: it never had a limit
	license  *license          // what it may send; nil: whatever the handler takes
	look     time.Duration     // lingering: when to look whether it is done, after since
	skip     int32             // bytes of a dropped frame still to come
	searched int32             // bytes thrown away since the last good frame
	half     bool              // a frame has begun and not ended: it is judged by the settings that it was begun under
	spoken   bool              // its first frame has come
	plain    bool              // and where the handler has sessions, it was no HELLO
	mute     bool              // the client answers no pings
	held     bool              // reading is paused: the client's silence is ours, and says nothing of it
	begun    bool              // it is a connection: before, its visit has come to nothing yet
	ours     bool              // the socket is not Caddy's any more

	// ownFull: too much of what goes to the client is unsent; a hold has the same of its backend. Whoever drains clears its flag, and resumes reading
	// when all others are clear too. A resume that comes before the pause prevents it, so none is lost.
	ownFull   atomic.Bool
	lingering atomic.Bool // the client will send no more, and waits for answers
	leaving   atomic.Bool // nothing more is read from the client, which goes with its last answer
	parting   atomic.Bool // it goes to other backends with the last answer of those it has

	generation generation

	framesIn, framesOut atomic.Uint64
	bytesIn, bytesOut   atomic.Uint64
	rtt                 atomic.Int64 // smoothed, in nanoseconds; 0: not measured
	rec                 flight
	ended               atomic.Pointer[ending] // what it was ended for: the first cause counts
}

// errProbe: the client's TCP answers, its program does not.
var errProbe = errors.New("no pong to the gateway's ping")

// linger is how long a client that has closed its sending side may wait for the answers to what it asked.
const linger = 10 * time.Second

// begin makes the connection, where it lies.
func (c *conn) begin(nc net.Conn, s *settings, live *gateway.Live, now time.Time) {
	c.s, c.live, c.id, c.since = s, live, gateway.NewConnID(), now
	c.generation.id.Store(s.generation)
	c.watch.Start(&s.limits, now)
	if s.probe != nil {
		c.pinger = new(keepalive.Pinger)
		c.pinger.Start(s.probe, now)
	}
	c.t = transport.New(nc, &s.transport, c)
}

// connect takes what the connection's frames need beyond itself, until release: the lease of the handler's own upstream. Those of its routes are taken when
// there is a frame for them.
func (c *conn) connect() (release func(), err error) {
	c.renew(c.since) // before the first lease: the handler's instance may be that of an older configuration
	if err := c.authorize(); err != nil {
		return nil, err
	}
	if c.s.upstream != nil && c.s.sessions == nil { // else its first frame decides
		if _, err := c.leases.of(c, c.s.upstream); err != nil {
			return nil, err
		}
	}
	return c.leases.release, nil
}

// resume has the clocks go on after a pause: the silence was ours.
func (c *conn) resume(now time.Time) {
	c.held = false
	if c.flow != nil {
		c.flow.until = time.Time{}
	}
	c.watch.Start(&c.s.limits, now)
	if c.probes() {
		c.pinger.Heard(now)
		c.pinger.Resume(now)
	}
}

// note tells the clocks what a piece brought.
func (c *conn) note(now time.Time, p *piece, partial bool) {
	if p.dropped && !p.whole {
		c.watch.Note(now, false, false) // the frame that was begun has come to its end, in its time
	}
	c.watch.Note(now, p.whole, partial)
	c.spoken = c.spoken || p.whole
	if p.whole && c.probes() {
		c.pinger.Heard(now)
	}
}

// probes says whether the gateway pings the client.
func (c *conn) probes() bool { return c.s.probe != nil && !c.mute }

// fail says why the connection ends.
func (c *conn) fail(err error) transport.Next {
	e := endingOf(err)
	c.ended.CompareAndSwap(nil, &e)
	return transport.Close
}

// end closes the connection from another goroutine.
func (c *conn) end(e ending) {
	c.ended.CompareAndSwap(nil, &e)
	c.t.Wake()
}

// ending says how the connection ended, given what its transport returned.
func (c *conn) ending(err error) ending {
	if e := c.ended.Load(); e != nil {
		return *e
	}
	return endingOf(err)
}

// EOF implements transport.Logic. A client may close its sending side and wait for its answers; and what it sent last is sent on, also where it has to wait for a link.
func (c *conn) EOF(now time.Time) transport.Next {
	if c.settled() {
		return transport.Close
	}
	c.lingering.Store(true)
	c.watch.Start(&keepalive.Limits{Idle: linger}, now)
	c.lookIn(now, c.lookAgain())
	if c.settled() { // the last answer came between
		return transport.Close
	}
	return transport.More
}

// Tick implements transport.Logic.
func (c *conn) Tick(now time.Time) transport.Next {
	switch {
	case c.ended.Load() != nil:
		return transport.Close
	case c.lingering.Load():
		if c.settled() || c.watch.Check(now) != nil {
			return transport.Close
		}
		c.lookIn(now, c.lookAgain())
		return transport.More
	case c.leaving.Load() && !c.half:
		return c.depart(now)
	case c.awaits():
		if next := c.greet(c.ext.Load(), now); next != transport.More {
			return next
		}
		c.t.Resume()
		return transport.More
	case !c.half || c.held: // what is held may be held for settings of before
		if next := c.lookUp(now); next != transport.More {
			return next
		}
	}
	if c.tooSlow(now) {
		return c.fail(c.s.tooSlow())
	}
	if err := c.watch.Check(now); err != nil {
		return c.fail(err)
	}
	if c.probes() {
		switch c.pinger.Tick(now) {
		case keepalive.SendPing:
			c.ping(now)
		case keepalive.Dead:
			c.live.Missed.Inc()
			return c.fail(errProbe)
		}
	}
	return transport.More
}

// Deadline implements transport.Logic.
func (c *conn) Deadline() time.Time {
	switch {
	case c.lingering.Load():
		return keepalive.Earliest(c.watch.Deadline(), c.since.Add(c.look))
	case c.held && c.leaving.Load():
		return c.since.Add(c.look)
	case c.held:
		if c.moving != nil {
			return keepalive.Earliest(c.flow.rests(), c.moving.look)
		}
		return c.flow.rests()
	}
	at := c.watch.Deadline()
	if !c.spoken && c.s.first > 0 {
		at = keepalive.Earliest(at, c.since.Add(c.s.first))
	}
	if c.probes() {
		at = keepalive.Earliest(at, c.pinger.Next())
	}
	if c.moving != nil {
		at = keepalive.Earliest(at, c.moving.look)
	}
	return at
}

// Drained implements transport.Logic: the client reads again.
func (c *conn) Drained() {
	c.ownFull.Store(false)
	c.leases.resume()
	if e := c.ext.Load(); e != nil {
		e.drained()
	}
	if !c.full() {
		c.t.Resume()
	}
}

// full says whether somebody who gets what the client sends takes no more.
func (c *conn) full() bool { return c.leases.full() || c.sessionFull() }

// Interface guards.
var (
	_ transport.Logic = (*conn)(nil)
	_ upstream.Peer   = (*hold)(nil)
	_ gateway.Conn    = (*conn)(nil)
)
