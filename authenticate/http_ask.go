package authenticate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// asked is what the service is sent. What is no UTF-8 goes under the other name, as JSON has bytes: in base64.
type asked struct {
	ClientID        string    `json:"client_id,omitempty"`
	ClientIDBytes   []byte    `json:"client_id_base64,omitempty"`
	Credential      string    `json:"credential,omitempty"`
	CredentialBytes []byte    `json:"credential_base64,omitempty"`
	RemoteAddr      string    `json:"remote_addr,omitempty"` // with the port
	TLS             *askedTLS `json:"tls,omitempty"`         // nil: the client came without
}

// askedTLS is what the service is told of a client's TLS.
type askedTLS struct {
	ServerName  string `json:"server_name,omitempty"` // that it asked for
	Subject     string `json:"subject,omitempty"`     // of its certificate, as in RFC 2253
	Fingerprint string `json:"fingerprint,omitempty"` // SHA-256 of its certificate, in hex
	Verified    bool   `json:"verified"`              // a CA of the `tls` handler's has signed that
}

func questionOf(c gateway.Credentials) (a asked) {
	if utf8.Valid(c.ClientID) {
		a.ClientID = string(c.ClientID)
	} else {
		a.ClientIDBytes = c.ClientID
	}
	if utf8.Valid(c.Secret) {
		a.Credential = string(c.Secret)
	} else {
		a.CredentialBytes = c.Secret
	}
	if c.Remote != nil {
		a.RemoteAddr = c.Remote.String()
	}
	if c.TLS != nil {
		a.TLS = &askedTLS{ServerName: c.TLS.ServerName, Verified: len(c.TLS.VerifiedChains) > 0}
		if len(c.TLS.PeerCertificates) > 0 {
			cert := c.TLS.PeerCertificates[0]
			sum := sha256.Sum256(cert.Raw)
			a.TLS.Subject, a.TLS.Fingerprint = cert.Subject.String(), hex.EncodeToString(sum[:])
		}
	}
	return a
}

// host is the address without the port, which a client has anew with each connection.
func (a asked) host() string {
	host, _, err := net.SplitHostPort(a.RemoteAddr)
	if err != nil {
		return a.RemoteAddr
	}
	return host
}

// certificate is what else an answer may depend on.
func (a asked) certificate() string {
	if a.TLS == nil {
		return ""
	}
	return fmt.Sprint(a.TLS.Fingerprint, a.TLS.Verified, a.TLS.ServerName)
}

// maxAnswer is how much of an answer's body is read, so that its connection can be used again: nothing in it means anything.
const maxAnswer = 64 << 10

// ask asks the service.
func (h *HTTP) ask(ctx context.Context, a asked) (ok bool, err error) {
	body, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(h.Timeout))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "caddy-gopr")
	for name, value := range h.Header {
		r.Header.Set(name, value)
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		return true, nil
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return false, nil
	default:
		return false, fmt.Errorf("%s answered %s: 2xx would mean yes, 401 or 403 no", r.URL.Redacted(), resp.Status)
	}
}
