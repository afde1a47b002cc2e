package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestDialerArguments(t *testing.T) {
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		set  func(*dialArgs)
		want string // a part of the error; "": none
	}{
		{"an address", func(*dialArgs) {}, ""},
		{"IPv6", func(a *dialArgs) { a.addr = "[2001:db8::1]:7450" }, ""},
		{"this host", func(a *dialArgs) { a.addr = ":7450" }, ""},
		{"a port by name", func(a *dialArgs) { a.addr = "localhost:https" }, ""},
		{"no port", func(a *dialArgs) { a.addr = "localhost" }, `address "localhost" is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450`},
		{"an empty port", func(a *dialArgs) { a.addr = "localhost:" }, "is not host:port"},
		{"IPv6 without brackets", func(a *dialArgs) { a.addr = "2001:db8::1:7450" }, "is not host:port"},
		{"port 0", func(a *dialArgs) { a.addr = "localhost:0" }, `port 0 of "localhost:0" is out of range: give 1 to 65535`},
		{"port 65536", func(a *dialArgs) { a.addr = "localhost:65536" }, "port 65536"},
		{"no time", func(a *dialArgs) { a.timeout = 0 }, "--timeout 0s: give a time such as 5s"},
		{"a negative time", func(a *dialArgs) { a.timeout = -time.Second }, "--timeout -1s: give a time such as 5s"},
		{"no such CA", func(a *dialArgs) { a.ca = "testdata/none.pem" }, "--ca: open testdata/none.pem: no such file or directory"},
		{"no certificate", func(a *dialArgs) { a.ca = noPEM }, "--ca: there is no certificate in " + noPEM + ": want one in PEM"},
		{"whom to trust, twice", func(a *dialArgs) { a.ca, a.insecure = noPEM, true }, "--ca says whom to trust, and --insecure to trust anyone: leave out one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := dialing("127.0.0.1:7450")
			tt.set(&a)
			_, err := newDialer(a)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Each of the TLS flags asks for TLS; without any there is none.
func TestDialerTLS(t *testing.T) {
	ca := newAuthority(t)
	tests := []struct {
		name string
		addr string
		set  func(*dialArgs)
		want string // the name to verify; "-": no TLS
	}{
		{"none", "10.0.0.1:7450", func(*dialArgs) {}, "-"},
		{"tls", "10.0.0.1:7450", func(a *dialArgs) { a.tls = true }, "10.0.0.1"},
		{"tls to this host", ":7450", func(a *dialArgs) { a.tls = true }, "localhost"},
		{"server-name", "10.0.0.1:7450", func(a *dialArgs) { a.serverName = "gateway" }, "gateway"},
		{"ca", "host:7450", func(a *dialArgs) { a.ca = ca.file }, "host"},
		{"insecure", "host:7450", func(a *dialArgs) { a.insecure = true }, "host"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := dialing(tt.addr)
			tt.set(&a)
			d, err := newDialer(a)
			if err != nil {
				t.Fatal(err)
			}
			got := "-"
			if d.tls != nil {
				got = d.tls.ServerName
				if d.tls.InsecureSkipVerify != a.insecure || (d.tls.RootCAs != nil) != (a.ca != "") {
					t.Errorf("trusts anyone: %v, has a CA: %v", d.tls.InsecureSkipVerify, d.tls.RootCAs != nil)
				}
			}
			if got != tt.want {
				t.Errorf("verifies %q, want %q", got, tt.want)
			}
		})
	}
}

func TestConnectTLS(t *testing.T) {
	ca, other := newAuthority(t, "gateway"), newAuthority(t)
	ln, addr := ca.listenTLS(t)
	servePeer(t, ln, silent)
	plain := startPeer(t, func(nc net.Conn) {
		_, _ = nc.Write([]byte("welcome, and no TLS"))
		silent(nc)
	})
	closing := startPeer(t, func(nc net.Conn) {
		_, _ = nc.Read(make([]byte, 1<<10))
	})

	tests := []struct {
		name string
		addr string
		set  func(*dialArgs)
		want string // a part of the error; "": none
	}{
		{"the CA is trusted", addr, func(a *dialArgs) { a.ca = ca.file }, ""},
		{"any is trusted", addr, func(a *dialArgs) { a.insecure = true }, ""},
		{"a name in the certificate", addr, func(a *dialArgs) { a.ca, a.serverName = ca.file, "gateway" }, ""},
		{"the system's CAs", addr, func(a *dialArgs) { a.tls = true }, "(give its CA's certificate with --ca FILE, or --insecure to trust anyone)"},
		{"another CA", addr, func(a *dialArgs) { a.ca = other.file }, "(give its CA's certificate with --ca FILE, or --insecure to trust anyone)"},
		{"another name", addr, func(a *dialArgs) { a.ca, a.serverName = ca.file, "backend" }, "(give the name that the certificate is for with --server-name)"},
		{"a peer without TLS", plain, func(a *dialArgs) { a.insecure = true }, "(the peer does not speak TLS there: leave out --tls)"},
		{"a peer that closes", closing, func(a *dialArgs) { a.insecure = true }, "the peer closed the connection (perhaps it does not speak TLS there"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := dialing(tt.addr)
			tt.set(&a)
			d, err := newDialer(a)
			if err != nil {
				t.Fatal(err)
			}
			nc, err := d.connect(t.Context())
			if err == nil {
				nc.Close()
			}
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The timeout covers the handshake, too: a peer that accepts and says nothing.
func TestConnectTimeout(t *testing.T) {
	a := dialing(startPeer(t, silent))
	a.tls, a.timeout = true, 50*time.Millisecond
	d, err := newDialer(a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.connect(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestExplain(t *testing.T) {
	magic := func(offset int, got uint64) error {
		return &net.OpError{Op: "read", Err: &wire.RejectError{Reason: wire.ReasonMagic, Offset: offset, Got: got, Want: 'G'}}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.EADDRNOTAVAIL, "(no local port is free for this address: open fewer connections)"},
		{os.NewSyscallError("socket", syscall.EMFILE), "(raise the limit with ulimit -n, or open fewer connections)"},
		{magic(0, tlsAlert), "(the peer speaks TLS there: add --tls)"},
		{magic(0, 'H'), ""},
		{magic(1, tlsAlert), ""},
		{syscall.ECONNREFUSED, ""},
	} {
		got := explain(tt.err)
		if !errors.Is(got, tt.err) || tt.want == "" && got != tt.err || !strings.HasSuffix(got.Error(), tt.want) {
			t.Errorf("explain(%v) = %v, want it to end with %q", tt.err, got, tt.want)
		}
	}
}
