package main

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A proxy passes TCP connections on to an address, and spoils them: what a bad network does to both ends, without needing one.
type proxy struct {
	addr, to string

	delay   atomic.Int64         // nanoseconds, each way
	stalled atomic.Pointer[halt] // not nil: nothing passes until it is over
	refuses atomic.Bool          // new connections are reset
	dials   atomic.Int64         // connections that have come

	mu     sync.Mutex
	pairs  map[*pair]struct{}
	ln     net.Listener
	closed bool
	wg     sync.WaitGroup
}

// A halt lasts until it is lifted.
type halt struct {
	once sync.Once
	over chan struct{}
}

func (s *halt) lift() { s.once.Do(func() { close(s.over) }) }

// A pair is one connection and its continuation.
type pair struct {
	client, server net.Conn
	cutAfter       atomic.Int64 // bytes that still pass; what is beyond is lost, and the connection with it. Negative: all pass
}

func newProxy(to string) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{addr: ln.Addr().String(), to: to, ln: ln, pairs: make(map[*pair]struct{})}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		nc, err := p.ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		p.dials.Add(1)
		if p.refuses.Load() {
			reset(nc)
			continue
		}
		p.wg.Go(func() { p.serve(nc) })
	}
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.DialTimeout("tcp", p.to, 2*time.Second)
	if err != nil {
		reset(client)
		return
	}
	c := &pair{client: client, server: server}
	c.cutAfter.Store(-1)
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.close()
		return
	}
	p.pairs[c] = struct{}{}
	p.mu.Unlock()
	var ways sync.WaitGroup
	ways.Go(func() { p.pass(c, server, client) })
	ways.Go(func() { p.pass(c, client, server) })
	ways.Wait()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

// A piece waits for its time.
type piece struct {
	b   []byte
	due time.Time
}

// pass copies one way. Where there is a delay, it is added to each piece, and pieces are read on meanwhile: so it slows no throughput.
func (p *proxy) pass(c *pair, to, from net.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	pieces := make(chan piece, 256)
	var writer sync.WaitGroup
	writer.Go(func() {
		defer cancel()
		defer c.close()
		for x := range pieces {
			if wait := time.Until(x.due); wait > 0 {
				time.Sleep(wait)
			}
			if s := p.stalled.Load(); s != nil {
				<-s.over
			}
			b := x.b
			if left := c.cutAfter.Load(); left >= 0 {
				b = b[:min(int64(len(b)), left)]
				c.cutAfter.Store(left - int64(len(b)))
			}
			if _, err := to.Write(b); err != nil || len(b) < len(x.b) {
				return
			}
		}
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			x := piece{b: append([]byte(nil), buf[:n]...), due: time.Now().Add(time.Duration(p.delay.Load()))}
			select {
			case pieces <- x:
			case <-ctx.Done():
				err = io.EOF
			}
		}
		if err != nil {
			break
		}
	}
	close(pieces)
	writer.Wait()
}

func (c *pair) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// reset closes with RST: what was on its way is thrown away.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}

// each calls f with a share of the connections, chosen by r.
func (p *proxy) each(r *rand.Rand, share float64, f func(*pair)) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		if r.Float64() < share {
			f(c)
			n++
		}
	}
	return n
}

// cut ends connections within their next bytes, wherever that is in a frame.
func (p *proxy) cut(r *rand.Rand, share float64) int {
	return p.each(r, share, func(c *pair) { c.cutAfter.Store(r.Int64N(400)) })
}

// resets ends connections at once, with RST both ways.
func (p *proxy) resets(r *rand.Rand, share float64) int {
	return p.each(r, share, func(c *pair) {
		reset(c.client)
		reset(c.server)
	})
}

// stall lets nothing pass until the function that it returns is called.
func (p *proxy) stall() (over func()) {
	s := &halt{over: make(chan struct{})}
	p.stalled.Store(s)
	return func() {
		p.stalled.CompareAndSwap(s, nil)
		s.lift()
	}
}

// close ends it, and waits for all that it has begun.
func (p *proxy) close() {
	_ = p.ln.Close()
	if s := p.stalled.Swap(nil); s != nil {
		s.lift()
	}
	p.mu.Lock()
	p.closed = true
	for c := range p.pairs {
		c.close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}
