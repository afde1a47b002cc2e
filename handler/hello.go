package handler

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// helloTimeout is how long a HELLO may take, from its arrival to its answer: what waits longer, for others or for a store, is told to come back.
const helloTimeout = 15 * time.Second

// extended is what a connection has beyond a plain one when its client has said HELLO: the delivery.Client of its session. Before the answer the connection is paused.
type extended struct {
	c       *conn
	in      *gateway.Sessions // held until the connection's end
	dialect *dialect

	// Until the HELLO is answered.
	waiting *greeting // the connection's goroutine owns the pointer; nil: it is answered
	heard   bool      // a frame has come since; the connection's goroutine owns it

	session atomic.Pointer[delivery.Session] // nil: it has none yet
	client  string
	full    atomic.Bool // the session does not take more. It is set before the Flush that finds it out
	told    atomic.Bool // the client has been told why its connection ends
}

// greeting is a HELLO under way.
type greeting struct {
	said     delivery.Hello
	secret   []byte
	cancel   context.CancelFunc
	presence presence
	answered chan struct{} // closed when what is below is there
	welcome  *delivery.Welcome
	session  *delivery.Session
	err      error
}

// What a client is closed for that has said no HELLO, or too many, or too late.
var (
	errNoHello      = errors.New("the handler serves only clients that say HELLO first")
	errLateHello    = errors.New("a HELLO must be the first frame of its connection")
	errHelloLimited = errors.New("too many clients of this address were not authorized: come back later")
)

// isHello says whether the frame is a HELLO, where the handler has sessions.
func isHello(f *wire.Frame) bool { return f.Cmd == uint32(wire.CmdHello) && f.Flag == 0 }

// opening looks at the first frame of a connection whose handler has sessions: a HELLO makes it extended, anything else makes it plain. next is More where the frame is to be
// sorted as any other.
func (c *conn) opening(p *piece, f *wire.Frame, now time.Time) (next transport.Next) {
	switch {
	case isHello(f):
		return c.hello(p, f, now)
	case c.s.sessions.require:
		return c.refuse(p, wire.ErrorProtocol, errNoHello)
	}
	c.plain = true
	c.main()
	return transport.More
}

// hello begins to answer a HELLO: others do, as it takes a while.
func (c *conn) hello(p *piece, f *wire.Frame, now time.Time) transport.Next {
	h, ok := wire.ParseHello(f.Payload)
	remote := c.t.NetConn().RemoteAddr()
	switch {
	case !ok:
		return c.refuse(p, wire.ErrorMalformed, &wire.RejectError{Reason: wire.ReasonMalformed, Offset: wire.HeaderLen, Skip: len(f.Raw)})
	case !c.live.MayHello(&c.s.rules, remote, now):
		return c.refuse(p, wire.ErrorLimit, errHelloLimited)
	}
	c.leases.giveUp() // of before a reload: it might have stayed plain
	g := &greeting{answered: make(chan struct{}), secret: append([]byte(nil), h.Credential...)}
	g.said = delivery.Hello{
		Client: string(h.ClientID), Token: append([]byte(nil), h.Token...), Wanted: h.Capabilities, Expiry: h.Expiry,
		Certificate: certificateHash(c.leases.tls), From: c.leases.clientOf(c),
	}
	e := &extended{c: c, dialect: &c.s.dialect, waiting: g, in: c.s.sessions.acquire(c.s.name)}
	e.client = g.said.Client
	var ctx context.Context
	ctx, g.cancel = context.WithDeadline(context.Background(), now.Add(helloTimeout))
	c.ext.Store(e)
	s := c.s
	e.in.Answer(func() {
		defer c.t.Wake()
		defer close(g.answered)
		defer g.cancel()
		g.session, g.welcome, g.err = s.answer(ctx, c, e.in, g)
	})
	return transport.Pause
}

// answer finds out what a HELLO gets.
func (s *settings) answer(ctx context.Context, c *conn, in *gateway.Sessions, g *greeting) (*delivery.Session, *delivery.Welcome, error) {
	if err := ctx.Err(); err != nil { // it has waited for too long, or the client has gone
		return nil, nil, &delivery.Refusal{Code: wire.ErrorLimit, Text: "too many come at once: come back later", Err: err}
	}
	service, err := in.Service(s.sessions.rules)
	if err != nil {
		return nil, nil, &delivery.Refusal{Code: wire.ErrorStore, Text: "sessions can't be had now", Err: err}
	}
	if len(s.sessions.authenticators) > 0 {
		g.said.Authorize = func() error { return s.authenticate(ctx, g) }
	}
	if g.said.Wanted&wire.CapPong != 0 {
		g.said.Present = func(ctx context.Context) error { return c.present(ctx, &g.presence) }
	}
	session, welcome, err := service.Hello(ctx, g.said)
	var r *delivery.Refusal
	if errors.As(err, &r) && r.Code == wire.ErrorNotAuthorized {
		c.live.HelloFailed(&s.rules, g.said.From.Source, time.Now())
	}
	return session, welcome, err
}

// authenticate asks all authenticators.
func (s *settings) authenticate(ctx context.Context, g *greeting) error {
	for _, a := range s.sessions.authenticators {
		err := a.Authenticate(ctx, gateway.Credentials{
			ClientID: []byte(g.said.Client), Secret: append([]byte(nil), g.secret...), Remote: g.said.From.Source, TLS: g.said.From.TLS,
		})
		switch {
		case err == nil:
		case errors.Is(err, gateway.ErrNotAuthorized):
			return &delivery.Refusal{Code: wire.ErrorNotAuthorized, Text: "not authorized", Err: err}
		default:
			return &delivery.Refusal{Code: wire.ErrorStore, Text: "the credential can't be checked now: come back later", Err: err}
		}
	}
	return nil
}

// greet answers the client if the answer to its HELLO is there. next is Pause while it is not.
func (c *conn) greet(e *extended, now time.Time) (next transport.Next) {
	g := e.waiting
	select {
	case <-g.answered:
	default:
		c.held = true
		return transport.Pause
	}
	e.waiting = nil
	if g.err != nil {
		var r *delivery.Refusal
		if !errors.As(g.err, &r) {
			r = &delivery.Refusal{Code: wire.ErrorStore, Text: "no session can be had now", Err: g.err}
		}
		c.sayError(r.Code, r.Text)
		return c.fail(r)
	}
	c.mute = g.welcome.Granted&wire.CapPong == 0
	if _, err := c.t.Write(g.welcome.Frame); err == nil {
		c.out(0, len(g.welcome.Frame))
		c.rec.out(e.dialect, g.welcome.Frame, 1)
	}
	e.session.Store(g.session)
	if !g.session.Attach(e, g.welcome) {
		return c.fail(delivery.ErrTaken)
	}
	return transport.More
}

// gone gives up what the connection has beyond a plain one. It may wait for a HELLO under way to notice.
func (e *extended) gone() {
	if g := e.waiting; g != nil {
		g.cancel()
		<-g.answered
		if g.session != nil {
			g.session.Detach(e)
		}
	}
	if s := e.session.Load(); s != nil {
		s.Detach(e)
	}
	gateway.ReleaseSessions(e.in)
}
