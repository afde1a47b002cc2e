package e2e

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// overTLS is a backend behind TLS, and the names of the certificates that its clients showed.
func overTLS(t *testing.T, config *tls.Config, serve serve) (b *backend, shown func() []string) {
	var mu sync.Mutex
	var names []string
	b = newBackend(t, func(nc net.Conn, stopped <-chan struct{}) {
		c := tls.Server(nc, config)
		defer func() { _ = c.Close() }()
		if c.Handshake() != nil {
			return
		}
		mu.Lock()
		for _, cert := range c.ConnectionState().PeerCertificates {
			names = append(names, cert.Subject.CommonName)
		}
		mu.Unlock()
		serve(c, stopped)
	})
	return b, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(names)
	}
}

// TestBackendTLS: links with certificates on both sides, under both kinds of pooling; a certificate that is renewed is shown without a reload; a backend with another
// certificate gets nothing.
func TestBackendTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("gateway")
	good, shown := overTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.pair("backend")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}, echoes)
	bad, _ := overTLS(t, &tls.Config{Certificates: []tls.Certificate{newAuthority(t).pair("backend")}}, echoes)
	handler := func(port, name, backend, more string) string {
		return fmt.Sprintf("${%s} {\nroute {\ngopr %s {\nupstream ${%s} {\nconnections 0\n%s\ntls {\nserver_name backend\nca %s\nclient_auth %s %s\n}\n}\n}\n}\n}\n", port, name, backend, more, ca.file, cert, key)
	}
	c := start(t, config(handler("session", "session", "good", "")+handler("request", "request", "good", "pooling request")+handler("refused", "refused", "bad", "")),
		places{"good": good.addr, "bad": bad.addr})
	for _, name := range []string{"session", "request"} {
		d := dial(t, c.places[name])
		check(t, d.ask(name))
		check(t, d.ask(strings.Repeat("x", 60_000)))
		if n := c.metric("upstream_handshakes_total", name, "backend", good.addr, "outcome", "ok"); n != 1 {
			t.Errorf("%s: %v handshakes, want 1", name, n)
		}
	}

	check(t, dial(t, c.places["refused"]).send(request([]byte("to nobody"))))
	eventually(t, "a refused certificate", func() bool {
		return c.metric("upstream_handshakes_total", "refused", "backend", bad.addr, "outcome", "error") > 0
	})
	eventually(t, "the log says why", func() bool {
		return c.log.contains("tls handshake: tls: failed to verify certificate: x509: certificate signed by unknown authority")
	})

	newCert, newKey := ca.issue("renewed")
	later := time.Now().Add(time.Second)
	check(t, errors.Join(os.Rename(newCert, cert), os.Rename(newKey, key), os.Chtimes(cert, later, later)))
	check(t, dial(t, c.places["session"]).ask("renewed"))
	if got, want := shown(), []string{"gateway", "gateway", "renewed"}; !slices.Equal(got, want) {
		t.Errorf("the backend was shown %q, want %q", got, want)
	}
}

// TestBackendTLSFiles: a configuration whose files are not there is refused, with the name of the file.
func TestBackendTLSFiles(t *testing.T) {
	c := start(t, config("${gopr} {\nroute {\ngopr {\nrespond echo\n}\n}\n}"), nil)
	err := c.load(config("${gopr} {\nroute {\ngopr {\nupstream 127.0.0.1:9 {\ntls {\nca /nowhere/ca.crt\n}\n}\n}\n}\n}"))
	if err == nil || !strings.Contains(err.Error(), "tls ca: open /nowhere/ca.crt: no such file or directory") {
		t.Errorf("got %v", err)
	}
	check(t, dial(t, c.places["gopr"]).ask("the old configuration is still there"))
}
