package handler

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

// drivers are those that a plain TCP connection may have.
var drivers = map[string]bool{"event loop": true, "goroutine": false}

// TestVisitOutlivesHandle: Caddy has a plain TCP connection back at once, and closes it; the client is served on, to its own end.
func TestVisitOutlivesHandle(t *testing.T) {
	for name, loop := range drivers {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, nil)
			h.settings.transport.EventLoop = loop
			c := onTCP(t, h)
			select {
			case <-c.done:
			case <-time.After(patience):
				t.Fatal("Handle has not returned")
			}
			for range 3 {
				c.send(request, ping)
				c.expect(answer, pong)
			}
			if n := h.live.Open(); n != 1 {
				t.Errorf("%d clients are open, want 1", n)
			}
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.expectEnd()
			closedFor(t, h, reasonEOF, 1)
			eventually(t, "nobody to be open", func() bool { return h.live.Open() == 0 && len(h.live.Conns()) == 0 })
		})
	}
}

// TestVisitPanics: a panic under either driver ends its client alone, is counted, and leaves nothing behind.
func TestVisitPanics(t *testing.T) {
	for name, loop := range drivers {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, nil)
			h.settings.transport.EventLoop = loop
			beside := onTCP(t, h)
			h = &Handler{settings: new(settings), live: h.live}
			*h.settings = *newHandler(t, nil).settings
			h.settings.name = h.live.Name
			h.settings.transport.EventLoop = loop
			h.settings.dec = nil // whoever reads a frame panics
			bad := onTCP(t, h)
			bad.send(request)
			bad.expectEnd()
			closedFor(t, h, reasonPanic, 1)
			beside.send(request)
			beside.expect(answer)
			if n := len(lines.of(h.live.Name, "panic in a gopr connection")); n != 1 {
				t.Errorf("%d lines about the panic, want 1", n)
			}
		})
	}
}

// TestVisitEnds: what the transport says is what is counted.
func TestVisitEnds(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, reasonEOF},
		{transport.ErrWriteTimeout, reasonWrite},
		{errors.New("reset"), reasonNetwork},
		{&transport.PanicError{Value: "a bug"}, reasonPanic},
	} {
		h := newHandler(t, nil)
		pass, refused := h.live.Enter(&gateway.Rules{}, &net.TCPAddr{}, time.Now())
		if refused != "" {
			t.Fatal(refused)
		}
		(&visit{pass: *pass}).leave(&net.TCPAddr{}, tt.err)
		closedFor(t, h, tt.want, 1)
	}
}
