package transport

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// writes counts the writes of the connection underneath.
type writes struct {
	net.Conn
	n atomic.Int64
}

func (w *writes) Write(b []byte) (int, error) {
	w.n.Add(1)
	return w.Conn.Write(b)
}

// What is appended stays until Flush, and leaves with one write.
func TestAppendWaitsForFlush(t *testing.T) {
	for _, atOnce := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			counted := &writes{}
			s := start(t, network{pair: func(testing.TB) (net.Conn, net.Conn) {
				ours, peer := net.Pipe()
				counted.Conn = ours
				return counted, peer
			}}, nil, &life{}).run(t)
			const times = 1000
			for range times {
				if full, err := s.Append([]byte("frame ")); full || err != nil {
					t.Fatal(full, err)
				}
			}
			time.Sleep(time.Hour)
			if n := counted.n.Load(); n != 0 {
				t.Fatalf("%d writes before Flush", n)
			}
			if unsent := s.Unsent(); unsent != times*len("frame ") {
				t.Errorf("%d bytes are unsent", unsent)
			}
			s.Flush(atOnce)
			if _, err := io.CopyN(io.Discard, s.peer, times*int64(len("frame "))); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			s.Flush(atOnce) // of nothing
			synctest.Wait()
			if n := counted.n.Load(); n != 1 {
				t.Errorf("%d writes", n)
			}
			if unsent := s.Unsent(); unsent != 0 {
				t.Errorf("%d bytes are unsent", unsent)
			}
		})
	}
}

// Append and Write keep to one order, and a Write takes what was appended with it.
func TestAppendAndWrite(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		s := start(t, n, nil, &life{}).run(t)
		for _, step := range []struct {
			do   func()
			want string
		}{
			{func() { _, _ = s.Append([]byte("a")); _, _ = s.Write([]byte("b")) }, "ab"},
			{func() { _, _ = s.Write([]byte("c")); _, _ = s.Append([]byte("d")); s.Flush(true) }, "cd"},
			{func() { _, _ = s.Append([]byte("e")); _, _ = s.Append([]byte("f")); s.Flush(false) }, "ef"},
			{func() {
				s.Flush(true)
				s.Flush(false)
				_, _ = s.Append(nil)
				s.Flush(true)
				_, _ = s.Write([]byte("g"))
			}, "g"},
		} {
			go step.do()
			got := make([]byte, len(step.want))
			if _, err := io.ReadFull(s.peer, got); err != nil || string(got) != step.want {
				t.Errorf("got %q (%v), not %q", got, err, step.want)
			}
		}
	})
}

// An Append that reports full is followed by Drained, whoever sends what was appended, and whether the socket takes it at once or not.
func TestFullAppendIsDrained(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, atOnce := range []bool{true, false} {
			for _, size := range []int{101, plug} {
				drained := make(chan struct{}, 10)
				s := startNarrow(t, n, &Options{High: 100}, &life{drained: func() { drained <- struct{}{} }})
				s.run(t)
				for range 3 {
					if full, err := s.Append(make([]byte, size)); !full || err != nil {
						t.Fatal(full, err)
					}
					s.Flush(atOnce)
					if _, err := io.CopyN(io.Discard, s.peer, int64(size)); err != nil {
						t.Fatal(err)
					}
					within(t, drained, "Drained")
					if full, err := s.Append([]byte("a")); full || err != nil {
						t.Fatalf("after Drained: full: %v, %v", full, err)
					}
					s.Flush(atOnce)
					if _, err := io.CopyN(io.Discard, s.peer, 1); err != nil {
						t.Fatal(err)
					}
				}
				if len(drained) != 0 {
					t.Error("drained twice")
				}
			}
		}
	})
}

// What was appended and not flushed belongs to the last words.
func TestCloseFlushes(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		l := &life{}
		s := start(t, n, nil, l).run(t)
		if _, err := s.Append([]byte("goodbye")); err != nil {
			t.Fatal(err)
		}
		l.stop.Store(true)
		s.Wake()
		if got, err := io.ReadAll(s.peer); string(got) != "goodbye" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		if full, err := s.Append([]byte("too late")); full || !errors.Is(err, ErrClosed) {
			t.Errorf("an append after the end: %v, %v", full, err)
		}
		s.Flush(true)
		s.Flush(false)
		if s.Unsent() != 0 {
			t.Errorf("%d bytes are unsent", s.Unsent())
		}
	})
}

// Many that append and flush lose nothing: the last Flush of each sends what it appended, be it with the bytes of another.
func TestConcurrentAppends(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		const appenders, each = 16, 200
		s := start(t, n, &Options{High: 1 << 30}, &life{}).run(t)
		var appending sync.WaitGroup
		for id := range appenders {
			appending.Go(func() {
				for seq := range each {
					b := binary.BigEndian.AppendUint32([]byte{byte(id)}, uint32(seq))
					var err error
					if (id+seq)%10 == 0 {
						_, err = s.Write(b)
					} else {
						_, err = s.Append(b)
					}
					if err != nil {
						t.Error(err)
						return
					}
					s.Flush((id+seq)%3 == 0)
				}
			})
		}
		var next [appenders]uint32
		peer, b := bufio.NewReader(s.peer), make([]byte, 5)
		for i := range appenders * each {
			if _, err := io.ReadFull(peer, b); err != nil {
				t.Fatal(err)
			}
			id, seq := b[0], binary.BigEndian.Uint32(b[1:])
			if id >= appenders || seq != next[id] {
				t.Fatalf("after %d: % x", i, b)
			}
			next[id]++
		}
		appending.Wait()
	})
}
