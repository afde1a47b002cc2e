package recipes

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

const (
	clients  = 50 // of every recipe, at a time
	maxLinks = 2  // what every recipe with request pooling has for them
)

// crowd runs so many clients at the same time, numbered from 0, and fails the test with the errors of those that fail.
func crowd(t *testing.T, client func(i int) error) {
	t.Helper()
	errs := make([]error, clients)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = client(i) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}

// fewLinks checks that the backend never had more connections than the recipe says.
func (g *gateway) fewLinks() {
	g.t.Helper()
	if n := g.metric("upstream_dials_total", `outcome="ok"`); n < 1 || n > maxLinks {
		g.t.Errorf("the gateway has made %v connections to the backend, want 1 to %d", n, maxLinks)
	}
	if n := g.metric("upstream_links"); n > maxLinks {
		g.t.Errorf("%v links, want %d at most", n, maxLinks)
	}
	if n := g.metric("upstream_links_lost_total"); n != 0 {
		g.t.Errorf("%v links were lost, want none", n)
	}
}

// question is what one client sends, and what it must get for it.
type question struct{ ask, want []byte }

// together has all clients connected at the same time, and each ask a question of its own, several times, while the others do.
func (g *gateway) together(of func(i int) question) {
	g.t.Helper()
	conns := make([]net.Conn, clients)
	for i := range conns {
		conns[i] = g.dial()
		defer conns[i].Close()
	}
	eventually(g.t, fmt.Sprintf("%d clients are connected", clients), func() bool { return g.metric("connections") == clients })
	crowd(g.t, func(i int) error {
		for range 20 {
			if err := exchange(conns[i], of(i)); err != nil {
				return err
			}
		}
		return nil
	})
	if n := g.metric("connections"); n != clients {
		g.t.Errorf("%v clients are connected still, want all %d", n, clients)
	}
	g.fewLinks()
}

// atTheEdge checks that a heartbeat is answered by the gateway itself: the backend is stopped for it.
func (g *gateway) atTheEdge(backend *program, beat question) {
	g.t.Helper()
	before := g.dial()
	defer before.Close()
	if err := exchange(before, beat); err != nil {
		g.t.Errorf("heartbeat: %v", err)
	}
	backend.stop(g.t)
	after := g.dial()
	defer after.Close()
	for range 3 {
		if err := exchange(after, beat); err != nil {
			g.t.Fatalf("heartbeat without a backend: %v", err)
		}
	}
	if n := g.metric("pings_answered_total"); n < 4 {
		g.t.Errorf("%v pings answered, want 4", n)
	}
}

func (g *gateway) dial() net.Conn {
	g.t.Helper()
	c, err := net.DialTimeout("tcp", g.addr, patience)
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

// exchange asks a question on a connection.
func exchange(c net.Conn, q question) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(q.ask); err != nil {
		return err
	}
	got := make([]byte, len(q.want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %q: %w", got[:n], err)
	}
	if !bytes.Equal(got, q.want) {
		return fmt.Errorf("asked %q: got %q, want %q", q.ask, got, q.want)
	}
	return nil
}
