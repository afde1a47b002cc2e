package handler

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// guarded has a guard, and behind it what way is made of, serve one end of a pipe.
func guarded(t *testing.T, h *Handler, way func(cx *layer4.Connection) error) (theirs net.Conn, done chan error) {
	t.Helper()
	g := &Guard{Name: h.Name, app: new(gateway.App)}
	g.app.Door(h.Name, &h.settings.rules)
	ours, theirs := net.Pipe()
	done = make(chan error, 1)
	go func() {
		defer func() { _ = ours.Close() }()
		done <- g.Handle(layer4.WrapConnection(ours, nil, zap.NewNop()), layer4.HandlerFunc(way))
	}()
	t.Cleanup(func() { _ = theirs.Close() })
	return theirs, done
}

// reads is a handshake: it takes so many bytes.
func reads(n int, then func(*layer4.Connection) error) func(*layer4.Connection) error {
	return func(cx *layer4.Connection) error {
		for b := make([]byte, 1); n > 0; n-- {
			if _, err := cx.Read(b); err != nil {
				return err
			}
		}
		return then(cx)
	}
}

func TestGuard(t *testing.T) {
	five := limited(Limits{Connections: 2})
	t.Run("a client that gets there is let in once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, five)
			theirs, done := guarded(t, h, reads(3, func(cx *layer4.Connection) error { return h.Handle(cx, nil) }))
			if _, err := theirs.Write([]byte("hi!")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second) // longer than the handshake may take: it is over
			if _, err := theirs.Write(request); err != nil {
				t.Fatal(err)
			}
			expect(t, theirs, answer)
			if n := metric(t, "connections", h.Name); n != 1 {
				t.Errorf("%v connections, want 1", n)
			}
			_ = theirs.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
			closedFor(t, h, reasonEOF, 1)
			if n := metric(t, "connections_opened_total", h.Name); n != 1 {
				t.Errorf("%v connections opened, want 1", n)
			}
		})
	})
	t.Run("one that stays in its handshake", func(t *testing.T) {
		for _, says := range []string{"", "hi"} {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, five)
				began := time.Now()
				theirs, done := guarded(t, h, reads(3, func(*layer4.Connection) error { return nil }))
				go func() { _, _ = theirs.Write([]byte(says)) }()
				synctest.Wait()
				if n := metric(t, "connections", h.Name); n != 1 {
					t.Errorf("%v connections, want 1: it is counted before it is there", n)
				}
				if err := <-done; err != nil {
					t.Errorf("%v: an error is an ERROR line of Caddy's", err)
				}
				if took := time.Since(began); took != 5*time.Second {
					t.Errorf("it was given up after %v, want 5s", took)
				}
				closedFor(t, h, reasonHandshakeTimeout, 1)
			})
		}
	})
	t.Run("one whose handshake fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, five)
			theirs, done := guarded(t, h, reads(3, func(*layer4.Connection) error { return errors.New("tls: no") }))
			_, _ = theirs.Write([]byte("hi!"))
			if err := <-done; err != nil {
				t.Errorf("%v: an error is an ERROR line of Caddy's", err)
			}
			closedFor(t, h, reasonHandshakeFailed, 1)
			if n := metric(t, "connections", h.Name); n != 0 {
				t.Errorf("%v connections, want none", n)
			}
		})
	})
	t.Run("one too many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, five)
			stays := reads(3, func(*layer4.Connection) error { return nil })
			guarded(t, h, stays)
			guarded(t, h, stays)
			synctest.Wait()
			_, done := guarded(t, h, func(*layer4.Connection) error {
				t.Error("a handshake was begun with it")
				return nil
			})
			if err := <-done; err != nil {
				t.Error(err)
			}
			closedFor(t, h, reasonConnections, 1)
			time.Sleep(5 * time.Second)
			synctest.Wait()
			closedFor(t, h, reasonHandshakeTimeout, 2)
		})
	})
	t.Run("one that goes on in another route", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, other := newHandler(t, five), newHandler(t, nil)
			var cx *layer4.Connection
			theirs, done := guarded(t, h, func(in *layer4.Connection) error {
				ours := in.Conn // the guard's goroutine closes it when Handle has returned
				in.Conn = kept{ours}
				cx = in
				return nil
			})
			if err := <-done; err != nil {
				t.Error(err)
			}
			_ = theirs.Close()
			served := make(chan error)
			a, b := net.Pipe()
			cx.Conn = a
			go func() { served <- other.Handle(cx, nil) }()
			synctest.Wait()
			if h, o := metric(t, "connections", h.Name), metric(t, "connections", other.Name); h != 0 || o != 1 {
				t.Errorf("%v connections at the handler that was guarded and %v at the one that was reached, want 0 and 1", h, o)
			}
			_ = b.Close()
			if err := <-served; err != nil {
				t.Error(err)
			}
		})
	})
}

// kept is a connection that others can't close.
type kept struct{ net.Conn }

func (kept) Close() error { return nil }
