package client

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// certificate makes one for gateway.test, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "gateway.test"},
		DNSNames:     []string{"gateway.test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	addr := listen(t, func(nc net.Conn) {
		(&peer{t: t, nc: tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{cert}})}).serve()
	})

	c, err := Dial(t.Context(), addr, Options{TLS: &tls.Config{RootCAs: pool, ServerName: "gateway.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{0, 1, 1000, 20_000, 65_535} {
		question := bytes.Repeat([]byte{'x'}, size)
		f, err := c.Request(t.Context(), 0x10, question)
		if err != nil || !bytes.Equal(f.Payload, question) {
			t.Errorf("%d bytes: got %d, %v", size, len(f.Payload), err)
		}
	}
	if rtt, err := c.Ping(t.Context()); err != nil || rtt <= 0 {
		t.Errorf("ping: %v, %v", rtt, err)
	}

	var below net.Conn
	dial := func(_ context.Context, network, addr string) (net.Conn, error) {
		nc, err := net.Dial(network, addr)
		below = nc
		return nc, err
	}
	var wrongName x509.HostnameError
	_, err = Dial(t.Context(), addr, Options{TLS: &tls.Config{RootCAs: pool}, Dial: dial})
	if !errors.As(err, &wrongName) || !strings.HasPrefix(err.Error(), "TLS handshake with "+addr) {
		t.Errorf("a certificate for another name: %v", err)
	}
	if _, err := below.Write([]byte{0}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection below is open still: %v", err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := Dial(t.Context(), addr, Options{TLS: &tls.Config{ServerName: "gateway.test", RootCAs: x509.NewCertPool()}}); !errors.As(err, &unknown) {
		t.Errorf("a certificate of nobody known: %v", err)
	}
}

// A peer that accepts and never shakes hands is given up with the dial timeout.
func TestTLSHandshakeTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		n := newNetwork()
		read := make(chan struct{})
		go func() {
			defer close(read)
			n.accept(t).read()
		}()
		_, err := Dial(t.Context(), "peer", Options{Dial: n.Dial, TLS: &tls.Config{}, DialTimeout: 3 * time.Second})
		if got := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || got != 3*time.Second {
			t.Errorf("got %v after %v, want the end after 3s", err, got)
		}
		<-read // the connection was closed
	})
}

func TestDialRefused(t *testing.T) {
	const addr = "127.0.0.1:1" // no port that was free a moment ago: the tests of another package may have it by now
	var op *net.OpError
	if _, err := Dial(t.Context(), addr, Options{}); !errors.As(err, &op) || op.Addr.String() != addr || !errors.Is(err, syscall.ECONNREFUSED) && runtime.GOOS != "windows" {
		t.Errorf("got %v", err)
	}
}

func TestLocalAddr(t *testing.T) {
	local := "127.0.0.1"
	if runtime.GOOS == "linux" {
		local = "127.0.0.2" // elsewhere the loopback has one address
	}
	addr := listen(t, func(nc net.Conn) { (&peer{t: t, nc: nc}).read() })
	c, err := Dial(t.Context(), addr, Options{LocalAddr: netip.MustParseAddr(local)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := c.Status().LocalAddr.(*net.TCPAddr).IP.String(); got != local {
		t.Errorf("connected from %s, want %s", got, local)
	}
	if got := c.Status().RemoteAddr.String(); got != addr {
		t.Errorf("connected to %s, want %s", got, addr)
	}
}

// The kernel is told, and what it does not take is said and no reason to do without a connection.
func TestTCPKeepalive(t *testing.T) {
	addr := listen(t, func(nc net.Conn) { (&peer{t: t, nc: nc}).read() })
	var log bytes.Buffer
	var dialled net.Conn
	c, err := Dial(t.Context(), addr, Options{
		TCPKeepalive: keepalive.TCP{Idle: 7 * time.Second},
		Logger:       slog.New(slog.NewTextHandler(&log, nil)),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := net.Dial(network, addr)
			dialled = nc
			return nc, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := keepIdle(t, dialled); got != 7 && runtime.GOOS == "linux" {
		t.Errorf("the kernel probes after %d s, want 7", got)
	}
	if got := log.String(); strings.Contains(got, "TCP keepalive") {
		t.Errorf("log: %s", got)
	}

	broken, err := Dial(t.Context(), addr, Options{
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := net.Dial(network, addr)
			if err == nil {
				nc.Close() // so nothing can be set
			}
			return nc, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	broken.Close()
	if got := log.String(); !strings.Contains(got, "no TCP keepalive") {
		t.Errorf("log: %s", got)
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := newNetwork()
		n.up = false
		c := start(t, n, Options{Reconnect: Reconnect{Jitter: -1, Attempts: 2}, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))})
		time.Sleep(500 * time.Millisecond)
		n.set(true)
		p := n.accept(t)
		synctest.Wait()
		p.nc.Close()
		synctest.Wait()
		c.Close()
		want := `level=WARN msg="dial failed" addr=peer error="connection refused" failures=1 next_dial_in=1s paused=false
level=INFO msg=connected addr=peer remote=pipe connects=1
level=WARN msg="connection lost" addr=peer error=EOF failures=2 next_dial_in=5m0s paused=true
`
		if got := log.String(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}
