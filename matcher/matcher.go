// Package matcher is layer4.matchers.gopr: it tells a framed protocol by its first bytes.
package matcher

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func init() {
	caddy.RegisterModule(new(Matcher))
}

// Matcher matches connections whose first bytes are a frame's header. It says no at the first byte that is wrong, so a connection of another protocol goes on to the
// next route at once; it says yes when the header is there, without waiting for the payload.
type Matcher struct {
	// The frame format. Default: `gopr`.
	Format string `json:"format,omitempty"`
	// The versions that match. Default: the format's own; 1 for gopr.
	Versions []uint32 `json:"versions,omitempty"`
	// The largest payload that matches, in bytes. Default: what the format can say; 65535 for gopr.
	MaxPayload int `json:"max_payload,omitempty"`
	// The commands that match, each a number or a range such as `0x10-0xFF`. Mind that clients may begin with a ping, 0x01. Default: all.
	Commands []string `json:"commands,omitempty"`

	dec    *wire.Decoder
	format string
}

// CaddyModule returns the Caddy module information.
func (*Matcher) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.matchers.gopr", New: func() caddy.Module { return new(Matcher) }}
}

// Provision compiles the settings.
func (m *Matcher) Provision(ctx caddy.Context) error {
	app, err := gateway.Of(ctx)
	if err != nil {
		return err
	}
	if err = m.compile(app); err != nil {
		return fmt.Errorf("gopr matcher: %w", err)
	}
	return nil
}

// compile checks the settings and fills in the defaults. Its errors say what would be right.
func (m *Matcher) compile(app *gateway.App) error {
	f, err := app.Format(m.Format)
	if err != nil {
		return err
	}
	m.format = f.Name()
	rules := wire.Rules{Versions: m.Versions, MaxPayload: m.MaxPayload, From: wire.FromClient}
	if len(m.Commands) > 0 {
		rules.Commands = wire.NewCommandSet()
		for _, s := range m.Commands {
			r, err := wire.ParseCommandRange(s)
			if err != nil {
				return err
			}
			rules.Commands.Add(r)
		}
	}
	m.dec, err = f.NewDecoder(rules)
	return err
}

// Match reports whether the connection's first bytes are a header, or asks for more of them. On a match the placeholders {l4.gopr.format}, {l4.gopr.version} and
// {l4.gopr.cmd} say what the first frame is.
func (m *Matcher) Match(cx *layer4.Connection) (bool, error) {
	var f wire.Frame
	size, err := m.dec.Header(cx.MatchingBytes(), &f)
	switch {
	case err != nil:
		return false, nil // another protocol, or a frame that these settings don't take: the next route may
	case size == 0:
		return false, layer4.ErrConsumedAllPrefetchedBytes
	}
	repl := cx.Replacer()
	repl.Set("l4.gopr.format", m.format)
	repl.Set("l4.gopr.version", f.Version)
	repl.Set("l4.gopr.cmd", f.Cmd)
	return true, nil
}

// UnmarshalCaddyfile sets up the matcher from Caddyfile tokens. Syntax:
//
//	gopr [{
//		format      <name>
//		versions    <version...>
//		max_payload <size>
//		commands    <command|first-last...>
//	}]
func (m *Matcher) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the matcher's own name
	err := directive.Nested("gopr", directive.Options{
		"format":      directive.One("gopr", directive.String(&m.Format)),
		"versions":    directive.List("1", directive.AppendUint32(&m.Versions)),
		"max_payload": directive.One("16KiB", directive.Size(&m.MaxPayload)),
		"commands":    directive.List("0x10-0xFF", directive.Append(&m.Commands)),
	})(d)
	if err != nil {
		return err
	}
	// Provision will say the same, but does not know the line.
	if err := m.compile(nil); err != nil && !errors.Is(err, gateway.ErrUnknownFormat) {
		return directive.At(d, fmt.Errorf("gopr matcher: %w", err))
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Matcher)(nil)
	_ layer4.ConnMatcher    = (*Matcher)(nil)
	_ caddyfile.Unmarshaler = (*Matcher)(nil)
)
