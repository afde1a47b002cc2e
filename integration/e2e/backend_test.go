package e2e

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// A backend is a server of the test's own. It can be stopped, with all its connections, and started again at the same address.
type backend struct {
	addr  string
	serve serve

	mu      sync.Mutex // guards all below
	ln      net.Listener
	conns   map[net.Conn]struct{}
	stopped chan struct{}
	wg      sync.WaitGroup
}

// serve runs once for each connection, which is closed when it returns. stopped is closed with the backend.
type serve func(nc net.Conn, stopped <-chan struct{})

// newBackend starts a backend that lasts as long as the test.
func newBackend(t testing.TB, serve serve) *backend {
	t.Helper()
	b := &backend{addr: freeAddr(t), serve: serve, conns: make(map[net.Conn]struct{})}
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *backend) start(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	b.mu.Lock()
	b.ln, b.stopped = ln, stopped
	b.mu.Unlock()
	b.wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			if !b.add(ln, nc) {
				_ = nc.Close()
				return
			}
			b.wg.Go(func() {
				defer b.remove(nc)
				b.serve(nc, stopped)
			})
		}
	})
}

// add says no if the backend was stopped while the connection came in.
func (b *backend) add(ln net.Listener, nc net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ln != ln {
		return false
	}
	b.conns[nc] = struct{}{}
	return true
}

func (b *backend) remove(nc net.Conn) {
	_ = nc.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.conns, nc)
}

// stop closes the listener and every connection, as a process does that ends.
func (b *backend) stop() {
	b.mu.Lock()
	if b.ln != nil {
		_ = b.ln.Close()
		close(b.stopped)
		b.ln = nil
	}
	for nc := range b.conns {
		_ = nc.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// cmdHold is a command whose requests the good backend never answers.
const cmdHold = 0x66

// echoes is a good backend: it answers pings, and requests with their payload. What came in one piece is answered in one.
func echoes(nc net.Conn, _ <-chan struct{}) {
	d := &device{Conn: nc, forever: true}
	var out []byte
	for {
		f, err := d.next()
		if err != nil {
			return
		}
		switch {
		case f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq:
			out = wire.AppendFrame(out, wire.CmdPong, wire.FlagRsp, f.Payload)
		case f.Flag&wire.FlagReq != 0 && f.Cmd != cmdHold:
			out = wire.AppendFrame(out, uint8(f.Cmd), wire.FlagRsp, f.Payload)
		}
		if n, err := decoder.Next(d.buf[d.used:], &f); n > 0 && err == nil {
			continue // more of the piece
		}
		if len(out) > 0 {
			if _, err := nc.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
	}
}

// hangsUpWhenAsked closes at the first frame.
func hangsUpWhenAsked(nc net.Conn, _ <-chan struct{}) {
	_, _ = (&device{Conn: nc, forever: true}).next()
}

// answersGarbage answers the first frame with what is no frame.
func answersGarbage(nc net.Conn, _ <-chan struct{}) {
	if _, err := (&device{Conn: nc, forever: true}).next(); err != nil {
		return
	}
	_, _ = io.WriteString(nc, "HTTP/1.1 400 Bad Request\r\n\r\n")
	_, _ = io.Copy(io.Discard, nc)
}

// neverAnswers reads all and says nothing, not even to pings.
func neverAnswers(nc net.Conn, _ <-chan struct{}) { _, _ = io.Copy(io.Discard, nc) }

// halfAnswers begins an answer and leaves it at that; pings are answered by no one.
func halfAnswers(nc net.Conn, _ <-chan struct{}) {
	if _, err := (&device{Conn: nc, forever: true}).next(); err != nil {
		return
	}
	_, _ = nc.Write(answer([]byte("hello"))[:7])
	_, _ = io.Copy(io.Discard, nc)
}

// neverReads holds its connections and reads nothing.
func neverReads(nc net.Conn, stopped <-chan struct{}) {
	_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	<-stopped
}
