package main

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"
)

func init() {
	caddy.RegisterModule(hold{})
}

// hold is a handler that does nothing but read and throw away. No handler of caddy-l4's can cost less memory: it is the floor that idle
// connections are measured against.
type hold struct{}

// CaddyModule returns the Caddy module information.
func (hold) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.handlers.hold", New: func() caddy.Module { return new(hold) }}
}

// Handle reads until the client closes.
func (hold) Handle(cx *layer4.Connection, _ layer4.Handler) error {
	b := make([]byte, 64)
	for {
		if _, err := cx.Read(b); err != nil {
			return nil
		}
	}
}

// UnmarshalCaddyfile takes the bare word.
func (*hold) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Interface guards.
var (
	_ layer4.NextHandler    = (*hold)(nil)
	_ caddyfile.Unmarshaler = (*hold)(nil)
)
