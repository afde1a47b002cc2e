package handler

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// TestUpstreamLost: a client keeps its connection when its backend goes, unless its answer can no longer come.
func TestUpstreamLost(t *testing.T) {
	t.Run("nothing unanswered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			c := onPipe(t, forwarding(t, dial, nil))
			for range 3 {
				backend := <-backends
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					answering(backend)
				}()
				c.send(request, oneWay)
				c.expect(answer)
				time.Sleep(20 * time.Second) // long enough to be no flapping
				_ = backend.Close()
				<-ended
				c.send(ping)
				c.expect(pong)
			}
			backend := <-backends
			c.send(request) // waits for nobody
			expect(t, backend, request)
			_ = backend.Close()
		})
	})
	t.Run("a request unanswered", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, nil)
			c := onPipe(t, h)
			backend := <-backends
			c.send(request)
			expect(t, backend, request)
			_ = backend.Close()
			c.expectEnd()
			closedFor(t, h, reasonUpstreamLost, 1)
			logged := lines.of(h.Name, "connection closed")
			if len(logged) != 1 {
				t.Fatalf("the log says %v, want one line", logged)
			}
			contains(t, logged[0].attrs["error"], "1 requests unanswered by backend:9000")
		})
	})
	t.Run("on_loss close", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, func(h *Handler) { h.Upstream.OnLoss = string(upstream.Close) })
			c := onPipe(t, h)
			backend := <-backends
			c.send(oneWay)
			expect(t, backend, oneWay)
			_ = backend.Close()
			c.expectEnd()
			closedFor(t, h, reasonUpstreamLost, 1)
		})
	})
	t.Run("a backend that answers garbage", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, nil)
			c := onPipe(t, h)
			backend := <-backends
			c.send(request)
			expect(t, backend, request)
			_, _ = backend.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			c.expectEnd()
			closedFor(t, h, reasonUpstreamLost, 1)
			_ = backend.Close()
		})
	})
	t.Run("a backend that hangs up at once, again and again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var dials atomic.Int32
			h := forwarding(t, func() (net.Conn, error) {
				dials.Add(1)
				ours, theirs := net.Pipe()
				go func() {
					_, _, _, _ = readFrame(theirs)
					_ = theirs.Close()
				}()
				return ours, nil
			}, func(h *Handler) { h.IdleTimeout = duration(0) })
			c := onPipe(t, h)
			for {
				if _, err := c.Write(oneWay); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			c.expectEnd()
			closedFor(t, h, reasonUpstream, 1)
			if n := dials.Load(); n > 10 {
				t.Errorf("%d dials for one client, want a few", n)
			}
		})
	})
}

// TestHalfClose: a client sends its requests, closes its sending side, and gets its answers.
func TestHalfClose(t *testing.T) {
	const requests = 500
	for name, handler := range map[string]func(*testing.T) *Handler{
		"echo":     func(t *testing.T) *Handler { return newHandler(t, nil) },
		"upstream": func(t *testing.T) *Handler { return forwarding(t, loopback(t, answering), nil) },
		"a slow backend": func(t *testing.T) *Handler {
			return forwarding(t, loopback(t, func(nc net.Conn) { answering(slowReader{nc, 100}) }), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler(t)
			c := onTCP(t, h)
			c.send(bytes.Repeat(request, requests))
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.expect(bytes.Repeat(answer, requests))
			c.expectEnd()
			closedFor(t, h, reasonEOF, 1)
		})
	}
}

// TestClientVanishes: the reset is noticed, the backend's link goes with it, and nothing is left.
func TestClientVanishes(t *testing.T) {
	gone := make(chan struct{})
	h := forwarding(t, loopback(t, func(nc net.Conn) {
		defer close(gone)
		_, _ = io.Copy(io.Discard, nc)
		_ = nc.Close()
	}), nil)
	c := onTCP(t, h)
	c.send(request, ping)
	c.expect(pong)
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil { // a reset, not an end
		t.Fatal(err)
	}
	_ = c.Close()
	<-c.done
	<-gone
	closedFor(t, h, reasonNetwork, 1)
	if n := metric(t, "connections", h.Name); n != 0 {
		t.Errorf("%v connections left, want 0", n)
	}
}

// TestOthersDoNotNotice: one client's backend dies, one client sends garbage, one never reads; the others go on.
func TestOthersDoNotNotice(t *testing.T) {
	h := forwarding(t, loopback(t, answering), nil)
	good := onTCP(t, h)
	bad, deaf := onTCP(t, h), onTCP(t, h)
	flood := make(chan struct{})
	go func() {
		defer close(flood)
		for {
			if _, err := deaf.Write(bytes.Repeat(request, 1000)); err != nil {
				return
			}
		}
	}()
	bad.send([]byte("GARBAGE"))
	for range 200 {
		good.send(request, ping)
		var answers, pongs int
		for range 2 {
			cmd, _, _, err := readFrame(good)
			if err != nil {
				t.Fatal(err)
			}
			if cmd == 0x10 {
				answers++
			} else {
				pongs++
			}
		}
		if answers != 1 || pongs != 1 {
			t.Fatalf("%d answers and %d pongs, want one each", answers, pongs)
		}
	}
	bad.expectEnd()
	_ = deaf.Close()
	<-flood
}

// TestLastWordsWaitForALink: what a client sends before it closes is sent on, also when its backend is only dialled then, and also when it asks nothing.
func TestLastWordsWaitForALink(t *testing.T) {
	for _, pooling := range []string{"session", "request"} {
		t.Run(pooling, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			none := 0
			h := &Handler{Name: t.Name(), Upstream: &Upstream{
				Backends: []string{l.Addr().String()}, Pooling: pooling, Connections: &Connections{Min: &none, Max: 1},
			}}
			if h.settings, err = h.compile(); err != nil {
				t.Fatal(err)
			}
			ours, theirs := net.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = h.Handle(layer4.WrapConnection(theirs, nil, zap.NewNop()), nil)
			}()
			if _, err := ours.Write(frame(0x10, 0, "last words")); err != nil {
				t.Fatal(err)
			}
			_ = ours.Close()
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			got := make([]byte, len(frame(0x10, 0, "last words")))
			if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, frame(0x10, 0, "last words")) {
				t.Errorf("the backend got %q, %v", got, err)
			}
			<-done
		})
	}
}
