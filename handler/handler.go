// Package handler is layer4.handlers.gopr: it ends a framed protocol at the edge. It checks every frame, answers heartbeats, gives up the silent and the
// dripping, and carries what is the application's to backends and back.
//
//	handler.go        the module: provision, validate, handle
//	config.go         its JSON
//	config_routes.go  frames with some commands, to other backends
//	config_choice.go  which backend serves whom
//	config_edge.go    how links get to their backends: TLS, local address
//	config_limits.go  bounds against the many and the loud
//	caddyfile.go      its Caddyfile
//	settings.go       the configuration, compiled: one immutable value; settings_upstream.go, its backends; settings_limits.go, its limits
//	door.go           who is let in
//	flow.go           how fast a client may send: token buckets, in bucket.go
//	format.go         what frames mean: heartbeats, requests, answers
//	translate.go      frames of one format in another
//	conn.go           the life of one connection, without I/O
//	leases.go         its holds on groups of backends
//	info.go           what the admin API sees of it; flight.go, its last frames
//	frames.go         a piece of the stream, frame by frame; part.go, what of it goes to one group
//	reject.go         what becomes of frames that are not accepted
//	peer.go           the connection as the upstream sees it
//	reasons.go        why connections end: metric labels and log lines
//	socket.go         which connection there is under Caddy's
package handler

import (
	"runtime/debug"
	"time"

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
	h.live = gateway.AcquireLive(s.name)
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
	if h.live != nil {
		gateway.ReleaseLive(h.live)
	}
	return nil
}

// Handle serves one client connection until it ends. Ends that are part of a network's life are no errors: they are counted by reason, and logged.
func (h *Handler) Handle(cx *layer4.Connection, _ layer4.Handler) error {
	pass := enter(cx, h.settings.name, &h.settings.rules)
	if pass == nil {
		return nil
	}
	live, log := pass.Live, logging{pass.Live}
	end, info := ending{reason: reasonPanic}, gateway.Info{}
	defer func() {
		pass.Dismiss(end.reason)
		live.Ended(info, cx.RemoteAddr(), end.reason, end.err)
	}()
	defer func() {
		if r := recover(); r != nil { // one connection's fault is not the process's
			gateway.Log.Error("panic in a gopr connection", "handler", live.Name, "panic", r, "stack", string(debug.Stack()))
		}
	}()
	end, info = serve(cx, h.settings, live, log)
	log.ended(cx.RemoteAddr(), end, info)
	return nil
}

// serve runs one admitted connection, and says why it ended.
func serve(cx *layer4.Connection, s *settings, live *gateway.Live, log logging) (ending, gateway.Info) {
	tcp := bottom(cx)
	if tcp != nil {
		if err := s.tcp.Apply(tcp); err != nil {
			log.unguarded(cx.RemoteAddr(), err)
		}
	}
	nc, first, err := socket(cx, tcp)
	if err != nil {
		return ending{reason: reasonNetwork, err: err}, gateway.Info{}
	}
	c := newConn(nc, s, live, time.Now())
	client := clientOf(cx)
	c.by = subject(client.TLS)
	release, err := c.connect(client)
	if err != nil {
		return ending{reason: reasonUpstream, err: err}, c.Info()
	}
	defer release()
	live.Add(c)
	defer live.Remove(c)
	end := c.ending(c.t.Serve(first))
	live.Lasted.Observe(time.Since(c.since).Seconds())
	return end, c.Info()
}

// Interface guards.
var (
	_ caddy.Provisioner  = (*Handler)(nil)
	_ caddy.CleanerUpper = (*Handler)(nil)
	_ layer4.NextHandler = (*Handler)(nil)
)
