package main

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents/eventsconfig"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(new(witness))
}

// witness is a subscriber to events that says in the log what it was told.
type witness struct{ log *zap.Logger }

// CaddyModule returns the Caddy module information.
func (*witness) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.witness", New: func() caddy.Module { return new(witness) }}
}

// Provision takes the logger.
func (w *witness) Provision(ctx caddy.Context) error {
	w.log = ctx.Logger()
	return nil
}

// Handle logs the event.
func (w *witness) Handle(ctx context.Context, e caddy.Event) error {
	w.log.Info("event witnessed", zap.String("name", e.Name()), zap.Any("data", e.Data), zap.Bool("live", ctx.Err() == nil))
	return nil
}

// UnmarshalCaddyfile takes the bare word.
func (*witness) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}
