package mux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen before it says that it does not.
const patience = 30 * time.Second

// server is the other side: it takes connections, and has each stream served.
type server struct {
	t     testing.TB
	ln    net.Listener
	serve func(net.Conn)
	wg    sync.WaitGroup
	dials atomic.Int64

	mu       sync.Mutex
	sessions []*yamux.Session
}

func newServer(t testing.TB, serve func(net.Conn)) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, ln: ln, serve: serve}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		_ = ln.Close()
		s.mu.Lock()
		for _, session := range s.sessions {
			_ = session.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func quiet() *yamux.Config {
	c := yamux.DefaultConfig()
	c.LogOutput = io.Discard
	return c
}

func (s *server) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		session, err := yamux.Server(nc, quiet())
		if err != nil {
			s.t.Error(err)
			return
		}
		s.mu.Lock()
		s.sessions = append(s.sessions, session)
		s.mu.Unlock()
		s.wg.Go(func() {
			for {
				stream, err := session.Accept()
				if err != nil {
					return
				}
				s.wg.Go(func() {
					defer func() { _ = stream.Close() }()
					s.serve(stream)
				})
			}
		})
	}
}

// session returns the nth connection.
func (s *server) session(n int) *yamux.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[n]
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	s.dials.Add(1)
	return new(net.Dialer).DialContext(ctx, "tcp", s.ln.Addr().String())
}

func (s *server) pool(c Config) *Pool {
	c.Dial = s.dial
	p := NewPool(c)
	s.t.Cleanup(p.Close)
	return p
}

func echo(nc net.Conn) { _, _ = io.Copy(nc, nc) }

func open(t testing.TB, p *Pool) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	nc, err := p.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// say sends a word and waits for its echo.
func say(nc net.Conn, word string) error {
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, word); err != nil {
		return err
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(nc, got); err != nil {
		return err
	}
	if string(got) != word {
		return fmt.Errorf("got %q, want %q", got, word)
	}
	return nil
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %s in %v", what, patience)
		}
	}
}

// TestFill: connections are filled evenly, another is dialled when all are full, and no more than there may be; who leaves makes room.
func TestFill(t *testing.T) {
	for _, tt := range []struct {
		name         string
		c            Config
		opens, dials int
	}{
		{"one after the other", Config{Conns: 3, Streams: 2}, 5, 3},
		{"spread first", Config{Spread: 2, Conns: 3, Streams: 10}, 5, 2},
		{"one does", Config{Conns: 3, Streams: 10}, 5, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, echo)
			p := s.pool(tt.c)
			var all []net.Conn
			for range tt.opens {
				all = append(all, open(t, p))
			}
			for i, nc := range all {
				if err := say(nc, fmt.Sprint("stream ", i)); err != nil {
					t.Error(err)
				}
			}
			if n := int(s.dials.Load()); n != tt.dials || p.Conns() != tt.dials {
				t.Errorf("%d dials, %d connections, want %d", n, p.Conns(), tt.dials)
			}
			for len(all) < tt.c.Conns*tt.c.Streams {
				all = append(all, open(t, p))
			}
			if _, err := p.Open(t.Context()); !errors.Is(err, ErrFull) {
				t.Errorf("got %v, want %v", err, ErrFull)
			}
			_ = all[0].Close()
			if err := say(open(t, p), "in its place"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAtOnce: those that come while a connection is being dialled wait for it, and share it; if it can't be made, all are told.
func TestAtOnce(t *testing.T) {
	s := newServer(t, echo)
	p := s.pool(Config{Conns: 2, Streams: 25, Idle: time.Hour})
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			nc, err := p.Open(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = nc.Close() }()
			if err := say(nc, fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.dials.Load(); n > 2 {
		t.Errorf("%d dials, want 2 at the most", n)
	}
	refused := errors.New("refused")
	begun, release := make(chan struct{}), make(chan struct{})
	q := NewPool(Config{Streams: 10, Dial: func(context.Context) (net.Conn, error) {
		close(begun)
		<-release
		return nil, refused
	}})
	defer q.Close()
	all.Go(func() {
		if _, err := q.Open(t.Context()); !errors.Is(err, refused) {
			t.Errorf("who dials is told %v", err)
		}
	})
	<-begun
	all.Go(func() {
		if _, err := q.Open(t.Context()); !errors.Is(err, refused) {
			t.Errorf("who waits is told %v", err)
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	all.Go(func() {
		if _, err := q.Open(ctx); !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("who gives up is told %v", err)
		}
	})
	eventually(t, "three that wait", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.carriers[0].streams == 3
	})
	cancel(io.ErrNoProgress)
	eventually(t, "two that wait", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.carriers[0].streams == 2
	})
	close(release)
	all.Wait()
	if q.Conns() != 0 {
		t.Errorf("%d connections are left of a dial that failed", q.Conns())
	}
}

// TestDeath: a connection that dies takes its streams with it, and the next stream has another.
func TestDeath(t *testing.T) {
	s := newServer(t, echo)
	p := s.pool(Config{Conns: 1, Streams: 10})
	a, b := open(t, p), open(t, p)
	if err := errors.Join(say(a, "a"), say(b, "b")); err != nil {
		t.Fatal(err)
	}
	_ = s.session(0).Close()
	for _, nc := range []net.Conn{a, b} {
		if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stream of a dead connection reads %v, want its end", err)
		}
	}
	if err := say(open(t, p), "c"); err != nil {
		t.Error(err)
	}
	if n := s.dials.Load(); n != 2 || p.Conns() != 1 {
		t.Errorf("%d dials, %d connections, want 2 and 1", n, p.Conns())
	}
}

// TestGoAway: a server that takes no more streams keeps those it has, and its connection ends with the last of them; new ones have another.
func TestGoAway(t *testing.T) {
	s := newServer(t, echo)
	p := s.pool(Config{Conns: 1, Streams: 10})
	old := open(t, p)
	if err := say(old, "before"); err != nil {
		t.Fatal(err)
	}
	if err := s.session(0).GoAway(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "second connection", func() bool {
		nc := open(t, p)
		defer func() { _ = nc.Close() }()
		return say(nc, "after") == nil && s.dials.Load() == 2 // one that is opened before the news has come is reset
	})
	if err := say(old, "still"); err != nil {
		t.Error(err)
	}
	_ = old.Close()
	eventually(t, "end of the first", func() bool { return s.session(0).IsClosed() })
}

// TestIdle: a connection that carries nothing is closed after its time, and not before.
func TestIdle(t *testing.T) {
	for _, idle := range []time.Duration{0, 10 * time.Millisecond, time.Hour} {
		s := newServer(t, echo)
		p := s.pool(Config{Idle: idle})
		nc := open(t, p)
		if err := say(nc, "one"); err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
		_ = nc.Close() // counts once
		if idle < time.Hour {
			eventually(t, "end", func() bool { return p.Conns() == 0 && s.session(0).IsClosed() })
		}
		if err := say(open(t, p), "two"); err != nil {
			t.Fatal(err)
		}
		if n := s.dials.Load(); (n == 1) != (idle == time.Hour) {
			t.Errorf("idle %v: %d dials", idle, n)
		}
	}
}

// TestNotAccepted: a server that accepts no streams holds up who opens one until the context ends, and no longer.
func TestNotAccepted(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	p := NewPool(Config{Streams: 1000, Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}})
	defer p.Close()
	for range 256 { // yamux lets so many wait to be accepted
		open(t, p)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := p.Open(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

// TestGarbage: a server that speaks something else ends its connection.
func TestGarbage(t *testing.T) {
	for _, said := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff", // four gigabytes for the first stream
		"\x00\x09\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00", // no such type
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.ReadFull(nc, make([]byte, headerLen)) // the first stream is open
			_, _ = io.WriteString(nc, said)
			_, _ = io.Copy(io.Discard, nc)
			_ = nc.Close()
		}()
		p := NewPool(Config{Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
		}})
		if nc, err := p.Open(t.Context()); err == nil { // else the garbage was faster
			_ = nc.SetReadDeadline(time.Now().Add(patience))
			if _, err := nc.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q: got %v, want the end of the stream", said, err)
			}
		}
		eventually(t, "end of the connection", func() bool { return p.Conns() == 0 })
		p.Close()
		_ = ln.Close()
	}
}

// TestClosed: a pool that has been closed opens nothing, and its streams have ended.
func TestClosed(t *testing.T) {
	s := newServer(t, echo)
	p := s.pool(Config{Idle: time.Hour})
	nc := open(t, p)
	p.Close()
	if _, err := p.Open(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("a stream of a closed pool can be read")
	}
	_ = nc.Close()
	p.Close()
}
