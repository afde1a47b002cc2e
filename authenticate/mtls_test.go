package authenticate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "authority"}})
	return a
}

// sign makes a certificate; the first is its own.
func (a *authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func pair(cert *x509.Certificate, key *ecdsa.PrivateKey) tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// handshake is what a server that trusts the authority sees of a client with a certificate, or without.
func (a *authority) handshake(mode tls.ClientAuthType, client ...tls.Certificate) *tls.ConnectionState {
	a.t.Helper()
	cert, key := a.sign(&x509.Certificate{DNSNames: []string{"gateway"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	trusted := x509.NewCertPool()
	trusted.AddCert(a.cert)
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() {
		done <- tls.Client(theirs, &tls.Config{RootCAs: trusted, ServerName: "gateway", Certificates: client}).Handshake()
	}()
	c := tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{pair(cert, key)}, ClientCAs: trusted, ClientAuth: mode, SessionTicketsDisabled: true})
	if err := c.Handshake(); err != nil {
		a.t.Fatal(err)
	}
	if err := <-done; err != nil {
		a.t.Fatal(err)
	}
	state := c.ConnectionState()
	return &state
}

func TestMTLS(t *testing.T) {
	ca := newAuthority(t)
	cert := pair(ca.sign(&x509.Certificate{
		Subject:        pkix.Name{CommonName: "Device 17"},
		DNSNames:       []string{"device-17.example.com"},
		EmailAddresses: []string{"device17@example.com"},
		URIs:           []*url.URL{{Scheme: "urn", Opaque: "dev:mac:0024befffe804ff1"}},
		IPAddresses:    []net.IP{net.IPv4(192, 0, 2, 17)},
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}))
	nameless := pair(ca.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
	stranger := newAuthority(t)
	forged := pair(stranger.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Device 17"}}))

	good := ca.handshake(tls.RequireAndVerifyClientCert, cert)
	for _, tt := range []struct {
		match, id string
		tls       *tls.ConnectionState
		want      error
	}{
		{"", "Device 17", good, nil},
		{"any", "device-17.example.com", good, nil},
		{"cn", "Device 17", good, nil},
		{"cn", "device-17.example.com", good, no},
		{"san", "Device 17", good, no},
		{"san", "device-17.example.com", good, nil},
		{"san", "device17@example.com", good, nil},
		{"san", "urn:dev:mac:0024befffe804ff1", good, nil},
		{"san", "192.0.2.17", good, nil},
		{"", "device 17", good, no},
		{"", "Device 17\x00", good, no},
		{"", "Device 18", good, no},
		{"", "Device 17", nil, no},
		{"", "Device 17", ca.handshake(tls.NoClientCert), no},
		{"", "Device 17", ca.handshake(tls.VerifyClientCertIfGiven), no},
		{"", "Device 17", ca.handshake(tls.RequireAnyClientCert, forged), no},
		{"", "Device 17", ca.handshake(tls.RequireAndVerifyClientCert, nameless), no},
	} {
		says(t, mustLoad(t, "mtls", strings.TrimSpace("mtls "+tt.match)), gateway.Credentials{ClientID: []byte(tt.id), TLS: tt.tls}, tt.want)
	}
}

func TestMTLSThatCannotBe(t *testing.T) {
	for _, tt := range []struct{ segment, says string }{
		{"mtls dn", `unknown match "dn": cn, san or any`},
		{"mtls cn san", "one argument too many"},
		{"mtls {\ncn\n}", "takes no block"},
	} {
		if _, err := load(t, "mtls", tt.segment); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, not %q", tt.segment, err, tt.says)
		}
	}
}
