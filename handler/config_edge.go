package handler

import (
	"cmp"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// Edge is the part of an upstream that says how links get to its backends.
type Edge struct {
	// TLS to the backends.
	TLS *UpstreamTLS `json:"tls,omitempty"`
	// `v2` has each link begin with a header of the PROXY protocol that tells the backend of the client. Default: none.
	ProxyProtocol string `json:"proxy_protocol,omitempty"`
	// The IP address that links over TCP come from, without a port. Default: the system chooses.
	LocalAddress string `json:"local_address,omitempty"`
}

func (e *Edge) options(to directive.Options) {
	to["tls"] = e.unmarshalTLS
	to["proxy_protocol"] = directive.One("v2", directive.String(&e.ProxyProtocol))
	to["local_address"] = directive.One("10.0.0.5", directive.String(&e.LocalAddress))
}

// UpstreamTLS is how links to backends are secured. Its files are PEM, and are read again when they have changed. Placeholders such as `{env.CERT}` are
// replaced when the configuration is loaded.
type UpstreamTLS struct {
	// The name that a backend's certificate must have. Default: the host of its address.
	ServerName string `json:"server_name,omitempty"`
	// Files with certificates, one of which must have signed the backend's. Default: those the system trusts.
	CA []string `json:"ca,omitempty"`
	// The certificate that backends are shown. Default: none.
	ClientAuth *ClientAuth `json:"client_auth,omitempty"`
	// Take any certificate: for tests.
	InsecureSkipVerify bool `json:"insecure_skip_verify,omitempty"`
}

// ClientAuth is a certificate and its key.
type ClientAuth struct {
	// The file of the certificate, with those between it and the CA behind it.
	Certificate string `json:"certificate,omitempty"`
	// The file of its key.
	Key string `json:"key,omitempty"`
}

// unmarshalTLS reads the option tls. Syntax:
//
//	tls [{
//		server_name <name>
//		ca          <file...>
//		client_auth <certificate file> <key file>
//		insecure_skip_verify
//	}]
func (e *Edge) unmarshalTLS(d *caddyfile.Dispenser) error {
	t := new(UpstreamTLS)
	e.TLS = t
	return directive.Nested("tls", directive.Options{
		"server_name": directive.One("backend.example.com", directive.String(&t.ServerName)),
		"ca":          directive.List("/etc/caddy/ca.crt", directive.Append(&t.CA)),
		"client_auth": func(d *caddyfile.Dispenser) error {
			t.ClientAuth = new(ClientAuth)
			return directive.Args("/etc/caddy/gateway.crt /etc/caddy/gateway.key", 2, directive.String(&t.ClientAuth.Certificate), directive.String(&t.ClientAuth.Key))(d)
		},
		"insecure_skip_verify": directive.Flag(&t.InsecureSkipVerify),
	})(d)
}

func (e *Edge) compile(to *upstream.Config) {
	to.LocalAddress, to.ProxyProtocol = e.LocalAddress, e.ProxyProtocol
	if t := e.TLS; t != nil {
		to.TLS = &upstream.TLS{ServerName: t.ServerName, CA: t.CA, InsecureSkipVerify: t.InsecureSkipVerify}
		if t.ClientAuth != nil {
			to.TLS.Cert, to.TLS.Key = t.ClientAuth.Certificate, t.ClientAuth.Key
		}
	}
}

// provisionEdge does what needs the host that the configuration is for: it fills in placeholders.
func (h *Handler) provisionEdge() error {
	r := caddy.NewReplacer()
	for _, u := range h.upstreams() {
		if u.TLS == nil {
			continue
		}
		words := []*string{&u.TLS.ServerName}
		for i := range u.TLS.CA {
			words = append(words, &u.TLS.CA[i])
		}
		if c := u.TLS.ClientAuth; c != nil {
			words = append(words, &c.Certificate, &c.Key)
		}
		for _, w := range words {
			s, err := r.ReplaceOrErr(*w, true, true)
			if err != nil {
				return fmt.Errorf("gopr handler %q: upstream: tls: %q: %w: set it, or write the value itself", cmp.Or(h.Name, defaultName), *w, err)
			}
			*w = s
		}
	}
	return nil
}

// upstreams are all groups of backends that are configured.
func (h *Handler) upstreams() (all []*Upstream) {
	if h.Upstream != nil {
		all = append(all, h.Upstream)
	}
	for _, r := range h.Routes {
		if r.Upstream != nil {
			all = append(all, r.Upstream)
		}
	}
	return all
}

// checkEdge reads the files that the settings name, so that a mistake is told when the configuration is loaded.
func (s *settings) checkEdge() error {
	for _, t := range s.targets() {
		if t.cfg.TLS == nil {
			continue
		}
		if err := t.cfg.TLS.Load(); err != nil {
			return fmt.Errorf("gopr handler %q: upstream: %w", s.name, err)
		}
	}
	return nil
}
