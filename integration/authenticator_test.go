package integration

import (
	"context"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

func init() { caddy.RegisterModule(new(everybody)) }

// everybody is an authenticator as another module might bring one, for caddyfile/sessions_guest.caddytest.
type everybody struct {
	But string `json:"but,omitempty"`
}

func (*everybody) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: gateway.Authenticators + ".everybody", New: func() caddy.Module { return new(everybody) }}
}

func (e *everybody) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // its own name
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if d.Val() != "but" || !d.Args(&e.But) {
			return d.Err("everybody has the option but, as in `but me`")
		}
	}
	return nil
}

func (e *everybody) Authenticate(_ context.Context, c gateway.Credentials) error {
	if string(c.ClientID) == e.But {
		return gateway.ErrNotAuthorized
	}
	return nil
}
