package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// free is an address that nobody listens on, with a port from below those that systems give out by themselves: so nobody gets it while it is free for a moment.
func free(t *testing.T, host string) (addr, port string) {
	t.Helper()
	var err error
	for range 1000 {
		port = fmt.Sprint(10000 + rand.IntN(22000))
		addr = net.JoinHostPort(host, port)
		var ln net.Listener
		if ln, err = net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return addr, port
		}
	}
	t.Skipf("%s: %v", host, err)
	return "", ""
}

func mustListen(t *testing.T, ctx context.Context, host, ports string, offset uint) net.Listener {
	t.Helper()
	l, err := listen(ctx, "gopr", host, ports, offset, net.ListenConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ln := l.(net.Listener)
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// meet dials the address, and returns both ends.
func meet(t *testing.T, ln net.Listener, addr string) {
	t.Helper()
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	served(t, ln, client)
}

// served accepts a connection and says something over it.
func served(t *testing.T, ln net.Listener, client net.Conn) {
	t.Helper()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	if _, err := server.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(client, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func refused(t *testing.T, addr string) {
	t.Helper()
	if nc, err := net.Dial("tcp", addr); err == nil {
		_ = nc.Close()
		t.Errorf("%s still listens", addr)
	}
}

func TestListener(t *testing.T) {
	for _, tt := range []struct{ name, host string }{{"IPv4", "127.0.0.1"}, {"IPv6", "::1"}} {
		t.Run(tt.name, func(t *testing.T) {
			addr, port := free(t, tt.host)
			first := mustListen(t, t.Context(), tt.host, port, 0)
			meet(t, first, addr)
			if got := first.Addr().String(); got != addr {
				t.Errorf("its address is %s, want %s", got, addr)
			}
			second := mustListen(t, t.Context(), tt.host, port, 0)
			_ = first.Close()
			_ = first.Close() // Caddy may do it twice: by its context, too
			meet(t, second, addr)
			if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a closed listener accepts: %v", err)
			}
			_ = second.Close()
			refused(t, addr)
			meet(t, mustListen(t, t.Context(), tt.host, port, 0), addr) // anew
		})
	}
}

// TestListenerHandsOver: what has come in before the old configuration stopped, and that did not accept, is the new one's.
func TestListenerHandsOver(t *testing.T) {
	addr, port := free(t, "127.0.0.1")
	before := mustListen(t, t.Context(), "127.0.0.1", port, 0)
	var clients []net.Conn
	for range 10 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		clients = append(clients, nc)
	}
	after := mustListen(t, t.Context(), "127.0.0.1", port, 0)
	_ = before.Close()
	for _, nc := range clients {
		served(t, after, nc)
	}
}

// TestListenerPortRange: each port of a range is a socket of its own.
func TestListenerPortRange(t *testing.T) {
	_, port := free(t, "127.0.0.1")
	first := mustListen(t, t.Context(), "127.0.0.1", port+"-65535", 0)
	if want := net.JoinHostPort("127.0.0.1", port); first.Addr().String() != want {
		t.Errorf("the first is %s, want %s", first.Addr(), want)
	}
	second, err := listen(t.Context(), "gopr", "127.0.0.1", port+"-65535", 1, net.ListenConfig{})
	if err != nil {
		t.Skip(err) // somebody has the port
	}
	defer func() { _ = second.(net.Listener).Close() }()
	meet(t, second.(net.Listener), second.(net.Listener).Addr().String())
}

// TestListenerEndsWithItsConfiguration: caddy-l4 does not close the listeners of a configuration that did not start.
func TestListenerEndsWithItsConfiguration(t *testing.T) {
	addr, port := free(t, "127.0.0.1")
	runs := mustListen(t, t.Context(), "127.0.0.1", port, 0)
	ctx, cancel := context.WithCancel(t.Context())
	rejected := mustListen(t, ctx, "127.0.0.1", port, 0)
	cancel()
	if _, err := rejected.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it accepts: %v", err)
	}
	for range 10 {
		meet(t, runs, addr)
	}
}

func TestListenerRefuse(t *testing.T) {
	addr, port := free(t, "127.0.0.1")
	ln := mustListen(t, t.Context(), "127.0.0.1", port, 0)
	meet(t, ln, addr)
	refuse()
	refused(t, addr)
	if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("it accepts: %v", err)
	}
	_ = ln.Close()
}

func TestListenerMistakes(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, tt := range []struct{ name, host, ports, says string }{
		{"no port", "127.0.0.1", "", "gopr/:7450"},
		{"no number", "127.0.0.1", "https", "https"},
		{"a port that is taken", "127.0.0.1", port, "in use"},
		{"no address of ours", "203.0.113.1", "7450", "203.0.113.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := listen(t.Context(), "gopr", tt.host, tt.ports, 0, net.ListenConfig{})
			if err == nil {
				_ = ln.(net.Listener).Close()
				t.Fatal("it listens")
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("the error is %q, want it to name %q", err, tt.says)
			}
		})
	}
}

// failing is a listener that fails so often before each connection.
type failing struct {
	net.Listener
	fail   []int
	err    error
	closed chan struct{}
}

func (f *failing) Accept() (net.Conn, error) {
	switch {
	case len(f.fail) == 0:
		<-f.closed
		return nil, net.ErrClosed
	case f.fail[0] > 0:
		f.fail[0]--
		return nil, f.err
	}
	f.fail = f.fail[1:]
	ours, _ := net.Pipe()
	return ours, nil
}

func (f *failing) Close() error {
	close(f.closed)
	return nil
}

func (*failing) Addr() net.Addr { return new(net.TCPAddr) }

// TestListenerAcceptsAgain: an accept that fails is tried again, later and later; one that works starts that over.
func TestListenerAcceptsAgain(t *testing.T) {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, errors.New("any other")} {
		synctest.Test(t, func(t *testing.T) {
			s := &socket{
				Listener: &failing{fail: []int{0, 3, 1, 12}, err: errno, closed: make(chan struct{})},
				users:    1, conns: make(chan net.Conn), unused: make(chan struct{}), done: make(chan struct{}),
			}
			go s.accept()
			l := &listener{socket: s, closed: make(chan struct{}), forget: func() bool { return true }}
			for i, want := range []time.Duration{
				0,
				(5 + 10 + 20) * time.Millisecond,
				5 * time.Millisecond,
				(5+10+20+40+80+160+320+640)*time.Millisecond + 4*time.Second,
			} {
				began := time.Now()
				nc, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				_ = nc.Close()
				if took := time.Since(began); took != want {
					t.Errorf("%v, connection %d: accepted after %v, want %v", errno, i, took, want)
				}
			}
			_ = l.Close()
		})
	}
}

// TestListenerEndsWhileItWaits: closing it does not wait for the next attempt.
func TestListenerEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &socket{
			Listener: &failing{fail: []int{1 << 30}, err: syscall.EMFILE, closed: make(chan struct{})},
			users:    1, conns: make(chan net.Conn), unused: make(chan struct{}), done: make(chan struct{}),
		}
		go s.accept()
		time.Sleep(time.Minute)
		began := time.Now()
		_ = (&listener{socket: s, closed: make(chan struct{}), forget: func() bool { return true }}).Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("closing took %v", took)
		}
	})
}
