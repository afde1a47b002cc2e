package upstream

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// listen accepts connections over the loopback and has each served, until the end of the test.
func listen(t testing.TB, serve func(net.Conn)) (addr string) {
	t.Helper()
	return listenOn(t, "tcp", "127.0.0.1:0", serve)
}

func listenOn(t testing.TB, network, addr string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			nc, err := l.Accept()
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
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func serveEcho(nc net.Conn) { (&visit{nc: nc}).echo() }

// patience is how long a test waits for what must happen before it says that it does not. No test needs it to pass.
const patience = 30 * time.Second

// caller is a client over real connections, whose goroutine waits.
type caller struct {
	t     testing.TB
	lease Lease
	runs  chan []byte
	rooms chan struct{}
	lost  chan error
}

func call(t testing.TB, g *Group) *caller {
	t.Helper()
	c := &caller{t: t, runs: make(chan []byte, 1<<10), rooms: make(chan struct{}, 1), lost: make(chan error, 1)}
	c.lease = g.Lease(c, Client{})
	t.Cleanup(c.lease.Close)
	return c
}

func (c *caller) Frames(run []byte, _ int) (full bool) {
	c.runs <- bytes.Clone(run)
	return false
}

func (c *caller) Room() {
	select {
	case c.rooms <- struct{}{}:
	default:
	}
}

func (c *caller) Lost(cause error) { c.lost <- cause }

// ask sends requests, in one run, and waits for the answers.
func (c *caller) ask(payloads ...string) {
	c.t.Helper()
	var run, want []byte
	for _, p := range payloads {
		run = wire.AppendFrame(run, 0x10, wire.FlagReq, []byte(p))
		want = wire.AppendFrame(want, 0x10, wire.FlagRsp, []byte(p))
	}
	if c.lease.Send(run, len(payloads), len(payloads)) {
		await(c.t, c.rooms, "Room")
	}
	var got []byte
	for len(got) < len(want) {
		got = append(got, await(c.t, c.runs, "an answer")...)
	}
	if !bytes.Equal(got, want) {
		c.t.Fatalf("the answers are %d bytes %.60q, not %d bytes %.60q", len(got), got, len(want), want)
	}
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s in %v", what, patience)
	}
	return v
}

// Many clients at once, each with many requests at once, over sockets.
func TestOverTCP(t *testing.T) {
	g := newGroup(t, Config{Backends: []string{listen(t, serveEcho), listen(t, serveEcho)}})
	var all sync.WaitGroup
	for i := range 20 {
		c := call(t, g)
		all.Go(func() {
			for round := range 10 {
				var many []string
				for n := range 100 {
					many = append(many, fmt.Sprint(i, round, n))
				}
				c.ask(many...)
			}
		})
	}
	all.Wait()
	if s := g.Stat(); s.Waiting != 0 || s.Backends[0].Lost+s.Backends[1].Lost != 0 {
		t.Errorf("%+v", s)
	}
}

func TestOverUnixSocket(t *testing.T) {
	addr := listenOn(t, "unix", filepath.Join(t.TempDir(), "b"), serveEcho)
	call(t, newGroup(t, Config{Backends: []string{"unix/" + addr}})).ask("hello")
}

// The largest frames, more of them than any buffer holds: the client is stopped, and goes on.
func TestLargeFramesOverTCP(t *testing.T) {
	c := call(t, newGroup(t, Config{Backends: []string{listen(t, serveEcho)}, Buffer: 1 << 10}))
	payload := strings.Repeat("x", wire.MaxPayload)
	c.ask(payload, payload, payload, payload, payload, payload, payload, payload)
}

// A backend that resets every connection, again and again: its clients go on.
func TestBackendResetsOverTCP(t *testing.T) {
	var mu sync.Mutex
	var conns []net.Conn
	addr := listen(t, func(nc net.Conn) {
		mu.Lock()
		conns = append(conns, nc)
		mu.Unlock()
		serveEcho(nc)
	})
	g := newGroup(t, Config{Backends: []string{addr}, Reconnect: Reconnect{Initial: ms, Max: 2 * ms, Attempts: -1}})
	var all []*caller
	for range 10 {
		all = append(all, call(t, g))
	}
	for range 20 {
		old := make(map[*link]bool)
		for _, c := range all {
			c.ask("a", "b")
			old[c.lease.(*session).using()] = true
		}
		mu.Lock()
		for _, nc := range conns {
			_ = nc.(*net.TCPConn).SetLinger(0)
			nc.Close()
		}
		conns = nil
		mu.Unlock()
		for _, c := range all {
			eventually(t, "another link", func() bool { l := c.lease.(*session).using(); return l != nil && !old[l] })
		}
	}
	for _, c := range all {
		c.ask("still here")
		if len(c.lost) > 0 {
			t.Errorf("lost: %v", <-c.lost)
		}
	}
}

func (l *session) using() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(ms / 10) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %v", what, patience)
		}
	}
}

// A connection that can't be guarded is not used.
func TestKeepaliveThatCannotBeSet(t *testing.T) {
	refused := make(chan struct{}, 100)
	g := newGroup(t, Config{
		Backends: []string{listen(t, func(net.Conn) {})},
		Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				nc.Close() // so no option can be set
			}
			return nc, err
		},
		Logger: slog.New(handler{slog.DiscardHandler, func() { refused <- struct{}{} }}),
	})
	await(t, refused, "failure")
	if b := g.Stat().Backends[0]; b.Links != 0 || b.DialErrors == 0 || !strings.Contains(b.Error, net.ErrClosed.Error()) {
		t.Errorf("%+v", b)
	}
}
