package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
)

// TLS is how links are secured. Its files are PEM. They are read anew when they have changed, at the next dial: links that are up stay as they are. Files that can't be
// used when they have changed leave in force what was read before, and are tried again with each dial.
type TLS struct {
	// ServerName is the name that the backend's certificate must have, and that it is told. "": the host of its address.
	ServerName string
	// CA are files of certificates, one of which must have signed the backend's. Empty: the system's.
	CA []string
	// Cert and Key are files of the certificate and the key that the backend is shown. "": none.
	Cert, Key string
	// InsecureSkipVerify takes any certificate from the backend. For tests.
	InsecureSkipVerify bool
}

// Validate says what is wrong with the settings, and what would be right. It reads no file; see Load.
func (t *TLS) Validate(backends []string) error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("tls client_auth needs both the certificate and its key: write it as `client_auth /etc/caddy/gateway.crt /etc/caddy/gateway.key`")
	}
	if t.InsecureSkipVerify && len(t.CA) > 0 {
		return errors.New("tls has both ca and insecure_skip_verify: remove insecure_skip_verify, or no certificate is checked against the ca")
	}
	if t.ServerName != "" || t.InsecureSkipVerify {
		return nil
	}
	for _, b := range backends {
		if network, _, err := splitBackend(b); err == nil && network == "unix" {
			return fmt.Errorf("tls to %s has no name to expect of its certificate: add `server_name backend.example.com`", b)
		}
	}
	return nil
}

// Load reads the files once, and says what is wrong with them.
func (t *TLS) Load() error {
	_, err := t.read()
	return err
}

func (t *TLS) read() (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0), // of these files: a session of others says nothing of them
	}
	if len(t.CA) > 0 {
		c.RootCAs = x509.NewCertPool()
	}
	for _, name := range t.CA {
		pem, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("tls ca: %w", err)
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls ca: %s has no certificate: give a PEM file with `-----BEGIN CERTIFICATE-----`", name)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls client_auth: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// handshakeError says that the other side was there, and the handshake with it failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls handshake: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

// serverName is the name to expect of a backend, where the settings give none.
func serverName(b *backend) string {
	if b.server != "" {
		return b.server
	}
	host, _, err := net.SplitHostPort(b.addr)
	if err != nil {
		return ""
	}
	return host
}
