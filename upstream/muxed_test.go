package upstream

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// muxed is a backend that takes streams, and counts its connections.
type muxed struct {
	serve func(net.Conn)
	conns atomic.Int64

	mu  sync.Mutex
	all []net.Conn
}

// listen takes connections until the end of the test.
func (m *muxed) listen(t testing.TB) string {
	return listen(t, func(nc net.Conn) {
		m.conns.Add(1)
		m.mu.Lock()
		m.all = append(m.all, nc)
		m.mu.Unlock()
		c := yamux.DefaultConfig()
		c.LogOutput = io.Discard
		session, err := yamux.Server(nc, c)
		if err != nil {
			t.Error(err)
			return
		}
		var streams sync.WaitGroup
		for {
			stream, err := session.Accept()
			if err != nil {
				break
			}
			streams.Go(func() {
				defer stream.Close()
				m.serve(stream)
			})
		}
		_ = session.Close()
		streams.Wait()
	})
}

func (m *muxed) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, nc := range m.all {
		nc.Close()
	}
	m.all = nil
}

// TestMux: each client has a link of its own, on few connections; when those die, all go on over others.
func TestMux(t *testing.T) {
	m := &muxed{serve: serveEcho}
	g := newGroup(t, Config{
		Backends: []string{m.listen(t)}, Pooling: Mux, MinLinks: -1, MaxLinks: 2, MaxStreams: 10, Reconnect: Reconnect{Initial: ms, Max: 2 * ms, Attempts: -1},
	})
	var all []*caller
	for range 20 {
		all = append(all, call(t, g))
	}
	for round := range 3 {
		for i, c := range all {
			c.ask(fmt.Sprint(i, round))
		}
		if b := g.Stat().Backends[0]; b.Links != 20 || b.Connections != 2 || b.Capacity != 20 {
			t.Errorf("%+v", b)
		}
		old := make(map[*link]bool)
		for _, c := range all {
			old[c.lease.(*session).using()] = true
		}
		m.kill()
		for _, c := range all {
			eventually(t, "another link", func() bool { l := c.lease.(*session).using(); return l != nil && !old[l] })
		}
	}
	late := call(t, g)
	if s := g.Stat(); s.Waiting != 1 || s.Backends[0].Failures != 0 {
		t.Errorf("one client more than there may be: %+v", s)
	}
	all[0].lease.Close()
	late.ask("in its place")
}

// TestMuxWarm: spare links keep as many connections open as connections min says.
func TestMuxWarm(t *testing.T) {
	m := &muxed{serve: serveEcho}
	g := newGroup(t, Config{Backends: []string{m.listen(t)}, Pooling: Mux, MinLinks: 2, MaxLinks: 3})
	eventually(t, "two connections", func() bool { b := g.Stat().Backends[0]; return b.Spare == 2 && b.Connections == 2 })
	call(t, g).ask("at once")
	if n := m.conns.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

// TestMuxTLS: the connections are secured, and each link begins with its client's header.
func TestMuxTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	told := &announced{t: t}
	m := &muxed{serve: func(nc net.Conn) { told.serve(&visit{nc: nc}) }}
	inner := m.listen(t)
	addr := listenTLS(t, ca, inner)
	g := newGroup(t, Config{
		Backends: []string{addr}, Pooling: Mux, MaxLinks: 1, ProxyProtocol: "v2", TLS: &TLS{CA: []string{ca.file}},
		Reconnect: Reconnect{Initial: ms, Max: 2 * ms, Attempts: -1},
	})
	var all sync.WaitGroup
	for port := 1; port <= 20; port++ {
		all.Go(func() { come(g, port, 3) })
	}
	all.Wait()
	if b := g.Stat().Backends[0]; b.Handshakes != 1 || b.HandshakeErrors != 0 {
		t.Errorf("%+v", b)
	}
}

// TestMuxStuck: fifty clients over two connections, of which one never reads: it is held where it is, bounded, and the other forty-nine go on. The log has both speeds; no
// test fails for one.
func TestMuxStuck(t *testing.T) {
	const clients, rounds = 50, 40
	payload := string(make([]byte, 4<<10))
	speed := func(stuck bool) (perSecond float64) {
		m := &muxed{serve: func(nc net.Conn) { flooding(&visit{nc: nc}) }}
		g := newGroup(t, Config{Backends: []string{m.listen(t)}, Pooling: Mux, MinLinks: -1, MaxLinks: 2, MaxStreams: clients / 2})
		defer g.Close()
		if stuck {
			never := &deafClient{full: make(chan struct{}, 1)}
			lease := g.Lease(never, Client{})
			defer lease.Close()
			lease.Send(wire.AppendFrame(nil, cmdFlood, wire.FlagReq, nil), 1, 1)
			await(t, never.full, "flood")
		}
		var others []*caller
		for range clients - 1 {
			c := call(t, g)
			c.ask("there")
			others = append(others, c)
		}
		begin := time.Now()
		var all sync.WaitGroup
		for _, c := range others {
			all.Go(func() {
				for range rounds {
					c.ask(payload, payload)
				}
			})
		}
		all.Wait()
		if b := g.Stat().Backends[0]; b.Connections != 2 || b.Lost != 0 {
			t.Errorf("stuck %v: %+v", stuck, b)
		}
		return float64((clients-1)*rounds*2) / time.Since(begin).Seconds()
	}
	without, with := speed(false), speed(true)
	t.Logf("49 clients: %.0f requests of 4 KiB/s beside one that never reads, %.0f/s without it: %.2f of it", with, without, with/without)
}

// cmdFlood asks for frames without end.
const cmdFlood = 0x44

// flooding answers what is asked, and who asks for it gets frames until it has had enough.
func flooding(v *visit) {
	for {
		f, err := v.next()
		if err != nil {
			return
		}
		if f.Cmd != cmdFlood {
			v.reply(f)
			continue
		}
		many := wire.AppendFrame(nil, 0x11, 0, make([]byte, 32<<10))
		for {
			if _, err := v.nc.Write(many); err != nil {
				return
			}
		}
	}
}

// deafClient takes a frame, and is full for ever.
type deafClient struct{ full chan struct{} }

func (d *deafClient) Frames([]byte, int) bool {
	select {
	case d.full <- struct{}{}:
	default:
	}
	return true
}
func (*deafClient) Room()      {}
func (*deafClient) Lost(error) {}
