package upstream

import (
	"fmt"
	"net"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// requests are n requests with a payload of 64 bytes, back to back.
func requestsOf(n int) (run []byte) {
	for range n {
		run = wire.AppendFrame(run, 0x10, wire.FlagReq, make([]byte, 64))
	}
	return run
}

// answerer answers each of requestsOf, in as few writes as reads.
func answerer(nc net.Conn) {
	const size = wire.HeaderLen + 64
	buf := make([]byte, 1024*size)
	kept := 0
	for {
		n, err := nc.Read(buf[kept:])
		if err != nil {
			return
		}
		n += kept
		whole := n / size * size
		for at := 0; at < whole; at += size {
			buf[at+9] = wire.FlagRsp
		}
		if _, err := nc.Write(buf[:whole]); err != nil {
			return
		}
		kept = copy(buf, buf[whole:n])
	}
}

// newAsker is a client whose requests are answered.
func newAsker(t testing.TB, pooling Pooling) *pinger {
	t.Helper()
	p := &pinger{back: make(chan int, 1<<10)}
	g := newGroup(t, Config{Backends: []string{listen(t, answerer)}, Heartbeat: &noHeartbeat, Pooling: pooling})
	p.lease = g.Lease(p, Client{})
	t.Cleanup(p.lease.Close)
	p.lease.Send(requestsOf(1), 1, 1)
	<-p.back
	return p
}

// ask sends n requests in one run, and waits for their answers.
func (p *pinger) ask(run []byte, n int) {
	p.lease.Send(run, n, n)
	for n > 0 {
		n -= <-p.back
	}
}

// What is measured of requests is not paid for in allocations.
func TestRequestDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget what it holds")
	}
	for _, pooling := range []Pooling{Session, Request} {
		for _, n := range []int{1, 32} {
			p := newAsker(t, pooling)
			run := requestsOf(n)
			p.ask(run, n)
			if allocs := testing.AllocsPerRun(500, func() { p.ask(run, n) }); allocs > 0 {
				t.Errorf("pooling %s: %v allocations for %d requests", pooling, allocs, n)
			}
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, pooling := range []Pooling{Session, Request} {
		for _, n := range []int{1, 32, 256} {
			b.Run(fmt.Sprintf("%s/%d", pooling, n), func(b *testing.B) {
				p := newAsker(b, pooling)
				run := requestsOf(n)
				b.ReportAllocs()
				for b.Loop() {
					p.ask(run, n)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/request")
			})
		}
	}
}
