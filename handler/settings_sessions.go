package handler

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

const (
	defaultExpiry     = 24 * time.Hour
	defaultPark       = 30 * time.Second
	defaultTTL        = 24 * time.Hour
	defaultAckTimeout = 3 * time.Second
	defaultMaxRetries = 3
	defaultInflight   = 64
	defaultDownlink   = 1
	defaultMessages   = 1000
	defaultBytes      = 1 << 20
	defaultTotal      = 1 << 30
	defaultFirstHello = 10 * time.Second // where HELLO is required, and limits first_frame says nothing

	requireHello = "hello"
	storeRefuse  = "refuse"
	storeLocal   = "local"

	maxSeconds = math.MaxUint32 // that WELCOME can say of the expiry
	minPayload = 512            // that a HELLO fits in: 281 bytes, and a credential
)

// controls are the commands that are the protocol's own after HELLO, beside the heartbeat's. No allow-list leaves them out.
var controls = wire.CommandRange{First: uint32(wire.CmdHello), Last: uint32(wire.CmdBye)}

// sessions are what clients that say HELLO are served with.
type sessions struct {
	places         gateway.Places
	authenticators []gateway.Authenticator // all must agree
	require        bool                    // nobody is served without a session
	rules          gateway.SessionRules    // that they live by
}

// same says whether these are kept where others are: what can't change under a session.
func (s *sessions) same(as *sessions) bool {
	return s != nil && as != nil && s.places == as.places
}

// acquire returns the sessions of a handler.
func (s *sessions) acquire(handler string) *gateway.Sessions {
	return gateway.AcquireSessions(handler, s.places)
}

// InForce implements gateway.Enforced: what lives by these settings is told that they hold.
func (s *settings) InForce() {
	if s.sessions == nil {
		return
	}
	kept := s.sessions.acquire(s.name)
	defer gateway.ReleaseSessions(kept)
	kept.Set(s.sessions.rules)
}

// leaseFor takes a lease of the group for a session.
func (t *target) leaseFor(p upstream.LinkPeer, of upstream.Client) (lease upstream.Lease, release func(), err error) {
	group := t.acquire()
	up, err := group.Upstream()
	if err != nil {
		gateway.ReleaseGroup(group)
		return nil, nil, err
	}
	return up.Lease(p, of), func() { gateway.ReleaseGroup(group) }, nil
}

// compileSessions prepares sessions, where there are any. It comes last: they rest on all else.
func (h *Handler) compileSessions(s *settings) error {
	c := h.Sessions
	if c == nil {
		switch {
		case h.Queue != nil:
			return errors.New("queue keeps the messages of sessions, and there are none: add `sessions`, or remove queue")
		case h.Upstream != nil && h.Upstream.Extended:
			return errors.New("upstream extended is about the messages of sessions, and there are none: add `sessions`, or remove extended")
		}
		return nil
	}
	if err := h.sessionsFit(s); err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	to := &sessions{authenticators: h.authenticators}
	to.rules = gateway.SessionRules{Lease: s.upstream.leaseFor, Group: s.upstream.key}
	to.rules.Extended = h.Upstream.Extended
	if err := c.compile(h, s, to); err != nil {
		return fmt.Errorf("sessions %w", err)
	}
	q := h.Queue
	if q == nil {
		q = new(Queue)
	}
	if err := q.compile(h, to); err != nil {
		return fmt.Errorf("queue %w", err)
	}
	if err := to.placesFit(h); err != nil {
		return err
	}
	s.sessions = to
	if to.require && s.first == 0 {
		s.first = defaultFirstHello
	}
	return nil
}

// placesFit says which stores do not go together. What the app says of them is known when the configuration is loaded.
func (s *sessions) placesFit(h *Handler) error {
	if h.app == nil || !s.places.Queue.Shared() || s.places.Sessions.Shared() {
		return nil
	}
	return errors.New("queue store redis: other gateways see the messages there, and can't tell whose they are, as the sessions are not there: " +
		"give `sessions` the same store, or the queue another, such as `store sqlite /var/lib/caddy/gopr.db`")
}

// sessionsFit says what of the handler does not go with sessions.
func (h *Handler) sessionsFit(s *settings) error {
	switch {
	case s.format != wire.GOPR:
		return fmt.Errorf("the format %s has no HELLO, which is GOPR's alone: take `format gopr`, or remove sessions", s.format.Name())
	case s.echo:
		return errors.New("messages need backends to go to: put `upstream host:port` in the place of respond, or remove sessions")
	case len(s.routes) > 0:
		return errors.New("all messages of a session go to one group of backends, so that their order is kept: remove the routes, or remove sessions")
	case s.upstream.cfg.Pooling == upstream.Request:
		return errors.New("pooling request has no link for a client to come back to: take `pooling session` or `pooling mux` for the upstream, or remove sessions")
	case s.upstream.cfg.Format != s.format:
		return errors.New("messages go to backends as they came: remove `format` from the upstream, or remove sessions")
	case !isDefaultHeartbeat(&s.dialect):
		return errors.New("HELLO changes what the protocol's own commands mean, and the heartbeat must be among them: remove ping and pong from `heartbeat`, or remove sessions")
	case s.version != 1:
		return errors.New("HELLO and what follows it are frames of version 1: put 1 first in `versions`, or remove sessions")
	case h.MaxPayload > 0 && h.MaxPayload < minPayload:
		return fmt.Errorf("a HELLO may have %d bytes and more, and max_payload allows %d: raise it, or remove sessions", minPayload, h.MaxPayload)
	}
	return nil
}

func isDefaultHeartbeat(d *dialect) bool {
	return d.ping == (Control{uint32(wire.CmdPing), uint32(wire.FlagReq)}) && d.pong == (Control{uint32(wire.CmdPong), uint32(wire.FlagRsp)})
}

func (o *Sessions) compile(h *Handler, s *settings, to *sessions) (err error) {
	r := &to.rules
	if to.places.Sessions, err = h.app.SessionPlace(o.Store); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	r.Expiry = orDefault(time.Duration(o.Expiry), defaultExpiry)
	r.Park = defaultPark
	if o.Park != nil {
		r.Park = time.Duration(*o.Park)
	}
	switch {
	case r.Expiry < time.Second || r.Expiry > maxSeconds*time.Second:
		return fmt.Errorf("expiry %v: give a time from 1s on, such as 24h", r.Expiry)
	case r.Park < 0:
		return fmt.Errorf("park %v is negative: give a time such as 30s, or 0 to close the link of a client that has gone at once", r.Park)
	case o.Park != nil && r.Park > r.Expiry:
		return fmt.Errorf("park %v is longer than expiry %v, and a session that has expired has no link: lower it", r.Park, r.Expiry)
	}
	r.Park = min(r.Park, r.Expiry)
	if err := o.compileHeartbeat(s, to); err != nil {
		return err
	}
	switch o.Require {
	case "":
	case requireHello:
		to.require = true
	default:
		return fmt.Errorf("require %q is unknown: %s", o.Require, requireHello)
	}
	switch o.OnStoreLoss {
	case "", storeRefuse:
	case storeLocal:
		r.Local = true
	default:
		return fmt.Errorf("on_store_loss %q is unknown: %s or %s", o.OnStoreLoss, storeRefuse, storeLocal)
	}
	return nil
}

// compileHeartbeat decides what clients are told of heartbeats: as often as leaves room for one that is late.
func (o *Sessions) compileHeartbeat(s *settings, to *sessions) error {
	r := &to.rules
	const longest = math.MaxUint16 * time.Second // that WELCOME can say
	r.Idle = s.limits.Idle
	r.Heartbeat = time.Duration(o.Heartbeat)
	if r.Heartbeat == 0 {
		r.Heartbeat = defaultIdleTimeout * 2 / 3
		if r.Idle > 0 {
			r.Heartbeat = min(max(r.Idle*2/3, time.Second), longest)
		}
	}
	switch {
	case r.Idle > longest:
		return fmt.Errorf("can tell clients of an idle_timeout up to %v, and it is %v: lower it, or give 0 for none", longest, r.Idle)
	case r.Idle > 0 && r.Idle < 2*time.Second:
		return fmt.Errorf("tell clients in whole seconds how often to ping, and the idle_timeout of %v is too short for that: raise it to 2s or more", r.Idle)
	case r.Heartbeat < time.Second || r.Heartbeat > longest:
		return fmt.Errorf("heartbeat %v: give a time from 1s to %v, such as 30s", r.Heartbeat, longest)
	case r.Idle > 0 && r.Heartbeat >= r.Idle:
		return fmt.Errorf("heartbeat %v is not below the idle_timeout of %v, so that clients which do as they are told are closed: lower it, such as to %v", r.Heartbeat, r.Idle, (r.Idle * 2 / 3).Truncate(time.Second))
	}
	return nil
}

func (q *Queue) compile(h *Handler, to *sessions) (err error) {
	r := &to.rules
	if to.places.Queue, err = h.app.QueuePlace(q.Store); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if r.Bounds, err = q.compileBounds(orDefault(h.MaxPayload, wire.MaxPayload)); err != nil {
		return err
	}
	r.TTL = orDefault(time.Duration(q.TTL), defaultTTL)
	r.AckTimeout = orDefault(time.Duration(q.AckTimeout), defaultAckTimeout)
	r.Inflight = orDefault(q.Inflight, defaultInflight)
	r.MaxRetries, r.Downlink = defaultMaxRetries, defaultDownlink
	if q.MaxRetries != nil {
		r.MaxRetries = *q.MaxRetries
	}
	if d := q.Downlink; d != nil {
		if *d < 0 || *d > 2 {
			return fmt.Errorf("downlink %d is no quality of service: 0, 1 or 2", *d)
		}
		r.Downlink = uint8(*d)
	}
	switch {
	case r.TTL < time.Second:
		return fmt.Errorf("ttl %v: give a time from 1s on, such as 24h", r.TTL)
	case r.AckTimeout < 10*time.Millisecond:
		return fmt.Errorf("ack_timeout %v: give a time from 10ms on, such as 3s", r.AckTimeout)
	case r.MaxRetries < 0 || r.MaxRetries > math.MaxUint8:
		return fmt.Errorf("max_retries %d: give a number from 0 to %d, such as 3", r.MaxRetries, math.MaxUint8)
	case r.Inflight < 1 || r.Inflight > math.MaxUint16:
		return fmt.Errorf("inflight %d: give a number from 1 to %d, such as 64", r.Inflight, math.MaxUint16)
	}
	return nil
}

func (q *Queue) compileBounds(maxPayload int) (b queue.Bounds, err error) {
	c := q.Capacity
	if c == nil {
		c = new(Capacity)
	}
	b = queue.Bounds{
		Messages: orDefault(c.Messages, defaultMessages),
		Bytes:    int64(orDefault(c.Bytes, defaultBytes)),
		Total:    int64(orDefault(q.Total, defaultTotal)),
		Overflow: orDefault(queue.Overflow(q.Overflow), queue.Reject),
	}
	largest := queue.Message{Payload: make([]byte, maxPayload)}
	switch {
	case b.Messages < 1:
		return b, fmt.Errorf("capacity of %d messages: give how many are kept of a session, such as 1000", b.Messages)
	case b.Bytes < int64(largest.Size()):
		return b, fmt.Errorf("capacity of %d bytes has no room for a message with the largest payload, which counts %d: raise it, or lower max_payload", b.Bytes, largest.Size())
	case b.Total < b.Bytes:
		return b, fmt.Errorf("total of %d bytes is less than the capacity of one session, %d: raise it, such as to 1GiB", b.Total, b.Bytes)
	case b.Overflow != queue.Reject && b.Overflow != queue.DropOldest && b.Overflow != queue.DropNewest:
		return b, fmt.Errorf("overflow %q is unknown: %s, %s or %s", b.Overflow, queue.Reject, queue.DropOldest, queue.DropNewest)
	}
	return b, nil
}
