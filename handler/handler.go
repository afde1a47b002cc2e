// Package handler is layer4.handlers.gopr: it ends a framed protocol at the edge. It checks every frame, answers heartbeats, gives up the silent and the
// dripping, and carries what is the application's to backends and back.
//
//	handler.go        the module: provision, validate, handle
//	config.go         its JSON
//	config_routes.go  frames with some commands, to other backends
//	config_choice.go  which backend serves whom; config_health.go, and whether it is fit to
//	config_edge.go    how links get to their backends: TLS, local address
//	config_sessions.go  clients that come back, and their messages; authenticate.go, who may have sessions
//	config_limits.go  bounds against the many and the loud
//	caddyfile.go      its Caddyfile; caddyfile_sessions.go, of sessions
//	settings.go       the configuration, compiled: one immutable value; settings_upstream.go, its backends; settings_limits.go, its limits; settings_sessions.go, its sessions
//	door.go           who is let in
//	require.go        who of them may send what, by certificate; config_require.go, its option
//	guard.go          layer4.handlers.gopr_guard: the door, before TLS
//	flow.go           how fast a client may send: token buckets, in bucket.go
//	format.go         what frames mean: heartbeats, requests, answers
//	translate.go      frames of one format in another
//	visit.go          a client from its admission to its end, whoever serves it
//	conn.go           the life of one connection, without I/O
//	leases.go         its holds on groups of backends
//	hello.go          a HELLO, and its answer; extended.go, the connection after it; farewell.go, what its client is told at the end
//	info.go           what the admin API sees of it; flight.go, its last frames
//	frames.go         a piece of the stream, frame by frame; part.go, what of it goes to one group
//	reject.go         what becomes of frames that are not accepted
//	peer.go           the connection as the upstream sees it
//	adopt.go          new settings for a connection that lives; move.go, its way to other backends; generation.go, what it shows of that
//	leave.go          its end in a drain
//	reasons.go        why connections end: metric labels and log lines
//	socket.go         which connection there is under Caddy's
package handler

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

func init() {
	caddy.RegisterModule(new(Handler))
}

// CaddyModule returns the Caddy module information.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.handlers.gopr", New: func() caddy.Module { return new(Handler) }}
}

// Provision compiles the settings, takes the handler's name, and holds its upstream groups. Nobody is dialled before the configuration starts.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := gateway.Of(ctx)
	if err != nil {
		return err
	}
	h.app = app
	if err := h.provisionEdge(); err != nil {
		return err
	}
	if err := h.loadAuthenticators(ctx); err != nil {
		return err
	}
	s, err := h.compile()
	if err != nil {
		return err
	}
	if err := s.checkEdge(); err != nil {
		return err
	}
	if err := app.Claim(s.name); err != nil {
		return err
	}
	h.settings = s
	app.Door(s.name, &s.rules)
	h.live = gateway.AcquireLive(s.name)
	app.Offer(h.live, s)
	if s.sessions != nil {
		h.sessions = s.sessions.acquire(s.name)
		if err := app.UseSessions(h.sessions, s.sessions.rules); err != nil {
			return err
		}
	}
	for _, t := range s.targets() {
		group := t.acquire()
		h.groups = append(h.groups, group)
		app.Use(group)
	}
	return nil
}

// Cleanup gives up what this instance holds. Its connections live on, and hold the same for themselves.
func (h *Handler) Cleanup() error {
	for _, group := range h.groups {
		gateway.ReleaseGroup(group)
	}
	if h.sessions != nil {
		gateway.ReleaseSessions(h.sessions)
	}
	if h.live != nil {
		gateway.ReleaseLive(h.live)
	}
	return nil
}

// Handle serves one client connection: until it ends, or, where an event loop can serve it, returns while it lives on. Ends that are part of a network's life are no
// errors: they are counted by reason, and logged.
func (h *Handler) Handle(cx *layer4.Connection, _ layer4.Handler) error {
	pass := enter(cx, h.settings.name, &h.settings.rules)
	if pass == nil {
		return nil
	}
	(&visit{pass: *pass}).serve(cx, h.settings)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner  = (*Handler)(nil)
	_ caddy.CleanerUpper = (*Handler)(nil)
	_ layer4.NextHandler = (*Handler)(nil)
)
