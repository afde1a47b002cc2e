package upstream

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strings"
	"testing"
)

// TestProxyHeader: byte by byte, as the specification has it.
func TestProxyHeader(t *testing.T) {
	addr := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "dev-7", Organization: []string{"Fleet"}}}
	state := func(change func(*tls.ConnectionState)) *tls.ConnectionState {
		s := &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256}
		change(s)
		return s
	}
	const signature = "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
	const over = "\x21\x00\x07TLSv1.3\x23\x00\x16TLS_AES_128_GCM_SHA256" // version and cipher
	v4 := Client{Source: addr("192.0.2.1:40000"), Local: addr("10.0.0.5:7450")}
	const v4Bytes = "\xc0\x00\x02\x01\x0a\x00\x00\x05\x9c\x40\x1d\x1a"
	withTLS := func(s *tls.ConnectionState) *Client { c := v4; c.TLS = s; return &c }
	for _, tt := range []struct {
		name   string
		client *Client
		want   string
	}{
		{"the gateway itself", nil, "\x20\x00\x00\x00"},
		{"IPv4", &v4, "\x21\x11\x00\x0c" + v4Bytes},
		{"IPv6", &Client{Source: addr("[2001:db8::1]:1"), Local: addr("[2001:db8::2]:65535")}, "\x21\x21\x00\x24" +
			"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x01\xff\xff"},
		{"IPv4 on an IPv6 socket", &Client{Source: &net.TCPAddr{IP: net.ParseIP("192.0.2.1").To16(), Port: 40000}, Local: addr("10.0.0.5:7450")}, "\x21\x11\x00\x0c" + v4Bytes},
		{"of two kinds", &Client{Source: addr("192.0.2.1:1"), Local: addr("[2001:db8::2]:2")}, "\x21\x21\x00\x24" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" + "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x01\x00\x02"},
		{"a unix socket", &Client{Source: &net.UnixAddr{}, Local: &net.UnixAddr{}}, "\x21\x00\x00\x00"},
		{"nothing known", &Client{}, "\x21\x00\x00\x00"},
		{
			"TLS", withTLS(state(func(s *tls.ConnectionState) { s.ServerName, s.NegotiatedProtocol = "gw", "gopr/1" })),
			"\x21\x11\x00\x45" + v4Bytes + "\x01\x00\x06gopr/1" + "\x02\x00\x02gw" + "\x20\x00\x28\x01\x00\x00\x00\x01" + over,
		},
		{"a certificate", withTLS(state(func(s *tls.ConnectionState) {
			s.PeerCertificates, s.VerifiedChains = []*x509.Certificate{cert}, [][]*x509.Certificate{{cert}}
		})), "\x21\x11\x00\x52" + v4Bytes + "\x20\x00\x30\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00\x05dev-7\x23\x00\x16TLS_AES_128_GCM_SHA256" + "\xe0\x00\x10CN=dev-7,O=Fleet"},
		{"one that nobody checked, in a resumed session", withTLS(state(func(s *tls.ConnectionState) {
			s.PeerCertificates, s.DidResume = []*x509.Certificate{{}}, true
		})), "\x21\x11\x00\x37" + v4Bytes + "\x20\x00\x28\x05\x00\x00\x00\x01" + over},
		{
			"a name too long", withTLS(state(func(s *tls.ConnectionState) { s.ServerName = strings.Repeat("x", 1025) })),
			"\x21\x11\x00\x37" + v4Bytes + "\x20\x00\x28\x01\x00\x00\x00\x01" + over,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := appendProxy([]byte("before"), tt.client)
			if want := "before" + signature + tt.want; string(got) != want {
				t.Errorf("got %q\nwant %q", got, want)
			}
			if n := bytes.Index(got, []byte("\x00\x0d\x0aQUIT\n")); n < 0 || len(got)-n-8-4 != int(got[n+10])<<8|int(got[n+11]) {
				t.Error("the length is not that of what follows")
			}
		})
	}
}
