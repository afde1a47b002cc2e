package authenticate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

func init() {
	caddy.RegisterModule(new(Static))
}

// Static knows clients by a file. Each line has a client id, a colon, and the hash of the client's credential: bcrypt, or argon2id in the form of PHC, as
// `caddy hash-password` makes them. Lines that are empty or begin with # are skipped; an id that is no plain text is quoted as in Go.
//
// The file is read again when it has changed, without a reload. One that can't be used is refused when the configuration is loaded; later, what was read before stays in
// force, and the log says why.
type Static struct {
	// The file. Placeholders such as `{env.DEVICES}` are replaced when the configuration is loaded.
	File string `json:"file,omitempty"`
	// How long a credential that was found good is known without another look at its hash, which takes a while. 0: not at all. Default: 5m.
	Cache *caddy.Duration `json:"cache,omitempty"`

	refusals
	file  *file
	found *verdicts
}

const defaultStaticCache = 5 * time.Minute

// CaddyModule returns the Caddy module information.
func (*Static) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: gateway.Authenticators + ".static", New: func() caddy.Module { return new(Static) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	static <file> {
//		cache <duration>
//	}
func (s *Static) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if err := oneArg(d, "static", "/etc/caddy/devices", &s.File); err != nil {
		return err
	}
	return directive.Block(d, "static", directive.Options{"cache": directive.One("5m", directive.OptionalDuration(&s.Cache))})
}

// Provision reads the file.
func (s *Static) Provision(ctx caddy.Context) (err error) {
	s.logger, s.found = ctx.Logger(), newVerdicts(maxVerdicts)
	if s.File == "" {
		return errors.New("authenticate static names no file: write it as `authenticate static /etc/caddy/devices`")
	}
	if s.Cache != nil && *s.Cache < 0 {
		return fmt.Errorf("authenticate static: cache %v is negative: give a time such as 5m", time.Duration(*s.Cache))
	}
	name, err := replaced(s.File)
	if err == nil {
		s.file, err = openFile(name, s.logger)
	}
	if err != nil {
		return fmt.Errorf("authenticate static: %w", err)
	}
	return nil
}

// Authenticate implements gateway.Authenticator.
func (s *Static) Authenticate(ctx context.Context, c gateway.Credentials) error {
	h, known := s.file.current().find(c.ClientID)
	q := s.found.question(c.ClientID, []byte(h), c.Secret) // with the hash: what another one was found good for says nothing
	if known {
		if ok, _ := s.found.find(q, time.Now()); ok {
			return nil
		}
	}
	var good bool
	if err := inSlot(ctx, func() { good = h.Verify(c.Secret) }); err != nil {
		return fmt.Errorf("too many clients say HELLO at once: %w", err)
	}
	switch {
	case !known:
		return s.note(c, "unknown client")
	case !good:
		return s.note(c, "wrong credential")
	}
	now := time.Now()
	s.found.note(q, true, now, now.Add(durationOr(s.Cache, defaultStaticCache)))
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Static)(nil)
	_ caddyfile.Unmarshaler = (*Static)(nil)
	_ gateway.Authenticator = (*Static)(nil)
)
