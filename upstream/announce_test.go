package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// clientAt is a client that is known by its port.
func clientAt(port int) Client {
	return Client{Source: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: port}, Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 7450}}
}

// portOf reads a header, and returns the client's port.
func portOf(r io.Reader) (int, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, err
	}
	rest := make([]byte, binary.BigEndian.Uint16(b[14:]))
	if _, err := io.ReadFull(r, rest); err != nil {
		return 0, err
	}
	if string(b[:12]) != proxySignature || b[12] != proxyProxy || b[13] != proxyTCP4 {
		return 0, fmt.Errorf("no header of a client: %q", b)
	}
	return int(binary.BigEndian.Uint16(rest[8:])), nil
}

// announced is a backend that hears who comes: it holds each request against that, and drops the first links.
type announced struct {
	t  testing.TB
	mu sync.Mutex
	n  int
}

func (a *announced) serve(v *visit) {
	port, err := portOf(v.nc)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.ErrClosedPipe) {
			a.t.Error(err)
		}
		return
	}
	a.mu.Lock()
	a.n++
	n := a.n
	a.mu.Unlock()
	if n%5 == 0 {
		return // the client must have another, with its own header again
	}
	v.each(func(f frame) {
		if got := string(f.Payload); got != fmt.Sprint(port) {
			a.t.Errorf("a frame of client %s came on the link of client %d", got, port)
		}
		v.reply(f)
	})
}

// TestAnnounced: every frame of a client comes on a link that began with that client's header, however many clients come and go, under each way of choosing a backend.
func TestAnnounced(t *testing.T) {
	for _, policy := range []Policy{RoundRobin, ClientHash} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1")
				backend := &announced{t: t}
				for _, s := range n {
					s.behave, s.delay = backend.serve, 10*ms
				}
				g := n.group(t, Config{ProxyProtocol: "v2", Policy: policy, Reconnect: Reconnect{Initial: ms, Max: 10 * ms, Attempts: -1, Jitter: -1}})
				var all sync.WaitGroup
				for port := 1; port <= 60; port++ {
					all.Go(func() {
						time.Sleep(time.Duration(port%7) * ms)
						if port%6 == 0 {
							lease := g.Lease(&inquirer{}, clientAt(port))
							time.Sleep(5 * ms) // it goes while the dial that was made for it is under way
							lease.Close()
							return
						}
						for range 3 {
							come(g, port, 3)
						}
					})
				}
				all.Wait()
				synctest.Wait()
				for _, b := range g.Stat().Backends {
					if b.Spare != 0 || b.Dialing != 0 || b.Links != 0 {
						t.Errorf("left behind: %+v", b)
					}
				}
			})
		})
	}
}

// come is a client that asks so often, and comes again when its link dies before it has its answer.
func come(g *Group, port, asks int) {
	for asks > 0 {
		p := &inquirer{answers: make(chan struct{}, 1), lost: make(chan error, 1)}
		p.lease = g.Lease(p, clientAt(port))
		for ; asks > 0 && p.ask(fmt.Sprint(port)) == nil; asks-- {
		}
		p.lease.Close()
	}
}

// inquirer is a client that asks one thing at a time.
type inquirer struct {
	lease   Lease
	answers chan struct{}
	lost    chan error
}

func (p *inquirer) Frames([]byte, int) bool { p.answers <- struct{}{}; return false }
func (p *inquirer) Room()                   {}
func (p *inquirer) Lost(cause error)        { p.lost <- cause }

func (p *inquirer) ask(payload string) error {
	p.lease.Send(wire.AppendFrame(nil, 0x10, wire.FlagReq, []byte(payload)), 1, 1)
	select {
	case <-p.answers:
		return nil
	case err := <-p.lost:
		return err
	}
}

// TestAnnounceFails: a client whose link could not be told of it waits on, and is served when the backend is back; one of a group that ends is told.
func TestAnnounceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = deaf(time.Hour) // a pipe has no buffer: the header is not taken
		g := n.group(t, Config{ProxyProtocol: "v2"})
		p := &inquirer{answers: make(chan struct{}, 1), lost: make(chan error, 1)}
		p.lease = g.Lease(p, clientAt(1))
		defer p.lease.Close()
		time.Sleep(defaultDialTimeout + ms)
		synctest.Wait()
		if s := g.Stat(); s.Waiting != 1 || s.Backends[0].DialErrors != 1 || s.Backends[0].Error != context.DeadlineExceeded.Error() {
			t.Errorf("%+v", s)
		}
		n["a:1"].set(func(s *server) { s.behave = (&announced{t: t}).serve })
		if err := p.ask("1"); err != nil {
			t.Error(err)
		}
		n["a:1"].set(func(s *server) { s.behave = deaf(time.Hour) })
		late := &inquirer{lost: make(chan error, 1)}
		late.lease = g.Lease(late, clientAt(2))
		synctest.Wait() // it is in no queue: its header is being written
		g.Close()
		if err := <-late.lost; !errors.Is(err, ErrGroupClosed) {
			t.Errorf("it is told %v, want %v", err, ErrGroupClosed)
		}
	})
}

// TestAnnounceMistakes: links that are of many clients, or of none, can't tell of one.
func TestAnnounceMistakes(t *testing.T) {
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{ProxyProtocol: "v1"}, `unknown proxy_protocol "v1": v2`},
		{Config{ProxyProtocol: "v2", Pooling: Request}, "proxy_protocol tells of one client, and links under pooling request are many clients': take pooling session, or leave it out"},
		{Config{ProxyProtocol: "v2", MinLinks: 2}, "connections min 2 is for clients that are not there yet, and proxy_protocol tells of the client: set min to 0"},
		{Config{ClientFirst: true, MinLinks: 1}, "connections min 1 is for clients that are not there yet, and the backend wants the client's HELLO first: set min to 0"},
		{Config{ClientFirst: true}, ""},
		{Config{ProxyProtocol: "v2", MinLinks: -1}, ""},
		{Config{ProxyProtocol: "v2"}, ""},
	} {
		tt.c.Backends = []string{"a:1"}
		if err := tt.c.Validate(); (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
