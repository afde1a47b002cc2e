package handler

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

// endless is the network end of a connection that takes all that is written, and keeps nothing.
type endless struct{ sink }

func (*endless) Write(b []byte) (int, error) { return len(b), nil }

// measured is a connection over real sockets, of which the test or benchmark calls Data itself, from one goroutine, as a driver does. What is written at
// either end is read and thrown away.
func measured(t testing.TB, h *Handler) *conn {
	t.Helper()
	ours, theirs := tcpPair(t)
	live := gateway.AcquireLive(h.settings.name)
	c := newConn(ours, h.settings, live, time.Now())
	release, err := c.connect()
	if err != nil {
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		discard(theirs)
	}()
	t.Cleanup(func() {
		c.End(reasonKilled)
		_ = c.t.Serve(nil)
		release()
		_ = theirs.Close()
		<-drained
		gateway.ReleaseLive(live)
	})
	for _, h := range c.leases.all() {
		eventually(t, "a link", func() bool { return h.lease.Backend() != "" })
	}
	return c
}

// discard reads until the end, without an allocation.
func discard(nc net.Conn) {
	b := make([]byte, 256<<10)
	for {
		if _, err := nc.Read(b); err != nil {
			_ = nc.Close()
			return
		}
	}
}

// pieces are what a read may bring.
var pieces = []struct {
	name   string
	piece  []byte
	frames int
}{
	{"64Bx1", bytes.Repeat(frame(0x10, 1, string(make([]byte, 64))), 1), 1},
	{"64Bx32", bytes.Repeat(frame(0x10, 1, string(make([]byte, 64))), 32), 32},
	{"4KiB", frame(0x10, 1, string(make([]byte, 4096))), 1},
	{"pings", bytes.Repeat(ping, 32), 32},
	{"two commands", bytes.Repeat(join(frame(0x10, 1, string(make([]byte, 64))), frame(0x20, 1, string(make([]byte, 64)))), 16), 32},
}

// ways are where frames may go.
var ways = []struct {
	name    string
	handler func(testing.TB) *Handler
}{
	{"echo", func(t testing.TB) *Handler { return newHandler(t, nil) }},
	{"upstream", func(t testing.TB) *Handler { return forwarding(t, loopback(t, discard), nil) }},
	{"route", func(t testing.TB) *Handler {
		dial := loopback(t, discard)
		return routing(t, nil, func(string) (net.Conn, error) { return dial() })
	}},
}

// TestNoAllocations: a frame's way through the handler allocates nothing.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget at random")
	}
	for _, way := range ways {
		for _, p := range pieces {
			t.Run(way.name+"/"+p.name, func(t *testing.T) {
				c := measured(t, way.handler(t))
				// A piece at a time, as fast as the other side reads: what is unsent is not this test's.
				allocs := testing.AllocsPerRun(200, func() {
					used, next := c.Data(time.Now(), p.piece)
					if used != len(p.piece) || next == transport.Close {
						t.Fatalf("used %d of %d and %v", used, len(p.piece), next)
					}
					for c.t.Unsent() > 0 {
						time.Sleep(10 * time.Microsecond)
					}
				})
				if allocs >= 1 {
					t.Errorf("%v allocations for a piece of %d frames, want 0", allocs, p.frames)
				}
			})
		}
	}
}

// BenchmarkData is the handler's own share of a frame's way, and the system call that sends a piece on.
func BenchmarkData(b *testing.B) {
	for _, way := range ways {
		for _, p := range pieces {
			b.Run(way.name+"/"+p.name, func(b *testing.B) {
				c := measured(b, way.handler(b))
				b.SetBytes(int64(len(p.piece)))
				b.ReportAllocs()
				now := time.Now()
				for b.Loop() {
					if _, next := c.Data(now, p.piece); next == transport.Pause {
						eventually(b, "the other side to read", func() bool { return !c.leases.full() && !c.ownFull.Load() })
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*p.frames), "ns/frame")
			})
		}
	}
}

// BenchmarkWalk is the handler alone: nothing is sent.
func BenchmarkWalk(b *testing.B) {
	for _, p := range pieces {
		b.Run(p.name, func(b *testing.B) {
			h := newHandler(b, nil)
			c := newConn(new(endless), h.settings, h.live, time.Now())
			b.SetBytes(int64(len(p.piece)))
			b.ReportAllocs()
			for b.Loop() {
				w := piece{b: p.piece, allow: c.allowance(c.since)}
				if used, next := c.walk(&w, time.Time{}); used != len(p.piece) || next != transport.More {
					b.Fatalf("used %d, %v", used, next)
				}
				*w.own = (*w.own)[:0]
				answers.Put(w.own)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*p.frames), "ns/frame")
		})
	}
}
