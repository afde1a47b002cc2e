package handler

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// errUnauthorized: the client shows no certificate that the handler asks for.
var errUnauthorized = errors.New("the client has no certificate that require tls_client accepts")

// require is what clients must show to be served.
type require struct{ subjects []role } // none: any verified certificate

// role is who a certificate is for, by patterns of which "" fits all, and what he may do.
type role struct {
	cn, o, ou, san string
	commands       *wire.CommandSet // nil: those of the handler
}

// may returns the commands that the client of a TLS connection may send; nil: all of the handler's. A certificate counts that Caddy has verified: what one says that it
// only asked for, anybody could have written.
func (r *require) may(state *tls.ConnectionState) (*wire.CommandSet, error) {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return nil, errUnauthorized
	}
	if len(r.subjects) == 0 {
		return nil, nil
	}
	i := slices.IndexFunc(r.subjects, func(s role) bool { return s.fits(state.PeerCertificates[0]) })
	if i < 0 {
		return nil, errUnauthorized
	}
	return r.subjects[i].commands, nil
}

// fits says whether the certificate is one of these. The parts of its subject are compared each by itself, so none can pass for two.
func (r role) fits(cert *x509.Certificate) bool {
	any := func(pattern string, of []string) bool {
		return pattern == "" || slices.ContainsFunc(of, func(s string) bool { return like(pattern, s) })
	}
	return any(r.cn, []string{cert.Subject.CommonName}) && any(r.o, cert.Subject.Organization) && any(r.ou, cert.Subject.OrganizationalUnit) && any(r.san, alternatives(cert))
}

// alternatives are the subject's other names.
func alternatives(cert *x509.Certificate) []string {
	all := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	for _, uri := range cert.URIs {
		all = append(all, uri.String())
	}
	return all
}

// like says whether s is as the pattern, in which * stands for any number of characters.
func like(pattern, s string) bool {
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, first)
	for ok && rest != "" {
		var part string
		if part, rest, wild = strings.Cut(rest, "*"); !wild {
			return strings.HasSuffix(s, part)
		}
		_, s, ok = strings.Cut(s, part)
	}
	return ok
}

// String is what the Caddyfile says.
func (r role) String() string {
	var all []string
	for _, p := range []struct{ name, pattern string }{{"CN", r.cn}, {"O", r.o}, {"OU", r.ou}, {"SAN", r.san}} {
		if p.pattern != "" {
			all = append(all, p.name+"="+p.pattern)
		}
	}
	return strings.Join(all, " ")
}

// license is what a connection's client may do under its settings.
type license struct {
	of       *settings // that it was judged by
	commands *wire.CommandSet
}

// authorize judges the client anew where the settings are others than those that it was judged by.
func (c *conn) authorize() error {
	if c.s.require == nil || c.license != nil && c.license.of == c.s {
		return nil
	}
	commands, err := c.s.require.may(c.leases.tls)
	if err != nil {
		return err
	}
	c.license = &license{c.s, commands}
	return nil
}

// licensed says whether the client may send a command.
func (c *conn) licensed(cmd uint32) bool {
	return c.s.require == nil || c.license.commands == nil || c.license.commands.Contains(cmd)
}
