package authenticate

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// oneArg reads a module's name and the one argument that it needs.
func oneArg(d *caddyfile.Dispenser, name, example string, to *string) error {
	d.Next()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("authenticate %s has %d arguments: write it as `authenticate %s %s`", name, len(args), name, example)
	}
	*to = args[0]
	return nil
}

// replaced returns a text with its placeholders filled in.
func replaced(s string) (string, error) {
	full, err := caddy.NewReplacer().ReplaceOrErr(s, true, true)
	if err != nil {
		return "", fmt.Errorf("%q: %w: set it, or write the value itself", s, err)
	}
	return full, nil
}

// durationOr returns a setting, or its default.
func durationOr(d *caddy.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return time.Duration(*d)
}
