package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// mirror sends back what it reads as it is, and allocates nothing for it. The frames that come back must not be requests.
func mirror(nc net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := nc.Read(buf)
		if err != nil {
			return
		}
		if _, err := nc.Write(buf[:n]); err != nil {
			return
		}
	}
}

// pinger is a client that waits for as many frames as it has sent.
type pinger struct {
	lease Lease
	back  chan int
}

func newPinger(t testing.TB, serve func(net.Conn)) *pinger {
	t.Helper()
	p := &pinger{back: make(chan int, 1<<10)}
	p.lease = newGroup(t, Config{Backends: []string{listen(t, serve)}, Heartbeat: &noHeartbeat}).Lease(p, Client{})
	t.Cleanup(p.lease.Close)
	eventually(t, "link", func() bool { return p.lease.Backend() != "" })
	return p
}

func (p *pinger) Frames(_ []byte, n int) (full bool) {
	p.back <- n
	return false
}

func (p *pinger) Room()      {}
func (p *pinger) Lost(error) {}

// round sends n frames in one run, and waits until they have come back.
func (p *pinger) round(run []byte, n int) {
	p.lease.Send(run, n, 0)
	for n > 0 {
		n -= <-p.back
	}
}

func runOf(frames, payload int) []byte {
	return bytes.Repeat(wire.AppendFrame(nil, 0x10, 0, make([]byte, payload)), frames)
}

func TestSendDoesNotAllocate(t *testing.T) {
	p := newPinger(t, func(nc net.Conn) { _, _ = io.Copy(io.Discard, onlyReader{nc}) })
	b := runOf(10, 64)
	if n := testing.AllocsPerRun(1000, func() { p.lease.Send(b, 1, 1) }); n > 0 {
		t.Errorf("%v allocations per Send", n)
	}
}

// onlyReader hides what a connection can do beyond reading, such as moving bytes in the kernel.
type onlyReader struct{ io.Reader }

func TestRoundTripDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget what it holds")
	}
	p := newPinger(t, mirror)
	b := runOf(10, 64)
	if n := testing.AllocsPerRun(1000, func() { p.round(b, 10) }); n > 0 {
		t.Errorf("%v allocations per round trip", n)
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, frames := range []int{1, 16, 256} {
		for _, payload := range []int{64, 1024} {
			b.Run(fmt.Sprintf("%d frames of %d B", frames, payload), func(b *testing.B) {
				p := newPinger(b, mirror)
				r := runOf(frames, payload)
				b.SetBytes(int64(2 * len(r)))
				b.ReportAllocs()
				for b.Loop() {
					p.round(r, frames)
				}
				b.ReportMetric(float64(b.N*frames)/b.Elapsed().Seconds(), "frames/s")
			})
		}
	}
}

// BenchmarkLease is a client that comes and goes, over a warm link.
func BenchmarkLease(b *testing.B) {
	g := newGroup(b, Config{Backends: []string{listen(b, mirror)}, MinLinks: 8})
	b.ReportAllocs()
	for b.Loop() {
		p := &pinger{back: make(chan int, 1)}
		p.lease = g.Lease(p, Client{})
		p.round(runOf(1, 64), 1)
		p.lease.Close()
	}
}
