package handler

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"
)

func TestLike(t *testing.T) {
	tests := []struct {
		pattern, s string
		want       bool
	}{
		{"meter-7", "meter-7", true},
		{"meter-7", "meter-77", false},
		{"meter-7", "Meter-7", false},
		{"*", "", true},
		{"*", "anything", true},
		{"meter-*", "meter-", true},
		{"meter-*", "meter-1", true},
		{"meter-*", "ameter-1", false},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.example.com.evil", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "abc", true},
		{"a*b*c", "acb", false},
		{"a*b*", "a--b--", true},
		{"a*b*", "a--", false},
		{"a**b", "ab", true},
	}
	for _, tt := range tests {
		if got := like(tt.pattern, tt.s); got != tt.want {
			t.Errorf("%q like %q: %v, want %v", tt.s, tt.pattern, got, tt.want)
		}
	}
}

// meter is a certificate that fits some of the subjects.
var meter = &x509.Certificate{
	Subject:  pkix.Name{CommonName: "meter-1", Organization: []string{"Waterworks", "Field"}, OrganizationalUnit: []string{"North"}},
	DNSNames: []string{"meter-1.example.com"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "example.com", Path: "/meter/1"}}, IPAddresses: []net.IP{net.IPv4(10, 0, 0, 1)},
	EmailAddresses: []string{"meter-1@example.com"},
}

func shows(cert *x509.Certificate) *tls.ConnectionState {
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
}

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		r    role
		want bool
	}{
		{role{cn: "meter-*"}, true},
		{role{cn: "pump-*"}, false},
		{role{o: "Field"}, true},
		{role{o: "Waterworks", ou: "N*"}, true},
		{role{o: "Waterworks", ou: "South"}, false},
		{role{cn: "meter-1,O=Waterworks"}, false}, // parts are compared each by itself
		{role{san: "*.example.com"}, true},
		{role{san: "spiffe://example.com/meter/*"}, true},
		{role{san: "10.0.0.1"}, true},
		{role{san: "*@example.com"}, true},
		{role{cn: "meter-*", san: "*.example.org"}, false},
	} {
		if got := tt.r.fits(meter); got != tt.want {
			t.Errorf("%v fits: %v, want %v", tt.r, got, tt.want)
		}
	}
}

func TestMay(t *testing.T) {
	h := parse(t, "gopr {\nrespond echo\nrequire tls_client {\nsubject CN=meter-1 {\ncommands 0x10\n}\nsubject CN=meter-*\n}\n}")
	r := compiled(t, h).require
	unverified := shows(meter)
	unverified.VerifiedChains = nil
	for name, state := range map[string]*tls.ConnectionState{
		"no TLS": nil, "no certificate": {}, "not verified": unverified, "another": shows(&x509.Certificate{Subject: pkix.Name{CommonName: "pump"}}),
	} {
		if _, err := r.may(state); !errors.Is(err, errUnauthorized) {
			t.Errorf("%s: %v, want %v", name, err, errUnauthorized)
		}
	}
	if c, err := r.may(shows(meter)); err != nil || c.String() != "0x10" {
		t.Errorf("the first that fits gives %v, %v; want 0x10", c, err)
	}
	if c, err := r.may(shows(&x509.Certificate{Subject: pkix.Name{CommonName: "meter-2"}})); err != nil || c != nil {
		t.Errorf("a subject without commands gives %v, %v; want all", c, err)
	}
	anybody := compiled(t, parse(t, "gopr {\nrespond echo\nrequire tls_client\n}")).require
	if c, err := anybody.may(shows(meter)); err != nil || c != nil {
		t.Errorf("any verified certificate gives %v, %v; want all", c, err)
	}
	if _, err := anybody.may(unverified); err == nil {
		t.Error("one that is not verified is accepted")
	}
}

// TestRequire: a client gets no further than its certificate.
func TestRequire(t *testing.T) {
	serve := func(t *testing.T, h *Handler, state *tls.ConnectionState) *client {
		ours, theirs := net.Pipe()
		c := &client{Conn: theirs, t: t, done: make(chan struct{})}
		go func() {
			defer close(c.done)
			defer func() { _ = ours.Close() }()
			cx := layer4.WrapConnection(ours, nil, zap.NewNop())
			if state != nil {
				cx.SetVar(layer4.TLSConnectionStatesVarName, []*tls.ConnectionState{state})
			}
			c.err = h.Handle(cx, nil)
		}()
		t.Cleanup(func() { _ = c.Close(); <-c.done })
		return c
	}
	required := func(t *testing.T) *Handler {
		return newHandler(t, func(h *Handler) {
			h.Require = &Require{TLSClient: &TLSClient{Subjects: []*Subject{{CommonName: "meter-*", Commands: []string{"0x10"}}}}}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := required(t)
			serve(t, h, nil).expectEnd()
			closedFor(t, h, reasonUnauthorized, 1)
		})
	})
	t.Run("a meter", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := required(t)
			c := serve(t, h, shows(meter))
			c.send(ping)
			c.expect(pong)
			c.send(request)
			c.expect(answer)
			go func() { _, _ = c.Write(oneWay) }() // command 0x20
			c.expectEnd()
			closedFor(t, h, "command", 1)
		})
	})
	t.Run("one that new settings no longer accept", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, newHandler(t, nil))
			l.leases.tls, l.s = shows(meter), required(t).settings
			if rest, _ := l.feed(bytes.Repeat(request, 3)); len(rest) > 0 {
				t.Fatalf("%d bytes are left", len(rest))
			}
			stricter := newHandler(t, func(h *Handler) {
				h.Require = &Require{TLSClient: &TLSClient{Subjects: []*Subject{{CommonName: "pump-*"}}}}
			})
			l.s = stricter.settings
			if _, next := l.feed(request); next == 0 || l.ending(nil).reason != reasonUnauthorized {
				t.Errorf("it goes on: %v, %v", next, l.ending(nil))
			}
		})
	})
}

func TestRequireMistakes(t *testing.T) {
	for in, want := range map[string]string{
		"require":                                    "require takes one word, tls_client, and a block: write it as `require tls_client { subject CN=meter-* { … } }`, at Testfile:2",
		"require password":                           "require takes one word, tls_client",
		"require tls_client {\nsubjects a\n}":        `require tls_client has no option "subjects"; it has subject, at Testfile:3`,
		"require tls_client {\nsubject meter\n}":     "subject: \"meter\" is no pattern of CN, O, OU or SAN: write it as `subject CN=meter-* { … }`, at Testfile:3",
		"require tls_client {\nsubject CN=a CN=b\n}": "subject: CN is given twice: once is enough, at Testfile:3",
		"require tls_client {\nsubject\n}":           "require tls_client: a subject without a pattern fits nobody: give it one, as in `subject CN=meter-* { … }`, or `subject CN=*` for whoever has a name",
		"commands 0x10\nrequire tls_client {\nsubject CN=a OU=b {\ncommands 0x11\n}\n}": "require tls_client: subject CN=a OU=b: its commands 0x11 are not all among those that `commands` allows, 0x10: add them there, or leave them out here",
		"require tls_client {\nsubject CN=a {\ncommands 0x100\n}\n}":                    "require tls_client: subject CN=a: command 0x100: the command field of gopr says at most 0xFF",
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser("gopr {\n" + in + "\nrespond echo\n}"))
		if err == nil {
			t.Errorf("%q: no error", in)
			continue
		}
		contains(t, err.Error(), want)
	}
}
