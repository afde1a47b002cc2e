package authenticate

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

func init() {
	caddy.RegisterModule(new(MTLS))
}

// MTLS knows clients by their TLS certificates: one that a CA of the `tls` handler's client_auth has signed, and that bears the client id.
type MTLS struct {
	// Where the certificate bears the id: `cn`, as the common name of its subject; `san`, as one of its alternative names, DNS name, e-mail address, URI or IP address;
	// `any`, as either. It must be the same to the letter. Default: any.
	Match string `json:"match,omitempty"`

	refusals
}

// CaddyModule returns the Caddy module information.
func (*MTLS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: gateway.Authenticators + ".mtls", New: func() caddy.Module { return new(MTLS) }}
}

// UnmarshalCaddyfile sets up the module from Caddyfile tokens. Syntax:
//
//	mtls [cn|san|any]
func (m *MTLS) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	d.Args(&m.Match)
	if d.NextArg() {
		return d.Errf("%q is one argument too many: write it as `authenticate mtls san`", d.Val())
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("authenticate mtls takes no block: write it as `authenticate mtls san`")
	}
	return m.Validate()
}

// Provision sets the module up.
func (m *MTLS) Provision(ctx caddy.Context) error {
	m.logger = ctx.Logger()
	return nil
}

// Validate says what is wrong with the settings.
func (m *MTLS) Validate() error {
	if !slices.Contains([]string{"", "cn", "san", "any"}, m.Match) {
		return fmt.Errorf("authenticate mtls: unknown match %q: cn, san or any", m.Match)
	}
	return nil
}

// Authenticate implements gateway.Authenticator.
func (m *MTLS) Authenticate(_ context.Context, c gateway.Credentials) error {
	switch {
	case c.TLS == nil:
		return m.note(c, "no TLS: authenticate mtls needs a `tls` handler before this one")
	case len(c.TLS.VerifiedChains) == 0:
		return m.note(c, "no certificate that was verified: the `tls` handler needs a client_auth with `mode require_and_verify`")
	case !m.bears(c.TLS.VerifiedChains[0][0], string(c.ClientID)):
		return m.note(c, "the certificate is another client's")
	}
	return nil
}

// bears says whether a certificate is that of a client.
func (m *MTLS) bears(cert *x509.Certificate, id string) bool {
	if m.Match != "san" && cert.Subject.CommonName == id {
		return true
	}
	return m.Match != "cn" && (slices.Contains(cert.DNSNames, id) || slices.Contains(cert.EmailAddresses, id) ||
		slices.ContainsFunc(cert.URIs, func(u *url.URL) bool { return u.String() == id }) ||
		slices.ContainsFunc(cert.IPAddresses, func(ip net.IP) bool { return ip.String() == id }))
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*MTLS)(nil)
	_ caddy.Validator       = (*MTLS)(nil)
	_ caddyfile.Unmarshaler = (*MTLS)(nil)
	_ gateway.Authenticator = (*MTLS)(nil)
)
