package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// output is what a command has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// terminal returns what a command reads from and writes to.
func terminal(input string) (std stdio, out, err *output) {
	out, err = new(output), new(output)
	return stdio{in: strings.NewReader(input), out: out, err: err}, out, err
}

// nobody is an address where nobody listens: a port that the tests of another package may not get meanwhile, as one that was free a moment ago.
const nobody = "127.0.0.1:1"

// listen returns a listener on the loopback, with its address.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, ln.Addr().String()
}

// startEcho runs what `caddy gopr echo` runs, and returns its address.
func startEcho(t *testing.T) string {
	t.Helper()
	ln, addr := listen(t)
	serveEcho(t, ln)
	return addr
}

func serveEcho(t *testing.T, ln net.Listener) *echoServer {
	t.Helper()
	e := newEchoServer(false, nil)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.serve(ctx, ln)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return e
}

// startPeer runs a peer that does on each connection what serve does, and returns its address.
func startPeer(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, addr := listen(t)
	servePeer(t, ln, serve)
	return addr
}

func servePeer(t *testing.T, ln net.Listener, serve func(net.Conn)) {
	t.Helper()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer nc.Close()
				serve(nc)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		all.Wait()
	})
}

// each calls f with each frame that comes, until the connection ends.
func each(nc net.Conn, f func(*wire.Frame)) {
	frames := newFrameReader(nc, plain())
	var frame wire.Frame
	for frames.next(&frame) == nil {
		f(&frame)
	}
}

// silent is a peer that reads, and never answers.
func silent(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

// authority is a CA, and a certificate that it has signed.
type authority struct {
	file   string // the CA's certificate
	server *tls.Config
}

// newAuthority makes a CA, and has it sign a certificate for 127.0.0.1 and for names.
func newAuthority(t *testing.T, names ...string) authority {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	template := func(serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "gopr test"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
	}
	sign := func(c, parent *x509.Certificate, pub, priv any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, pub, priv)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}

	caKey, caCert := key(), template(1)
	caCert.IsCA, caCert.BasicConstraintsValid = true, true
	caDER := sign(caCert, caCert, caKey.Public(), caKey)

	leafKey, leaf := key(), template(2)
	leaf.DNSNames, leaf.IPAddresses = names, []net.IP{net.IPv4(127, 0, 0, 1)}
	leafDER := sign(leaf, caCert, leafKey.Public(), caKey)

	a := authority{
		file:   filepath.Join(t.TempDir(), "ca.pem"),
		server: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}}},
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// listenTLS returns a listener whose connections have done their handshake.
func (a authority) listenTLS(t *testing.T) (net.Listener, string) {
	ln, addr := listen(t)
	return shaken{tls.NewListener(ln, a.server)}, addr
}

type shaken struct{ net.Listener }

func (ln shaken) Accept() (net.Conn, error) {
	for {
		nc, err := ln.Listener.Accept()
		if err != nil {
			return nil, err
		}
		_ = nc.SetDeadline(time.Now().Add(10 * time.Second))
		if nc.(*tls.Conn).Handshake() == nil {
			_ = nc.SetDeadline(time.Time{})
			return nc, nil
		}
		nc.Close()
	}
}

// dialing are the arguments of a command that dials addr.
func dialing(addr string) dialArgs { return dialArgs{addr: addr, timeout: 10 * time.Second} }

// wantCode fails the test unless the command ended so. part is what the error has to say; "": nothing.
func wantCode(t *testing.T, got int, err error, want int, part string) {
	t.Helper()
	if got != want {
		t.Errorf("exit code %d, want %d (error: %v)", got, want, err)
	}
	switch {
	case part == "" && err != nil:
		t.Errorf("error %q, want none", err)
	case part != "" && (err == nil || !strings.Contains(err.Error(), part)):
		t.Errorf("error %v, want it to contain %q", err, part)
	}
}

// wantText fails the test unless got is want, line for line.
func wantText(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// frame is a GOPR frame.
func frame(cmd, flag uint8, payload string) string {
	return string(wire.AppendFrame(nil, cmd, flag, []byte(payload)))
}
