package handler

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// unmarshalSessions reads the option sessions. Syntax:
//
//	sessions {
//		store         memory | sqlite <path> | redis <url>
//		expiry        <duration>
//		park          <duration>
//		heartbeat     <duration>
//		require       hello
//		authenticate  <module> …
//		on_store_loss refuse|local
//	}
func (h *Handler) unmarshalSessions(d *caddyfile.Dispenser) error {
	s := new(Sessions)
	h.Sessions = s
	return directive.Nested("sessions", directive.Options{
		"store":         func(d *caddyfile.Dispenser) error { return gateway.UnmarshalStore(d, &s.Store) },
		"expiry":        directive.One("24h", directive.Duration(&s.Expiry)),
		"park":          directive.One("30s", directive.OptionalDuration(&s.Park)),
		"heartbeat":     directive.One("30s", directive.Duration(&s.Heartbeat)),
		"require":       directive.One("hello", directive.String(&s.Require)),
		"authenticate":  s.unmarshalAuthenticate,
		"on_store_loss": directive.One("refuse", directive.String(&s.OnStoreLoss)),
	}, "authenticate")(d)
}

// unmarshalAuthenticate reads one authenticator; how it goes on is its module's affair.
func (o *Sessions) unmarshalAuthenticate(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("authenticate has 0 arguments: name who is to be asked, as in `authenticate static /etc/caddy/devices`")
	}
	name := d.Val()
	if known := authenticators(); !slices.Contains(known, name) {
		return d.Errf("authenticate: there is no %q; there is %s", name, strings.Join(known, ", "))
	}
	m, err := caddyfile.UnmarshalModule(d, gateway.Authenticators+"."+name)
	if err != nil {
		return err
	}
	if _, ok := m.(gateway.Authenticator); !ok {
		return d.Errf("authenticate: the module %s.%s is no authenticator", gateway.Authenticators, name)
	}
	o.AuthenticateRaw = append(o.AuthenticateRaw, caddyconfig.JSONModuleObject(m, "module", name, nil))
	return nil
}

// unmarshalQueue reads the option queue. Syntax:
//
//	queue {
//		store       memory | sqlite <path> | redis <url>
//		capacity    <messages> [<size>]
//		total       <size>
//		overflow    reject|drop_oldest|drop_newest
//		ttl         <duration>
//		ack_timeout <duration>
//		max_retries <number>
//		inflight    <number>
//		downlink    0|1|2
//	}
func (h *Handler) unmarshalQueue(d *caddyfile.Dispenser) error {
	q := new(Queue)
	h.Queue = q
	return directive.Nested("queue", directive.Options{
		"store": func(d *caddyfile.Dispenser) error { return gateway.UnmarshalStore(d, &q.Store) },
		"capacity": func(d *caddyfile.Dispenser) error {
			q.Capacity = new(Capacity)
			return directive.Args("1000 1MiB", 1, directive.Int(&q.Capacity.Messages), directive.Size(&q.Capacity.Bytes))(d)
		},
		"total":       directive.One("1GiB", directive.Size(&q.Total)),
		"overflow":    directive.One("reject", directive.String(&q.Overflow)),
		"ttl":         directive.One("24h", directive.Duration(&q.TTL)),
		"ack_timeout": directive.One("3s", directive.Duration(&q.AckTimeout)),
		"max_retries": directive.One("3", directive.OptionalInt(&q.MaxRetries)),
		"inflight":    directive.One("64", directive.Int(&q.Inflight)),
		"downlink":    directive.One("1", directive.OptionalInt(&q.Downlink)),
	})(d)
}
