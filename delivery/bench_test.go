package delivery

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"

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

func (c *ackClient) From() (none upstream.Client) { return none }

// BenchmarkUplink is a message of QoS 1 from a client to a plain backend: taken, stored, acknowledged, sent, proved, removed. Beside it stands queuetest.Benchmark, which is what
// the store alone can do.
func BenchmarkUplink(b *testing.B) {
	b.Run("memory, 1 client", func(b *testing.B) { benchUplink(b, 1, queuememory.New(queue.Bounds{}, nil)) })
	b.Run("memory, 200 clients", func(b *testing.B) { benchUplink(b, 200, queuememory.New(queue.Bounds{}, nil)) })
	b.Run("sqlite, 200 clients", func(b *testing.B) {
		s, err := sqlite.Open(filepath.Join(b.TempDir(), "gopr.db"), queue.Bounds{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		benchUplink(b, 200, s)
	})
}

func benchUplink(b *testing.B, clients int, store queue.Store) {
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
	each := (b.N + clients - 1) / clients
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() { publishAll(b, v, fmt.Sprint("client ", n), each) })
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(each*clients)/b.Elapsed().Seconds(), "messages/s")
	v.Close()
	store.Close()
	sessions.Close()
}

// publishAll has a client publish so many messages, 32 of them unacknowledged at a time and more.
func publishAll(b *testing.B, v *Service, client string, messages int) {
	s, w, err := v.Hello(b.Context(), Hello{Client: client, Wanted: capabilities, Expiry: time.Hour})
	if err != nil {
		b.Error(err)
		return
	}
	c := new(ackClient)
	c.more.L = &c.mu
	s.Attach(c, w)
	const piece = 16
	payload := make([]byte, 100)
	var frame wire.Frame
	var raw []byte
	for sent := 0; sent < messages; {
		c.mu.Lock()
		for sent-c.acked > 64-piece || c.held {
			c.more.Wait()
		}
		c.held = true // before Flush: Resume may come at once
		c.mu.Unlock()
		for range piece {
			sent++
			raw, _ = wire.AppendExt(raw[:0], app, &wire.Ext{QoS: 1, ID: uint32(sent), Payload: payload})
			if _, err := decoder.Next(raw, &frame); err != nil {
				b.Error(err)
				return
			}
			if err := s.Take(c, time.Time{}, &frame); err != nil {
				b.Error(err)
				return
			}
		}
		if !s.Flush(c, time.Time{}) {
			c.Resume()
		}
	}
	c.mu.Lock()
	for c.acked < messages {
		c.more.Wait()
	}
	c.mu.Unlock()
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
