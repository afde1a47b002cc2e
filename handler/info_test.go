package handler

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// TestStates: what a connection is said to be doing.
func TestStates(t *testing.T) {
	// with serves one client, to a backend that the test plays; nil: there is none.
	with := func(t *testing.T, edit func(*Handler), do func(c *client, backend func() *client, is func(string))) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, edit)
			live := gateway.AcquireLive(h.settings.name)
			defer gateway.ReleaseLive(live)
			c := onPipe(t, h)
			do(c, func() *client { return &client{Conn: <-backends, t: t} }, func(want string) {
				t.Helper()
				synctest.Wait()
				all := live.Conns()
				if len(all) != 1 {
					t.Fatalf("%d connections", len(all))
				}
				if got := all[0].Info().State; got != want {
					t.Errorf("state %s, want %s", got, want)
				}
			})
		})
	}
	t.Run("active and idle", func(t *testing.T) {
		with(t, nil, func(c *client, backend func() *client, is func(string)) {
			b := backend()
			is(gateway.StateIdle)
			c.send(request)
			b.expect(request)
			is(gateway.StateActive)
			time.Sleep(gateway.ActiveFor + time.Second) // it is still unanswered
			is(gateway.StateActive)
			go b.send(answer)
			c.expect(answer)
			is(gateway.StateActive)
			time.Sleep(gateway.ActiveFor)
			c.send(ping)
			c.expect(pong)
			is(gateway.StateIdle) // a heartbeat is no work
		})
	})
	t.Run("waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := forwarding(t, func() (net.Conn, error) { return nil, errors.New("nobody") }, nil)
			live := gateway.AcquireLive(h.settings.name)
			defer gateway.ReleaseLive(live)
			c := onPipe(t, h)
			c.send(oneWay)
			synctest.Wait()
			i := live.Conns()[0].Info()
			if i.State != gateway.StateWaiting || len(i.Links) != 1 || i.Links[0].Backend != "" || i.Links[0].Group != h.Name {
				t.Errorf("%+v, want it to wait, without a backend", i)
			}
		})
	})
	t.Run("paused", func(t *testing.T) {
		with(t, func(h *Handler) { h.Upstream.Buffer = 1000 }, func(c *client, backend func() *client, is func(string)) {
			backend() // and does not read
			go func() { _, _ = c.Write(bytes.Repeat(oneWay, 1000)) }()
			is(gateway.StatePaused)
		})
	})
	t.Run("closing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, newHandler(t, nil))
			l.End(gateway.ReasonKilled)
			if i := l.Info(); i.State != gateway.StateClosing {
				t.Errorf("state %s, want %s", i.State, gateway.StateClosing)
			}
		})
	})
	t.Run("leaving", func(t *testing.T) {
		ours, theirs := tcpPair(t) // a pipe has no half
		backends := make(chan net.Conn, 1)
		h := forwarding(t, func() (net.Conn, error) {
			a, b := net.Pipe()
			backends <- b
			return a, nil
		}, nil)
		live := gateway.AcquireLive(h.settings.name)
		defer gateway.ReleaseLive(live)
		c := attach(t, h, ours, theirs)
		c.send(request)
		b := <-backends
		expect(t, b, request)
		if err := theirs.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the client to be leaving", func() bool {
			all := live.Conns()
			return len(all) == 1 && all[0].Info().State == gateway.StateLeaving
		})
		_ = b.Close()
	})
}

func TestSubject(t *testing.T) {
	for want, state := range map[string]*tls.ConnectionState{
		"":                   nil,
		"CN=meter-17,O=Home": {PeerCertificates: []*x509.Certificate{{Subject: pkix.Name{CommonName: "meter-17", Organization: []string{"Home"}}}, {}}},
	} {
		if got := subject(state); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := subject(new(tls.ConnectionState)); got != "" {
		t.Errorf("of a client without a certificate: %q", got)
	}
}
