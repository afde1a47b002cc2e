package transport

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What was written before Close arrives, though the socket could not take it at once, and then the end.
func TestLastWords(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, size := range []int{1, 1000, plug} {
			want := stream(size)
			l := &life{}
			s := startNarrow(t, n, nil, l)
			l.data = func(_ time.Time, b []byte) (int, Next) {
				if _, err := s.Write(want); err != nil {
					t.Error(err)
				}
				return len(b), Close
			}
			s.run(t)
			must(t, s.peer, []byte("a"))
			got, err := io.ReadAll(s.peer)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("of %d bytes %d came, then %v", size, len(got), err)
			}
			if err := s.end(t); err != nil {
				t.Error(err)
			}
		}
	})
}

// A peer that does not listen to the last words is left after lastWords, or after the write timeout where that is shorter.
func TestLastWordsEnd(t *testing.T) {
	for _, tt := range []struct{ timeout, want time.Duration }{
		{0, lastWords},
		{time.Minute, lastWords},
		{time.Second, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &life{}
			s := start(t, networks[2], &Options{WriteTimeout: tt.timeout}, l).run(t)
			if _, err := s.Write([]byte("goodbye")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			l.stop.Store(true)
			s.Wake()
			if err := s.wait(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took != tt.want {
				t.Errorf("with a write timeout of %v: ended after %v, not %v", tt.timeout, took, tt.want)
			}
			if _, err := s.Write([]byte("a")); !errors.Is(err, ErrWriteTimeout) {
				t.Errorf("a write after the end: %v", err)
			}
		})
	}
}

// On real sockets, too; and TLS, which would say goodbye once more, does not wait longer.
func TestLastWordsEndOnEach(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		l := &life{}
		s := startNarrow(t, n, &Options{WriteTimeout: 300 * time.Millisecond, High: 1 << 20}, l)
		s.run(t)
		if _, err := s.Write(make([]byte, plug)); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		l.stop.Store(true)
		s.Wake()
		if err := s.end(t); err != nil && !errors.Is(err, ErrWriteTimeout) {
			t.Error(err)
		}
		if took := time.Since(began); took >= 5*time.Second {
			t.Errorf("it took %v: as long as crypto/tls waits with its goodbye", took)
		}
	})
}

// The last words of a connection whose peer has ended its side are sent.
func TestLastWordsAfterTheEndOfThePeer(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		want := stream(plug)
		l := &life{}
		s := startNarrow(t, n, nil, l)
		l.eof = func(time.Time) Next {
			if _, err := s.Write(want); err != nil {
				t.Error(err)
			}
			return Close
		}
		s.run(t)
		if !halfClose(t, s.peer) {
			t.Skip("a pipe has no half-close")
		}
		got, err := io.ReadAll(s.peer)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came, then %v", len(got), err)
		}
		if err := s.end(t); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}

// Last words reach a peer that goes on sending, although nobody reads that: the connection is not reset over it.
func TestLastWordsToAPeerThatSends(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		if n.name == "pipe" || n.name == "hidden tcp" {
			t.Skip("it can't end one direction alone")
		}
		want, unread := stream(plug), make(chan struct{})
		l := &life{}
		s := startNarrow(t, n, nil, l)
		l.data = func(_ time.Time, b []byte) (int, Next) {
			<-unread
			if _, err := s.Write(want); err != nil {
				t.Error(err)
			}
			return len(b), Close
		}
		s.run(t)
		must(t, s.peer, []byte("a"))
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range 5 {
				if _, err := s.peer.Write(make([]byte, 100_000)); err != nil {
					t.Errorf("the peer's write: %v", err)
					return
				}
				if i == 0 {
					close(unread)
				}
			}
		}()
		got, err := io.ReadAll(s.peer)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came, then %v", len(got), err)
		}
		within(t, sent, "the peer")
		_ = s.peer.Close()
		if err := s.end(t); err != nil {
			t.Error(err)
		}
	})
}

// A peer that sends for ever is left all the same.
func TestLingeringEnds(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		s := start(t, n, &Options{WriteTimeout: 100 * time.Millisecond}, &life{
			data: func(_ time.Time, b []byte) (int, Next) { return len(b), Close },
		}).run(t)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for block := stream(100_000); ; {
				if _, err := s.peer.Write(block); err != nil {
					return
				}
			}
		}()
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		within(t, sent, "the peer's write to fail")
	})
}

// A peer that floods is not read from for all the time of last words.
func TestLingeringForgetsSoMuch(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		if n.name == "pipe" || n.name == "hidden tcp" {
			t.Skip("it can't end one direction alone, and does not linger")
		}
		s := start(t, n, nil, &life{
			data: func(_ time.Time, b []byte) (int, Next) { return len(b), Close },
		}).run(t)
		sent := make(chan int)
		go func() {
			total := 0
			for block := stream(100_000); ; {
				n, err := s.peer.Write(block)
				if total += n; err != nil {
					sent <- total
					return
				}
			}
		}()
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		const buffers = 32 << 20 // of both sockets, at the most
		if n := <-sent; n > maxForgotten+buffers {
			t.Errorf("%d bytes of a flood were taken, want no more than %d and what sockets hold", n, maxForgotten)
		}
	})
}

// Writers that race with the end all learn of it, and none is left behind: the WaitGroup is not misused, no writer outlives Serve.
func TestWritersRaceWithTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for round := range 10 {
			var ended atomic.Bool
			l := &life{drained: func() {
				if ended.Load() {
					t.Error("drained after Serve")
				}
			}}
			s := start(t, n, &Options{High: 10_000, WriteTimeout: 5 * time.Millisecond}, l)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = s.Serve(nil)
				ended.Store(true)
			}()
			var writing sync.WaitGroup
			writing.Go(func() { // a peer that reads for a while
				_, _ = io.CopyN(io.Discard, s.peer, int64(round)*50_000)
				l.stop.Store(true)
				s.Wake()
			})
			for id := range 4 {
				writing.Go(func() {
					for block := stream(1000 * (id + 1)); ; {
						if _, err := s.Write(block); err != nil {
							if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrWriteTimeout) {
								t.Error(err)
							}
							return
						}
						time.Sleep(time.Microsecond)
					}
				})
			}
			within(t, done, "Serve")
			_ = s.peer.Close()
			writing.Wait()
			if s.writes() {
				t.Error("somebody is still writing, or something is still kept")
			}
		}
	})
}

// A logic that panics takes its connection with it, and what recovers finds nothing left open.
func TestPanicCloses(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		s := start(t, n, nil, &life{data: func(time.Time, []byte) (int, Next) { panic("a bug") }})
		recovered := make(chan any, 1)
		go func() {
			defer func() { recovered <- recover() }()
			_ = s.Serve(nil)
		}()
		must(t, s.peer, []byte("a"))
		if got := within(t, recovered, "the panic"); got != "a bug" {
			t.Errorf("recovered %v", got)
		}
		if _, err := s.Write([]byte("a")); !errors.Is(err, ErrClosed) {
			t.Errorf("a write afterwards: %v", err)
		}
		if _, err := io.ReadAll(s.peer); err != nil && n.name != "tls" { // which got no goodbye
			t.Error(err)
		}
		_ = s.peer.Close()
	})
}

// A failed write is what Serve returns, although the Tick that it causes closes the connection.
func TestFailedWriteIsTheCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, networks[2], nil, &life{tick: func(time.Time) Next { return Close }}).run(t)
		if _, err := s.Write([]byte("nobody reads this")); err != nil {
			t.Fatal(err)
		}
		if err := s.wait(); !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestOptionsDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		opt     *Options
		timeout time.Duration
		high    int
	}{
		{nil, 10 * time.Second, 1 << 20},
		{&Options{}, 10 * time.Second, 1 << 20},
		{&Options{WriteTimeout: -1, High: -1}, 10 * time.Second, 1 << 20},
		{&Options{WriteTimeout: time.Second, High: 5}, time.Second, 5},
	} {
		if got := tt.opt.writeTimeout(); got != tt.timeout {
			t.Errorf("%+v: write timeout %v", tt.opt, got)
		}
		if got := tt.opt.high(); got != tt.high {
			t.Errorf("%+v: high %d", tt.opt, got)
		}
	}
}
