package upstream

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// soakRequests is how many requests TestSoak has answered. GOPR_SOAK_REQUESTS=10000000 is the full run, of some minutes.
func soakRequests(t *testing.T) int64 {
	s := os.Getenv("GOPR_SOAK_REQUESTS")
	if s == "" {
		return 60_000
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		t.Fatalf("GOPR_SOAK_REQUESTS=%q is no number of requests: give one such as 10000000", s)
	}
	return n
}

// 1,000 clients with one request in flight each share at most 4 links, which are killed at random, now and then in the middle of an answer. No client ever gets
// another's answer, an old one, or one twice; a client whose answer can no longer come is told, and comes again.
func TestSoak(t *testing.T) {
	const clients, backends, linksEach = 1000, 2, 2
	s := &soak{want: soakRequests(t)}
	var addrs []string
	for range backends {
		addrs = append(addrs, listen(t, s.serve))
	}
	g := newGroup(t, Config{
		Backends: addrs, Pooling: Request, MaxLinks: linksEach, MinLinks: linksEach, Heartbeat: &noHeartbeat, MaxWaiting: clients, Wait: time.Minute, RequestTimeout: time.Minute,
		Reconnect: Reconnect{Initial: time.Millisecond, Max: 5 * time.Millisecond, Attempts: -1, Stable: time.Millisecond},
	})
	began := time.Now()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { s.client(g, uint32(i)) })
	}
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() { s.kill(t, g, backends*linksEach, stop) })
	all.Wait()
	close(stop)
	killer.Wait()
	t.Logf("%d requests answered, %d wrong, %d lost with %d links killed, in %v", s.answered.Load(), s.wrong.Load(), s.lost.Load(), s.kills.Load(), time.Since(began).Round(time.Millisecond))
	if s.wrong.Load() > 0 || s.answered.Load() < s.want || s.kills.Load() == 0 {
		t.Error("wrong answers, too few, or nothing was killed")
	}
}

type soak struct {
	want                         int64
	answered, wrong, lost, kills atomic.Int64

	mu    sync.Mutex
	conns []*soakConn // of the backends
}

// soakConn is a backend's side of a link.
type soakConn struct {
	*net.TCPConn
	mu sync.Mutex // held while a write, or the end, is under way: an answer is whole, or the last thing that comes
}

// serve answers each request with its payload until the link is killed.
func (s *soak) serve(nc net.Conn) {
	c := &soakConn{TCPConn: nc.(*net.TCPConn)}
	s.mu.Lock()
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	buf, have := make([]byte, 64<<10), 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		have += n
		whole := have - have%soakFrame
		for at := 0; at < whole; at += soakFrame {
			buf[at+9] = wire.FlagRsp
		}
		c.mu.Lock()
		_, err = c.Write(buf[:whole])
		c.mu.Unlock()
		if err != nil {
			return
		}
		have = copy(buf, buf[whole:have])
	}
}

// A payload is who asks, in 4 bytes, and the number of the request, in 8.
const (
	soakPayload = 12
	soakFrame   = wire.HeaderLen + soakPayload
)

// kill ends a link every few milliseconds: in order, by a reset, or in the middle of an answer.
func (s *soak) kill(t *testing.T, g *Group, most int, stop chan struct{}) {
	r := rand.New(rand.NewPCG(1, 2))
	half := wire.AppendFrame(nil, 0x10, wire.FlagRsp, make([]byte, soakPayload))[:wire.HeaderLen+5]
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(1+r.IntN(10)) * time.Millisecond):
		}
		links := 0
		for _, b := range g.Stat().Backends {
			links += b.Links
		}
		if links > most {
			t.Errorf("%d links, more than %d", links, most)
		}
		if c := s.victim(r); c != nil {
			c.mu.Lock()
			switch r.IntN(3) {
			case 0:
				_ = c.SetLinger(0)
			case 1:
				_, _ = c.Write(half)
			}
			_ = c.Close()
			c.mu.Unlock()
			s.kills.Add(1)
		}
	}
}

// victim takes one of the links; nil: there is none.
func (s *soak) victim(r *rand.Rand) *soakConn {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.conns)
	if n == 0 {
		return nil
	}
	i := r.IntN(n)
	c := s.conns[i]
	s.conns[i], s.conns = s.conns[n-1], s.conns[:n-1]
	return c
}

// client asks, one request at a time, until all have been answered that are wanted.
func (s *soak) client(g *Group, id uint32) {
	c := &soaker{id: id, answers: make(chan uint64, 4), ended: make(chan error, 1)}
	lease := g.Lease(c, Client{})
	defer func() { lease.Close() }()
	frame := wire.AppendFrame(nil, 0x10, wire.FlagReq, make([]byte, soakPayload))
	for seq := uint64(1); s.answered.Load() < s.want; seq++ {
		payload := frame[wire.HeaderLen:]
		binary.BigEndian.PutUint32(payload, id)
		binary.BigEndian.PutUint64(payload[4:], seq)
		lease.Send(frame, 1, 1)
		select {
		case got := <-c.answers:
			if got != seq {
				s.wrong.Add(1)
			}
			s.answered.Add(1)
		case err := <-c.ended:
			if !errors.Is(err, ErrLost) {
				s.wrong.Add(1)
			}
			s.lost.Add(1)
			lease.Close()
			c = &soaker{id: id, answers: make(chan uint64, 4), ended: make(chan error, 1)}
			lease = g.Lease(c, Client{})
		}
	}
}

// soaker is a peer that passes on the numbers of its answers; 0 is one that was not for it.
type soaker struct {
	id      uint32
	answers chan uint64
	ended   chan error
}

func (c *soaker) Frames(run []byte, n int) (full bool) {
	for ; len(run) > 0; n-- {
		var f wire.Frame
		size, err := testDecoder.Next(run, &f)
		if size == 0 || err != nil || len(f.Payload) != soakPayload || binary.BigEndian.Uint32(f.Payload) != c.id {
			c.answers <- 0
			return false
		}
		c.answers <- binary.BigEndian.Uint64(f.Payload[4:])
		run = run[size:]
	}
	return false
}

func (c *soaker) Room() {}

func (c *soaker) Lost(cause error) { c.ended <- cause }
