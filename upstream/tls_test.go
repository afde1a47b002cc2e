package upstream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tlsServer is an echo over TLS, which notes whom its clients say they are.
type tlsServer struct {
	config *tls.Config
	mu     sync.Mutex
	seen   []string
}

func (s *tlsServer) serve(nc net.Conn) {
	c := tls.Server(nc, s.config)
	defer c.Close()
	if c.Handshake() != nil {
		return
	}
	name := ""
	if peer := c.ConnectionState().PeerCertificates; len(peer) > 0 {
		name = peer[0].Subject.CommonName
	}
	s.mu.Lock()
	s.seen = append(s.seen, name)
	s.mu.Unlock()
	serveEcho(c)
}

func (s *tlsServer) clients() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// TestTLS: links are secured, under both kinds of pooling, over TCP and over a unix socket; the other side knows whom it serves.
func TestTLS(t *testing.T) {
	ca, clients := newAuthority(t, "ca"), newAuthority(t, "clients")
	cert, key := clients.issue("gateway")
	for _, pooling := range []Pooling{Session, Request} {
		for _, network := range []string{"tcp", "unix"} {
			t.Run(fmt.Sprint(pooling, " ", network), func(t *testing.T) {
				s := &tlsServer{config: &tls.Config{Certificates: []tls.Certificate{ca.pair("backend")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()}}
				c := Config{Pooling: pooling, TLS: &TLS{CA: []string{ca.file}, Cert: cert, Key: key}}
				if network == "tcp" {
					c.Backends = []string{listen(t, s.serve)} // 127.0.0.1 is in the certificate
				} else {
					c.Backends = []string{"unix/" + listenOn(t, "unix", filepath.Join(t.TempDir(), "b"), s.serve)}
					c.TLS.ServerName = "backend"
				}
				g := newGroup(t, c)
				var all sync.WaitGroup
				for i := range 5 {
					c := call(t, g)
					all.Go(func() {
						for n := range 50 {
							c.ask(fmt.Sprint(i, " ", n), strings.Repeat("x", 20_000))
						}
					})
				}
				all.Wait()
				if b := g.Stat().Backends[0]; b.Handshakes == 0 || b.HandshakeErrors != 0 || b.Lost != 0 {
					t.Errorf("%+v", b)
				}
				for _, name := range s.clients() {
					if name != "gateway" {
						t.Errorf("the backend was shown the certificate of %q, want gateway", name)
					}
				}
			})
		}
	}
}

// TestTLSRefused: a backend that is not who it should be gets nothing, and it is a failure of the backend.
func TestTLSRefused(t *testing.T) {
	ca, other := newAuthority(t, "ca"), newAuthority(t, "other")
	for _, tt := range []struct {
		name string
		tls  TLS
		want string
	}{
		{"another CA", TLS{CA: []string{other.file}}, "tls handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		{"another name", TLS{CA: []string{ca.file}, ServerName: "another"}, "tls handshake: tls: failed to verify certificate: x509: certificate is valid for backend, not another"},
		{"the system's CAs", TLS{}, "tls handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &tlsServer{config: &tls.Config{Certificates: []tls.Certificate{ca.pair("backend")}}}
			g := newGroup(t, Config{Backends: []string{listen(t, s.serve)}, TLS: &tt.tls})
			eventually(t, "failure", func() bool { return g.Stat().Backends[0].DialErrors == 1 })
			if b := g.Stat().Backends[0]; b.Handshakes != 1 || b.HandshakeErrors != 1 || b.Failures != 1 || b.Error != tt.want {
				t.Errorf("%+v\nwant %s", b, tt.want)
			}
		})
	}
	t.Run("any certificate will do", func(t *testing.T) {
		s := &tlsServer{config: &tls.Config{Certificates: []tls.Certificate{ca.pair("backend")}}}
		call(t, newGroup(t, Config{Backends: []string{listen(t, s.serve)}, TLS: &TLS{InsecureSkipVerify: true}})).ask("hello")
	})
	t.Run("no TLS at the other end", func(t *testing.T) {
		g := newGroup(t, Config{Backends: []string{listen(t, func(nc net.Conn) { _, _ = nc.Write([]byte("GOPR\x00\x01\x00\x00\x01\x01")) })}, TLS: &TLS{CA: []string{ca.file}}})
		eventually(t, "failure", func() bool { return g.Stat().Backends[0].DialErrors == 1 })
		if b := g.Stat().Backends[0]; !strings.Contains(b.Error, "first record does not look like a TLS handshake") {
			t.Errorf("%+v", b)
		}
	})
}

// TestTLSSilence: a handshake that is never completed is bounded as the dial is.
func TestTLSSilence(t *testing.T) {
	over := make(chan struct{})
	defer close(over)
	g := newGroup(t, Config{
		Backends: []string{listen(t, func(net.Conn) { <-over })}, DialTimeout: 20 * ms, TLS: &TLS{InsecureSkipVerify: true},
	})
	eventually(t, "failure", func() bool { return g.Stat().Backends[0].DialErrors == 1 })
	if b := g.Stat().Backends[0]; b.HandshakeErrors != 1 || !strings.Contains(b.Error, "deadline exceeded") {
		t.Errorf("%+v", b)
	}
}

// TestTLSClose: a group that ends does not wait for a handshake.
func TestTLSClose(t *testing.T) {
	begun, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	g := newGroup(t, Config{Backends: []string{listen(t, func(net.Conn) { close(begun); <-over })}, DialTimeout: time.Hour, TLS: &TLS{InsecureSkipVerify: true}})
	await(t, begun, "connection")
	g.Close()
	if b := g.Stat().Backends[0]; b.Handshakes != 0 {
		t.Errorf("a handshake that the gateway gave up is held against the backend: %+v", b)
	}
}

// TestTLSReload: files that change are read again for the links to come; those that can't be used leave the old ones in force.
func TestTLSReload(t *testing.T) {
	ca, clients := newAuthority(t, "ca"), newAuthority(t, "clients")
	cert, key := clients.issue("old")
	s := &tlsServer{config: &tls.Config{Certificates: []tls.Certificate{ca.pair("backend")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients.pool()}}
	var logged []string
	var mu sync.Mutex
	logger := slog.New(slog.NewTextHandler(writer(func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(string(b), "tls files") {
			logged = append(logged, string(b))
		}
	}), nil))
	g := newGroup(t, Config{Backends: []string{listen(t, s.serve)}, MinLinks: -1, TLS: &TLS{CA: []string{ca.file}, Cert: cert, Key: key}, Logger: logger})
	at := time.Now()
	replace := func(file string, with []byte) {
		t.Helper()
		at = at.Add(time.Second) // a clock of the file system may be coarse
		if err := errors.Join(os.WriteFile(file, with, 0o600), os.Chtimes(file, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(file string) []byte {
		t.Helper()
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	call(t, g).ask("old")
	replace(cert, []byte("half of it"))
	call(t, g).ask("still old")
	call(t, g).ask("still old, and not logged again")
	newCert, newKey := clients.issue("new")
	replace(cert, read(newCert))
	replace(key, read(newKey))
	call(t, g).ask("new")
	equal(t, "clients", s.clients(), []string{"old", "old", "old", "new"})
	mu.Lock()
	defer mu.Unlock()
	if len(logged) != 2 || !strings.Contains(logged[0], "can't be used") || !strings.Contains(logged[1], "read again") {
		t.Errorf("logged %q", logged)
	}
}

type writer func(b []byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// TestTLSMistakes: what is wrong with the settings, and with the files.
func TestTLSMistakes(t *testing.T) {
	ca := newAuthority(t, "ca")
	cert, _ := ca.issue("one")
	_, otherKey := ca.issue("two")
	empty := ca.write("empty", "NOTHING", nil)
	for _, tt := range []struct {
		name    string
		tls     TLS
		backend string
		want    string
	}{
		{"a certificate alone", TLS{Cert: cert}, "a:1", "tls client_auth needs both the certificate and its key"},
		{"a key alone", TLS{Key: otherKey}, "a:1", "tls client_auth needs both the certificate and its key"},
		{"unchecked", TLS{CA: []string{ca.file}, InsecureSkipVerify: true}, "a:1", "tls has both ca and insecure_skip_verify: remove insecure_skip_verify"},
		{"no name", TLS{}, "unix//run/b", "tls to unix//run/b has no name to expect of its certificate: add `server_name backend.example.com`"},
		{"no file", TLS{CA: []string{"/nowhere/ca.crt"}}, "a:1", "tls ca: open /nowhere/ca.crt: no such file or directory"},
		{"no certificate", TLS{CA: []string{empty}}, "a:1", "tls ca: " + empty + " has no certificate: give a PEM file"},
		{"another's key", TLS{Cert: cert, Key: otherKey}, "a:1", "tls client_auth: tls: private key does not match public key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Backends: []string{tt.backend}, TLS: &tt.tls}
			err := c.Validate()
			if err == nil {
				err = tt.tls.Load()
				if _, groupErr := NewGroup(c); groupErr == nil {
					t.Error("a group can be made of it")
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
