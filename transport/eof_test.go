package transport

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// The end is told once, after all the bytes before it; Close then ends the connection with io.EOF.
func TestEndOfThePeer(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		var calls []string
		s := start(t, n, nil, &life{
			data: func(_ time.Time, b []byte) (int, Next) { calls = append(calls, string(b)); return len(b), More },
			eof:  func(time.Time) Next { calls = append(calls, "EOF"); return Close },
		}).run(t)
		must(t, s.peer, []byte("last"))
		if !halfClose(t, s.peer) {
			_ = s.peer.Close()
		}
		if err := s.end(t); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		if want := []string{"last", "EOF"}; !slices.Equal(calls, want) {
			t.Errorf("the calls were %q, not %q", calls, want)
		}
	})
}

// The last bytes and the end of the stream raise one event on a socket. Both must be seen, the end at the next look if not at once, and the
// looking must not keep the processor busy.
func TestEndTogetherWithTheLastBytes(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		if n.name == "pipe" {
			t.Skip("a pipe has no buffer that could hold both")
		}
		began, closed := make(chan struct{}), make(chan struct{})
		var got []byte
		var since time.Time
		var after time.Duration
		looks := 0
		s := start(t, n, nil, &life{
			data: func(now time.Time, b []byte) (int, Next) {
				if got == nil {
					close(began)
					<-closed                         // so that the next read finds the last bytes and the end behind them,
					time.Sleep(5 * time.Millisecond) // and, nearly always, the poller has merged both events by then
				}
				got, since = append(got, b...), now
				return len(b), More
			},
			deadline: func() time.Time { looks++; return time.Time{} },
			eof:      func(now time.Time) Next { after = now.Sub(since); return Close },
		}).run(t)
		must(t, s.peer, []byte("a"))
		within(t, began, "the first byte")
		must(t, s.peer, []byte("bc"))
		halfClose(t, s.peer)
		close(closed)
		if err := s.end(t); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		if string(got) != "abc" {
			t.Errorf("got %q", got)
		}
		t.Logf("the end was seen after %v", after)
		if looks > 20 {
			t.Errorf("looked at the deadline %d times while it waited", looks)
		}
	})
}

// A logic that does not close when the peer has ended goes on writing, and ticking, until a Tick closes.
func TestLingeringAfterTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		if n.name == "pipe" {
			t.Skip("a pipe has no half-close")
		}
		for _, answer := range []Next{More, Pause} {
			var calls []string
			var ended time.Time
			l := &life{}
			s := start(t, n, nil, l)
			l.data = func(_ time.Time, b []byte) (int, Next) { calls = append(calls, "data"); return 0, More }
			l.eof = func(now time.Time) Next {
				if s.held() != 0 {
					t.Error("buffers are held that nothing can fill any more")
				}
				calls, ended = append(calls, "EOF"), now
				s.Resume() // has no effect: there is nothing to read
				return answer
			}
			l.deadline = func() time.Time {
				if ended.IsZero() {
					return ended
				}
				return ended.Add(time.Duration(len(calls)) * 5 * time.Millisecond)
			}
			l.tick = func(time.Time) Next {
				calls = append(calls, "tick")
				if _, err := s.Write([]byte("still here ")); err != nil {
					t.Error(err)
				}
				if len(calls) == 5 {
					return Close
				}
				return More
			}
			s.run(t)
			must(t, s.peer, []byte("unfinished"))
			halfClose(t, s.peer)
			got, err := io.ReadAll(s.peer)
			if want := "still here still here still here "; string(got) != want || err != nil {
				t.Errorf("the peer got %q (%v), not %q", got, err, want)
			}
			if err := s.end(t); !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
			if want := []string{"data", "EOF", "tick", "tick", "tick"}; !slices.Equal(calls, want) {
				t.Errorf("the calls were %q, not %q", calls, want)
			}
		}
	})
}

// An end that comes in a pause is told when reading goes on.
func TestEndInAPause(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		var calls []string
		paused, ticked := make(chan struct{}), make(chan struct{})
		s := start(t, n, nil, &life{
			data: func(_ time.Time, b []byte) (int, Next) {
				calls = append(calls, "data "+string(b))
				if len(b) == 0 {
					return 0, More
				}
				close(paused)
				return len(b), Pause
			},
			tick: func(time.Time) Next { calls = append(calls, "tick"); close(ticked); return More },
			eof:  func(time.Time) Next { calls = append(calls, "EOF"); return Close },
		}).run(t)
		must(t, s.peer, []byte("a"))
		within(t, paused, "the pause")
		if !halfClose(t, s.peer) {
			_ = s.peer.Close()
		}
		s.Wake()
		within(t, ticked, "a tick")
		s.Resume()
		if err := s.end(t); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
		if want := []string{"data a", "tick", "data ", "EOF"}; !slices.Equal(calls, want) {
			t.Errorf("the calls were %q, not %q", calls, want)
		}
	})
}

// reset ends the peer's side with an RST.
func reset(t *testing.T, peer net.Conn) {
	t.Helper()
	if under, ok := peer.(interface{ NetConn() net.Conn }); ok {
		peer = under.NetConn()
	}
	if err := errors.Join(peer.(*net.TCPConn).SetLinger(0), peer.Close()); err != nil {
		t.Error(err)
	}
}

// A reset is an error, not an end; also in a pause, when it is written to.
func TestResetByThePeer(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		if n.name == "pipe" {
			t.Skip("a pipe knows no reset")
		}
		for _, state := range []string{"reading", "paused", "lingering"} {
			t.Run(state, func(t *testing.T) {
				ready, writes := make(chan struct{}, 1), 0
				l := &life{eof: func(time.Time) Next { ready <- struct{}{}; return More }}
				l.data = func(_ time.Time, b []byte) (int, Next) {
					if state == "lingering" {
						return len(b), More
					}
					ready <- struct{}{}
					if state == "paused" {
						return len(b), Pause
					}
					return len(b), More
				}
				s := start(t, n, nil, l)
				if state != "reading" { // or it would not learn of it
					next := time.Now()
					l.deadline = func() time.Time { return next }
					l.tick = func(now time.Time) Next {
						writes++
						next = now.Add(time.Millisecond)
						_, _ = s.Write([]byte("hello?"))
						return More
					}
				}
				s.run(t)
				must(t, s.peer, []byte("a"))
				if state == "lingering" {
					halfClose(t, s.peer)
				}
				within(t, ready, "the state")
				reset(t, s.peer)
				err := s.end(t)
				if !errors.Is(err, syscall.ECONNRESET) && (writes == 0 || !errors.Is(err, syscall.EPIPE)) {
					t.Errorf("ended with %v", err)
				}
				if _, err := s.Write([]byte("b")); err == nil {
					t.Error("a write after the end was taken")
				}
			})
		}
	})
}

// A TLS connection that is cut within a record has lost something: that is no io.EOF. Between records crypto/tls takes it for an end.
func TestCutTLS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		last string
		want error
	}{
		{"", io.EOF},
		{"\x17\x03\x03\x01\x00the begin", io.ErrUnexpectedEOF},
	} {
		told := false
		s := start(t, networks[3], nil, &life{eof: func(time.Time) Next { told = true; return Close }}).run(t)
		under := s.peer.(interface{ NetConn() net.Conn }).NetConn()
		must(t, under, []byte(tt.last))
		_ = under.Close()
		if err := s.end(t); !errors.Is(err, tt.want) {
			t.Errorf("%q: ended with %v, not %v", tt.last, err, tt.want)
		}
		if want := tt.want == io.EOF; told != want {
			t.Errorf("%q: told of the end: %v", tt.last, told)
		}
	}
}

// Without Pause and deadline nothing but the peer ends a connection, however long that takes.
func TestSilenceIsNotAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, networks[2], nil, &life{}).run(t)
		time.Sleep(10_000 * time.Hour)
		_ = s.peer.Close()
		if err := s.wait(); !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v", err)
		}
	})
}
