package transport

import (
	"bytes"
	"io"
	"sync"
	"syscall"
	"testing"
	"time"
)

// together are n connections of one loop, which is held up: what happens before release is one turn's.
func together(t *testing.T, n int, lifeOf func(i int) *life) (all []*served, release func()) {
	t.Helper()
	begin := func(l *life) *served {
		s := start(t, onLoop, nil, l)
		s.Start(nil, EndFunc(func(error) { close(s.done) }))
		t.Cleanup(func() {
			l.stop.Store(true)
			s.Wake()
			_ = s.peer.Close()
			<-s.done
		})
		watched(t, s)
		return s
	}
	held, hold := make(chan struct{}), make(chan struct{})
	release = sync.OnceFunc(func() { close(hold) })
	holder := begin(lifeThatHolds(held, hold))
	for len(all) < n {
		if s := begin(lifeOf(len(all))); s.Conn.(*loopConn).loop == holder.Conn.(*loopConn).loop { // each loop has turns of its own
			all = append(all, s)
		}
	}
	holder.Wake()
	t.Cleanup(release)
	within(t, held, "the loop to be held up")
	return all, release
}

func lifeThatHolds(held, hold chan struct{}) *life {
	once := false
	return &life{tick: func(time.Time) Next {
		if !once {
			once = true
			close(held)
			<-hold
		}
		return More
	}}
}

// ready waits until the poller of a loop that is held up knows of all.
func ready(t *testing.T, all []*served) {
	t.Helper()
	l, events := all[0].Conn.(*loopConn).loop, make([]syscall.EpollEvent, maxEvents)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		seen := map[int32]bool{}
		for _, e := range l.wait(events, 1) { // what it says here it will say again
			seen[e.Fd] = true
		}
		n := 0
		for _, s := range all {
			if seen[s.Conn.(*loopConn).fd] {
				n++
			}
		}
		if n == len(all) {
			return
		}
	}
	t.Fatal("the poller does not know of all")
}

// What many send at once is read at once, and each logic sees its own: pieces of frames too, and streams longer than a slot.
func TestReadsOfATurn(t *testing.T) { // beside no other test, which would be held up, too
	const conns = 3*ringSize + 1
	type seen struct {
		got  []byte
		done chan struct{}
	}
	sizes := []int{1, 2, 100, slotSize - 1, slotSize, slotSize + 1, 3 * slotSize}
	all := make([]seen, conns)
	served, release := together(t, conns, func(i int) *life {
		s := &all[i]
		s.done = make(chan struct{})
		want := sizes[i%len(sizes)]
		return &life{data: func(_ time.Time, b []byte) (int, Next) {
			used := len(b)
			if len(s.got)+used < want { // some is always left, and comes again
				used = (used + 1) / 2
			}
			s.got = append(s.got, b[:used]...)
			if len(s.got) == want {
				close(s.done)
			}
			return used, More
		}}
	})
	for i, s := range served {
		must(t, s.peer, stream(sizes[i%len(sizes)]))
	}
	ready(t, served)
	release()
	for i := range all {
		within(t, all[i].done, "all bytes")
		if !bytes.Equal(all[i].got, stream(sizes[i%len(sizes)])) {
			t.Errorf("connection %d got other bytes", i)
		}
	}
}

// One logic of those for which was read at once panics, one ends, one pauses: the others miss nothing.
func TestTroubleAmongReadsOfATurn(t *testing.T) { // beside no other test, which would be held up, too
	const conns = 9
	got := make([]chan string, conns)
	served, release := together(t, conns, func(i int) *life {
		got[i] = make(chan string, 3)
		return &life{data: func(_ time.Time, b []byte) (int, Next) {
			got[i] <- string(b)
			switch {
			case len(b) == 0:
			case i == 1 || i == 5:
				panic("a bug")
			case i == 2:
				return len(b), Close
			case i == 3:
				return 1, Pause
			}
			return len(b), More
		}}
	})
	for _, s := range served {
		must(t, s.peer, []byte("abc"))
	}
	ready(t, served)
	release()
	for i := range got {
		if b := within(t, got[i], "the bytes"); b != "abc" {
			t.Errorf("connection %d was given %q", i, b)
		}
	}
	served[3].Resume()
	if b := within(t, got[3], "what a pause has left"); b != "bc" {
		t.Errorf("given %q after the pause", b)
	}
	for i, s := range served {
		if i == 1 || i == 2 || i == 3 || i == 5 {
			continue
		}
		must(t, s.peer, []byte("d"))
		if b := within(t, got[i], "more"); b != "d" {
			t.Errorf("connection %d was then given %q", i, b)
		}
	}
}

// What is written in a turn, by whatever call, is one stream, and what the socket takes is not called full.
func TestWritesOfATurn(t *testing.T) { // beside no other test, which would be held up, too
	const conns, each = ringSize + 3, 24 << 10
	served, release := together(t, conns, func(int) *life { return &life{} })
	for i, s := range served {
		s.SetOptions(&Options{High: 10 << 10})
		whole := stream(each)
		for b := whole; len(b) > 0; {
			n := min(len(b), 1+len(b)%(9<<10))
			var full bool
			var err error
			if i%2 == 0 && n%3 == 0 { // Append may call full what only a Flush would send
				_, err = s.Append(b[:n])
				s.Flush(n%2 == 0)
			} else {
				full, err = s.Write(b[:n])
			}
			if full && i%2 == 1 || err != nil {
				t.Fatalf("full %v, %v, with %d bytes left", full, err, len(b))
			}
			b = b[n:]
		}
	}
	release()
	for i, s := range served {
		got := make([]byte, each)
		if _, err := io.ReadFull(s.peer, got); err != nil || !bytes.Equal(got, stream(each)) {
			t.Errorf("connection %d: other bytes came, or none: %v", i, err)
		}
	}
}

// How many loops there are, and how many of them have a ring, can be asked: each that serves somebody counts.
func TestLoops(t *testing.T) {
	t.Parallel()
	watched(t, start(t, onLoop, nil, &life{}).run(t))
	all, together := Loops()
	if want := newRing(); want == nil || ringsOff {
		if together != 0 {
			t.Errorf("%d loops of %d have a ring, where there is none", together, all)
		}
	} else if want.close(); all == 0 || together != all {
		t.Errorf("%d loops of %d have a ring", together, all)
	}
}
