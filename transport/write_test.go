package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// What is written arrives, whole and in order, and the caller may use his buffer anew at once.
func TestWritesArriveInOrder(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		var want []byte
		for _, size := range []int{1, 0, 64, 100, 4 << 10, 64 << 10, 64<<10 + 1, 300_000, 1, 1 << 20, 7} {
			want = append(want, stream(size)...)
		}
		s := start(t, n, &Options{High: 100 << 20}, &life{}).run(t)
		got := make(chan []byte)
		go func() {
			b := make([]byte, len(want))
			_, _ = io.ReadFull(s.peer, b)
			got <- b
		}()
		buf := make([]byte, 0, 1<<20)
		for left := want; len(left) > 0; {
			for _, size := range []int{1, 0, 64, 100, 4 << 10, 64 << 10, 64<<10 + 1, 300_000, 1, 1 << 20, 7} {
				buf = append(buf[:0], left[:size]...)
				if full, err := s.Write(buf); full || err != nil {
					t.Fatal(full, err)
				}
				clear(buf)
				left = left[size:]
			}
		}
		if !bytes.Equal(within(t, got, "all bytes"), want) {
			t.Error("it came changed")
		}
	})
}

// Writes of many goroutines: the bytes of each stay together, and each goroutine's come in its order. The peer reads in fits and starts, so that
// writes meet a socket that takes all, a part, and nothing.
func TestConcurrentWrites(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		const writers, each, large = 16, 60, 30_000
		s := startNarrow(t, n, &Options{High: 1 << 30}, &life{})
		s.run(t)
		var writing sync.WaitGroup
		for id := range writers {
			writing.Go(func() {
				for seq := range each {
					size := (id*31 + seq*7919) % 3000
					if seq%20 == 0 {
						size = large
					}
					b := binary.BigEndian.AppendUint32([]byte{byte(id)}, uint32(seq))
					b = binary.BigEndian.AppendUint32(b, uint32(size))
					b = append(b, bytes.Repeat([]byte{byte(id)}, size)...)
					if _, err := s.Write(b); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		var next [writers]uint32
		header, body := make([]byte, 9), make([]byte, large)
		peer := bufio.NewReader(s.peer)
		for i := range writers * each {
			if i%100 == 0 {
				time.Sleep(time.Millisecond)
			}
			if _, err := io.ReadFull(peer, header); err != nil {
				t.Fatal(err)
			}
			id, seq, size := header[0], binary.BigEndian.Uint32(header[1:]), binary.BigEndian.Uint32(header[5:])
			if id >= writers || size > large || seq != next[id] {
				t.Fatalf("after %d writes: header % x", i, header)
			}
			next[id]++
			if _, err := io.ReadFull(peer, body[:size]); err != nil {
				t.Fatal(err)
			}
			if own := bytes.Count(body[:size], []byte{id}); own != int(size) {
				t.Fatalf("%d bytes of others in a write of %d", int(size)-own, id)
			}
		}
		writing.Wait()
		if unsent := s.Unsent(); unsent != 0 {
			// The last bytes are read before the writer has counted them.
			for deadline := time.Now().Add(patience); s.Unsent() != 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%d bytes are unsent when all have come", unsent)
				}
			}
		}
	})
}

// What the socket left of a write goes before what others wrote while it was tried.
func TestRestOfAWriteGoesFirst(t *testing.T) {
	t.Parallel()
	s := startNarrow(t, networks[0], nil, &life{})
	try, first := s.goroutine().onWritable, true
	s.goroutine().onWritable = func(fd uintptr) bool {
		defer func() {
			if first { // nobody else writes: this one does
				first = false
				if full, err := s.Write([]byte("behind")); !full || err != nil {
					t.Errorf("while a write is tried: %v, %v", full, err)
				}
			}
		}()
		return try(fd)
	}
	s.run(t)
	front := stream(plug)
	if full, err := s.Write(front); !full || err != nil {
		t.Fatal(full, err)
	}
	got := make([]byte, plug+len("behind"))
	if _, err := io.ReadFull(s.peer, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:plug], front) || string(got[plug:]) != "behind" {
		t.Error("they came mixed")
	}
}

// Full is reported beyond High, Drained called once when half of it is left; and so again. Drained may do what it is there for: resume and write.
func TestFullAndDrained(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		const high = 200_000
		var drains atomic.Int64
		drained := make(chan int, 10)
		l := &life{}
		s := startNarrow(t, n, &Options{High: high}, l)
		l.drained = func() {
			drains.Add(1)
			unsent := s.Unsent()
			s.Resume()
			s.Wake()
			if _, err := s.Write([]byte("on")); err != nil {
				t.Error(err)
			}
			drained <- unsent
		}
		s.run(t)
		for round := range int64(3) {
			if full, err := s.Write(make([]byte, plug)); !full || err != nil {
				t.Fatal(full, err)
			}
			if full, err := s.Write([]byte("in spite of it")); !full || err != nil {
				t.Fatal(full, err)
			}
			if unsent := s.Unsent(); unsent <= high {
				t.Fatalf("full with %d bytes unsent", unsent)
			}
			if len(drained) != 0 {
				t.Fatal("drained though nothing was read")
			}
			if _, err := io.CopyN(io.Discard, s.peer, plug+int64(len("in spite of it")+len("on"))); err != nil {
				t.Fatal(err)
			}
			if unsent := within(t, drained, "Drained"); unsent > high/2 {
				t.Errorf("drained with %d bytes unsent", unsent)
			}
			if got := drains.Load(); got != round+1 {
				t.Fatalf("drained %d times in %d rounds", got, round+1)
			}
		}
	})
}

// A pipe takes nothing by itself, so that the bound can be tested to the byte.
func TestFullToTheByte(t *testing.T) {
	for _, tt := range []struct {
		writes []int
		full   bool // what the last one reports
		read   int  // how many bytes the peer then takes
		drains int
	}{
		{writes: []int{100}, full: false, read: 100},
		{writes: []int{101}, full: true, read: 50},
		{writes: []int{101}, full: true, read: 51, drains: 1},
		{writes: []int{99, 1}, full: false, read: 100},
		{writes: []int{99, 1, 1}, full: true, read: 50},
		{writes: []int{99, 1, 1}, full: true, read: 51, drains: 1},
		{writes: []int{99, 1, 1}, full: true, read: 101, drains: 1},
		{writes: []int{0}, full: false},
		{writes: []int{101, 0}, full: true},
		{writes: []int{1000}, full: true, read: 949},
		{writes: []int{1000}, full: true, read: 950, drains: 1},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drains := 0
				s := start(t, networks[2], &Options{High: 100}, &life{drained: func() { drains++ }}).run(t)
				var full bool
				for _, size := range tt.writes {
					full, _ = s.Write(make([]byte, size))
				}
				if full != tt.full {
					t.Errorf("full: %v", full)
				}
				// Byte by byte, as a writer counts what a Write of the connection underneath took when it returns.
				if _, err := io.ReadFull(s.peer, make([]byte, tt.read)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				_ = s.goroutine().nc.SetWriteDeadline(time.Unix(1, 0)) // it returns with a part
				synctest.Wait()
				if drains != tt.drains {
					t.Errorf("drained %d times, not %d", drains, tt.drains)
				}
			})
		})
	}
}

// A peer that takes nothing for the write timeout ends the connection, and Drained is not called for it.
func TestWriteTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		l := &life{drained: func() { t.Error("drained") }}
		s := startNarrow(t, n, &Options{High: 1000, WriteTimeout: 50 * time.Millisecond}, l)
		s.run(t)
		if full, err := s.Write(make([]byte, plug)); !full || err != nil {
			t.Fatal(full, err)
		}
		if err := s.end(t); !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("ended with %v", err)
		}
		if full, err := s.Write([]byte("a")); full || !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("a write after the end: %v, %v", full, err)
		}
	})
}

// The timeout is that of a write, not of a connection: it begins with the bytes, and ends with them.
func TestWriteTimeoutIsOfTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		s := start(t, networks[2], &Options{WriteTimeout: timeout}, &life{}).run(t)
		buf := make([]byte, 10)
		for range 5 {
			time.Sleep(10 * timeout)
			if _, err := s.Write(buf); err != nil {
				t.Fatal(err)
			}
			time.Sleep(timeout - 1)
			if _, err := io.ReadFull(s.peer, buf); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		if _, err := s.Write(buf); err != nil {
			t.Fatal(err)
		}
		if err := s.wait(); !errors.Is(err, ErrWriteTimeout) {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took != timeout {
			t.Errorf("ended after %v", took)
		}
	})
}

// A peer that reads, however slowly, is served.
func TestSlowPeerIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = time.Minute
		s := start(t, networks[2], &Options{WriteTimeout: timeout}, &life{}).run(t)
		want := stream(500)
		if _, err := s.Write(want); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for range want {
			time.Sleep(timeout * 3 / 4)
			b := make([]byte, 1)
			if _, err := io.ReadFull(s.peer, b); err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, want) {
			t.Error("it came changed")
		}
	})
}

// A deadline of an earlier write harms nothing that is written later by others: neither a write of ours, nor what TLS writes as it reads.
func TestWriteDeadlineIsTakenBack(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		const timeout = 2 * time.Second // in which a busy machine, too, takes something
		s := startNarrow(t, n, &Options{WriteTimeout: timeout, High: 1 << 30}, &life{})
		s.run(t)
		if _, err := s.Write(make([]byte, plug)); err != nil { // so much that a writer has to go on with it
			t.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, s.peer, plug); err != nil {
			t.Fatal(err)
		}
		time.Sleep(timeout + timeout/10)
		if n.name == "tls" {
			// As crypto/tls does with the answer to a key update.
			if _, err := s.goroutine().nc.Write([]byte("a")); err != nil {
				t.Fatal(err)
			}
		} else if _, err := s.Write([]byte("a")); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(io.LimitReader(s.peer, 1)); string(b) != "a" || err != nil {
			t.Errorf("got %q, %v", b, err)
		}
	})
}

// Writes before Serve are taken; nothing needs Serve to send them.
func TestWriteBeforeServe(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		s := start(t, n, nil, &life{})
		if _, err := s.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(s.peer, b); err != nil || string(b) != "hello" {
			t.Errorf("got %q, %v", b, err)
		}
		s.run(t)
	})
}

// An error of Write says that nothing of it was written, and why.
func TestWriteAfterTheEnd(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		l := &life{drained: func() { t.Error("drained") }}
		l.stop.Store(true)
		s := start(t, n, &Options{High: 1}, l)
		s.Wake()
		s.run(t)
		if err := s.end(t); err != nil {
			t.Error(err)
		}
		for _, b := range [][]byte{[]byte("too late"), {}, nil} {
			if full, err := s.Write(b); full || !errors.Is(err, ErrClosed) {
				t.Errorf("a write of %q after the end: %v, %v", b, full, err)
			}
		}
		if s.Unsent() != 0 {
			t.Errorf("%d bytes are unsent", s.Unsent())
		}
	})
}
