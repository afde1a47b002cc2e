package authenticate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// HTTPTLS is how a service is reached over TLS. Its files are PEM, and are read when the configuration is loaded.
type HTTPTLS struct {
	// The name that the service's certificate must have. Default: the host of the URL.
	ServerName string `json:"server_name,omitempty"`
	// Files with certificates, one of which must have signed the service's. Default: those the system trusts.
	CA []string `json:"ca,omitempty"`
	// The file of the certificate that the service is shown, with those between it and the CA behind it. Default: none.
	Certificate string `json:"certificate,omitempty"`
	// The file of its key.
	Key string `json:"key,omitempty"`
}

// unmarshalTLS reads the option tls. Syntax:
//
//	tls {
//		server_name <name>
//		ca          <file...>
//		client_auth <certificate file> <key file>
//	}
func (h *HTTP) unmarshalTLS(d *caddyfile.Dispenser) error {
	t := new(HTTPTLS)
	h.TLS = t
	return directive.Nested("tls", directive.Options{
		"server_name": directive.One("auth.example.com", directive.String(&t.ServerName)),
		"ca":          directive.List("/etc/caddy/ca.crt", directive.Append(&t.CA)),
		"client_auth": directive.Args("/etc/caddy/gateway.crt /etc/caddy/gateway.key", 2, directive.String(&t.Certificate), directive.String(&t.Key)),
	})(d)
}

func (t *HTTPTLS) read() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	var err error
	if c.ServerName, err = replaced(t.ServerName); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
	}
	for _, name := range t.CA {
		if name, err = replaced(name); err != nil {
			return nil, fmt.Errorf("tls ca: %w", err)
		}
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("tls ca: %w", err)
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls ca: %s has no certificate: give a PEM file with `-----BEGIN CERTIFICATE-----`", name)
		}
	}
	if (t.Certificate == "") != (t.Key == "") {
		return nil, errors.New("tls client_auth needs both the certificate and its key: write it as `client_auth /etc/caddy/gateway.crt /etc/caddy/gateway.key`")
	}
	if t.Certificate == "" {
		return c, nil
	}
	var files [2]string
	for i, name := range []string{t.Certificate, t.Key} {
		if files[i], err = replaced(name); err != nil {
			return nil, fmt.Errorf("tls client_auth: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(files[0], files[1])
	if err != nil {
		return nil, fmt.Errorf("tls client_auth: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}
