package directive

import "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

// Flag is an option without arguments: that it is there is what it says.
func Flag(set *bool) Parse {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		if d.CountRemainingArgs() > 0 || d.NextBlock(d.Nesting()) {
			return d.Errf("%s takes no arguments and no block: write it as `%s`, or leave it out", name, name)
		}
		*set = true
		return nil
	}
}
