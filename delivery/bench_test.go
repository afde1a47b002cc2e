package delivery

import (
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// echoLease is a link to a plain backend that proves at once whatever it is sent.
type echoLease struct {
	lease
	pongs chan []byte
}

func (l *echoLease) Send(frames []byte, _, _ int) bool {
	// A run ends with its barrier.
	payload := append([]byte(nil), frames[len(frames)-barrierLen:]...)
	l.pongs <- payload
	return false
}

func (l *echoLease) Close() { close(l.pongs) }

// ackClient counts what it is acknowledged.
type ackClient struct {
	mu    sync.Mutex
	acked int
	held  bool
	more  sync.Cond
}

func (c *ackClient) Write(_ []byte, n int) bool {
	c.mu.Lock()
	c.acked += n
	c.mu.Unlock()
	c.more.Signal()
	return false
}

func (c *ackClient) Resume() {
	c.mu.Lock()
	c.held = false
	c.mu.Unlock()
	c.more.Signal()
}

func (c *ackClient) End(error) {}

// BenchmarkUplink is a message of QoS 1 from a client to a plain backend: taken, stored in memory, acknowledged, sent, proved, removed.
func BenchmarkUplink(b *testing.B) {
	store := queuememory.New(queue.Bounds{}, nil)
	sessions := sessionmemory.Open(sessionmemory.Options{})
	v, err := NewService(Config{
		Owner: "bench", Sessions: sessions, Queue: store,
		Lease: func(p upstream.LinkPeer, _ upstream.Client) (upstream.Lease, func(), error) {
			l := &echoLease{pongs: make(chan []byte, 64)}
			p.Linked(l, "backend")
			go func() {
				for payload := range l.pongs {
					p.Pong(payload)
				}
			}()
			return l, func() {}, nil
		},
	}, Settings{})
	if err != nil {
		b.Fatal(err)
	}
	s, w, err := v.Hello(b.Context(), Hello{Client: "c", Wanted: capabilities, Expiry: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	c := new(ackClient)
	c.more.L = &c.mu
	s.Attach(c, w)
	const piece = 16
	payload := make([]byte, 128)
	var frame wire.Frame
	id := uint32(0)
	b.ReportAllocs()
	for sent := 0; sent < b.N; {
		c.mu.Lock()
		for sent-c.acked > 32 || c.held {
			c.more.Wait()
		}
		c.mu.Unlock()
		for range piece {
			id++
			raw, _ := wire.AppendExt(nil, app, &wire.Ext{QoS: 1, ID: id, Payload: payload})
			if _, err := decoder.Next(raw, &frame); err != nil {
				b.Fatal(err)
			}
			if err := s.Take(c, time.Time{}, &frame); err != nil {
				b.Fatal(err)
			}
			sent++
		}
		c.mu.Lock()
		c.held = true // first: Resume may come at once
		c.mu.Unlock()
		if !s.Flush(c, time.Time{}) {
			c.Resume()
		}
	}
	b.StopTimer()
	v.Close()
	store.Close()
	sessions.Close()
}

// TestIdleMemory measures what a session takes whose client and backend are there, and say nothing.
func TestIdleMemory(t *testing.T) {
	const n = 10_000
	store := queuememory.New(queue.Bounds{}, nil)
	sessions := sessionmemory.Open(sessionmemory.Options{})
	v, err := NewService(Config{
		Owner: "idle", Sessions: sessions, Queue: store,
		Lease: func(p upstream.LinkPeer, _ upstream.Client) (upstream.Lease, func(), error) {
			p.Linked(idleLease{}, "backend")
			return idleLease{}, func() {}, nil
		},
	}, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	clients := make([]*ackClient, n)
	for i := range clients {
		s, w, err := v.Hello(t.Context(), Hello{Client: "client " + strconv.Itoa(i), Wanted: capabilities, Expiry: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		clients[i] = new(ackClient)
		s.Attach(clients[i], w)
		s.Flush(clients[i], time.Time{})
	}
	v.crew.wait()
	v.leases.wait()
	per := float64(heap()-before) / n
	t.Logf("%.0f bytes for each session, with its record and its boxes in the stores in memory", per)
	if per > 1600 {
		t.Errorf("%.0f bytes for each session, want 1600 at the most", per)
	}
	runtime.KeepAlive(clients)
	v.Close()
	store.Close()
	sessions.Close()
}

type idleLease struct{ upstream.Lease }

func (idleLease) Send([]byte, int, int) bool { return false }
func (idleLease) Resume()                    {}
func (idleLease) Close()                     {}
