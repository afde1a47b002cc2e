package transport

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// onLoop is the network whose connections an event loop serves.
var onLoop = networks[4]

// started is start, and Start.
func started(t testing.TB, opt *Options, l *life, first []byte) (s *served, ended chan error) {
	t.Helper()
	s, ended = start(t, onLoop, opt, l), make(chan error, 1)
	if !s.Start(first, EndFunc(func(err error) { ended <- err })) {
		t.Fatal("it does not run on a loop")
	}
	t.Cleanup(func() { _ = s.peer.Close() })
	return s, ended
}

func TestStartOnTheGoroutineDriver(t *testing.T) {
	t.Parallel()
	s := start(t, networks[0], nil, &life{})
	if s.Start(nil, nil) {
		t.Fatal("it has started something")
	}
	s.run(t)
}

// Start is given what Serve is given, and tells what Serve returns.
func TestStart(t *testing.T) {
	t.Parallel()
	got := make(chan string, 2)
	l := &life{data: func(_ time.Time, b []byte) (int, Next) { got <- string(b); return 1, More }}
	s, ended := started(t, nil, l, []byte("ab"))
	if b := within(t, got, "the first bytes"); b != "ab" {
		t.Errorf("given %q", b)
	}
	must(t, s.peer, []byte("c"))
	if b := within(t, got, "the next"); b != "bc" {
		t.Errorf("given %q", b)
	}
	_ = s.peer.Close()
	if err := within(t, ended, "the end"); !errors.Is(err, io.EOF) {
		t.Errorf("ended with %v", err)
	}
	if s.NetConn().RemoteAddr().String() != s.peer.LocalAddr().String() || s.NetConn().LocalAddr().String() != s.peer.RemoteAddr().String() {
		t.Error("the addresses are gone")
	}
}

// A logic that panics takes its connection with it, and no other of the loop.
func TestPanicOnALoop(t *testing.T) {
	t.Parallel()
	beside := echo(t, onLoop)
	for _, where := range []string{"Data", "EOF", "Tick", "Deadline", "Drained"} {
		t.Run(where, func(t *testing.T) {
			bug := func(here string) {
				if here == where {
					panic("a bug in " + here)
				}
			}
			l := &life{
				data:     func(_ time.Time, b []byte) (int, Next) { bug("Data"); return len(b), More },
				eof:      func(time.Time) Next { bug("EOF"); return Close },
				tick:     func(time.Time) Next { bug("Tick"); return More },
				drained:  func() { bug("Drained") },
				deadline: func() time.Time { bug("Deadline"); return time.Time{} },
			}
			s, ended := started(t, &Options{High: 10}, l, nil)
			_, _ = s.Append(make([]byte, 11))
			s.Flush(false)
			s.Wake()
			_, _ = s.peer.Write([]byte("a"))
			_ = s.peer.(*net.TCPConn).CloseWrite() // or the connection has ended already
			var p *PanicError
			if err := within(t, ended, "the end"); !errors.As(err, &p) || p.Value != "a bug in "+where || len(p.Stack) == 0 {
				t.Errorf("ended with %v", err)
			}
			pingPong(t, beside, []byte("still there"))
		})
	}
}

// Connections that come and go leave no descriptor behind, however they end.
func TestNoDescriptorIsLeft(t *testing.T) { // beside no other test
	count := func() int {
		all, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(all)
	}
	one, other := tcpPair(t) // with the first connection Go's own poller comes
	_, _ = one.Close(), other.Close()
	before := count()
	const each = 10
	var ends []chan error
	for range each {
		for _, how := range []string{"logic", "peer", "reset", "panic", "never read", "unread"} {
			l := &life{}
			if how == "panic" {
				l.data = func(time.Time, []byte) (int, Next) { panic("a bug") }
			}
			if how == "unread" {
				l.data = func(_ time.Time, b []byte) (int, Next) { return len(b), Close }
			}
			s, ended := started(t, &Options{WriteTimeout: 50 * time.Millisecond}, l, nil)
			switch how {
			case "logic":
				l.stop.Store(true)
				s.Wake()
			case "reset":
				reset(t, s.peer)
			case "never read":
				_, _ = s.Write(make([]byte, 8<<20))
			case "peer", "panic":
				_, _ = s.peer.Write([]byte("a"))
				_ = s.peer.Close()
			case "unread":
				_, _ = s.peer.Write(make([]byte, 100_000))
			}
			ends = append(ends, ended)
		}
	}
	for _, ended := range ends {
		_ = within(t, ended, "an end")
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) { // the loop's own go with its last connection
		if now := count(); now <= before+3*each { // the peers of three ways to end are still open
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d descriptors, %d before", now, before)
		}
	}
}

// When the loop was held up, what the peer has sent meanwhile is read before the Tick that is due.
func TestLateTickLooksFirstOnALoop(t *testing.T) { // beside no other test, which would be held up, too
	const allowed, stopped = 50 * time.Millisecond, 300 * time.Millisecond
	var calls []string
	last, began, sent := time.Now().Add(time.Hour), make(chan struct{}), make(chan struct{}) // nothing is due before the first byte
	s, ended := started(t, nil, &life{
		data: func(now time.Time, b []byte) (int, Next) {
			calls, last = append(calls, "data "+string(b)), now
			if len(calls) == 1 {
				close(began)
				<-sent
				time.Sleep(stopped)
			}
			return len(b), More
		},
		deadline: func() time.Time { return last.Add(allowed) },
		tick:     func(time.Time) Next { calls = append(calls, "tick"); return Close },
	}, nil)
	must(t, s.peer, []byte("a"))
	within(t, began, "the first byte")
	must(t, s.peer, []byte("b"))
	close(sent)
	if err := within(t, ended, "the end"); err != nil {
		t.Error(err)
	}
	if want := []string{"data a", "data b", "tick"}; !slices.Equal(calls, want) {
		t.Errorf("called %q, not %q", calls, want)
	}
}

// Whatever is set, moved and taken out: the heap gives each the call that it waits for, in order.
func TestTimers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		var h timers
		conns, want := make([]loopConn, 100), map[*loopConn]int64{}
		for range 2000 {
			c := &conns[r.IntN(len(conns))]
			switch at := r.Int64N(1000); r.IntN(4) {
			case 0:
				h.remove(c)
				delete(want, c)
			default:
				h.set(c, at)
				if was, ok := want[c]; at != 0 && (!ok || at < was) {
					want[c] = at
				}
			}
		}
		last := int64(0)
		for len(h) > 0 {
			at := h[0].at
			c := h.pop()
			if at < last || want[c] != at {
				t.Fatalf("seed %d: %d after %d, it was set to %d", seed, at, last, want[c])
			}
			last = at
			delete(want, c)
		}
		if len(want) > 0 {
			t.Fatalf("seed %d: %d were forgotten", seed, len(want))
		}
	}
}

func TestTimersWait(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		at   int64
		want int
	}{{100, 0}, {99, 0}, {101, 1}, {100 + 1e6, 1}, {101 + 1e6, 2}, {100 + 90*24*3600*1e9, 3600_000}} {
		h := timers{{at: tt.at}}
		if got := h.wait(100); got != tt.want {
			t.Errorf("to %d: %d ms, not %d", tt.at, got, tt.want)
		}
	}
	if got := (timers{}).wait(100); got != -1 {
		t.Errorf("for nothing: %d", got)
	}
}

// Drained is never called from within a Write, an Append or a Flush: their caller may hold what it needs.
func TestDrainedComesFromTheLoop(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	drained := make(chan struct{}, 10)
	l := &life{drained: func() { mu.Lock(); defer mu.Unlock(); drained <- struct{}{} }}
	s, ended := started(t, &Options{High: 10}, l, nil)
	go func() { _, _ = io.Copy(io.Discard, s.peer) }()
	for range 100 {
		mu.Lock()
		full, _ := s.Append(make([]byte, 100))
		s.Flush(true)
		_, _ = s.Write(make([]byte, 100))
		mu.Unlock()
		if full {
			within(t, drained, "Drained")
		}
	}
	_ = s.peer.Close()
	_ = within(t, ended, "the end")
}

// What many connections append to one in a turn leaves together.
func TestFlushesOfATurnLeaveTogether(t *testing.T) { // beside no other test, which would be held up, too
	const conns, frame = 100, "frame"
	to := start(t, onLoop, nil, &life{}).run(t)
	l := to.Conn.(*loopConn).loop
	held, all := make(chan struct{}), make(chan struct{})
	hold := &life{tick: func(time.Time) Next { close(held); <-all; return More }}
	holder := start(t, onLoop, nil, hold).run(t)
	var from []*served
	for len(from) < conns {
		s := start(t, onLoop, nil, &life{data: func(_ time.Time, b []byte) (int, Next) {
			_, _ = to.Append(b)
			to.Flush(true)
			return len(b), More
		}}).run(t)
		if s.Conn.(*loopConn).loop == l { // each loop has turns of its own
			from = append(from, s)
		}
	}
	for holder.Conn.(*loopConn).loop != l {
		holder = start(t, onLoop, nil, hold).run(t)
	}
	for _, s := range append(from, holder) {
		watched(t, s)
	}
	holder.Wake()
	within(t, held, "the loop to be held up")
	for _, s := range from {
		must(t, s.peer, []byte(frame))
	}
	// Bytes that are there are not known to the poller at once. What it says here it will say again.
	ready, events := map[int32]bool{}, make([]syscall.EpollEvent, maxEvents)
	for end := time.Now().Add(patience); len(ready) < conns && time.Now().Before(end); {
		clear(ready)
		for _, e := range l.wait(events, 1) {
			if e.Fd != l.bell && e.Fd != to.Conn.(*loopConn).fd {
				ready[e.Fd] = true
			}
		}
	}
	close(all)
	got := make([]byte, 2*conns*len(frame))
	if n, err := to.peer.Read(got); n != conns*len(frame) || err != nil {
		t.Errorf("%d bytes came at once (%v), not %d", n, err, conns*len(frame))
	}
}

// watched waits until the loop has begun to serve the connection.
func watched(t *testing.T, s *served) {
	t.Helper()
	c := s.Conn.(*loopConn)
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		c.mu.Lock()
		begun := c.watched != 0
		c.mu.Unlock()
		if begun {
			return
		}
	}
	t.Fatal("the loop did not begin to serve the connection")
}
