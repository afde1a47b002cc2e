package transport

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// echo serves a Conn that writes back what it reads, and returns its peer.
func echo(t testing.TB, n network) net.Conn {
	l := &life{}
	s := start(t, n, nil, l)
	l.data = func(_ time.Time, b []byte) (int, Next) {
		if _, err := s.Write(b); err != nil {
			t.Error(err)
		}
		return len(b), More
	}
	last := time.Now()
	l.deadline = func() time.Time { return last.Add(time.Hour) }
	return s.run(t).peer
}

// pingPong sends a frame and waits for it to come back.
func pingPong(t testing.TB, peer net.Conn, frame []byte) {
	if _, err := peer.Write(frame); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(peer, frame); err != nil {
		t.Fatal(err)
	}
}

// A piece in and a frame out allocate nothing on the raw path, and on an event loop.
func TestRoundTripDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget what it holds")
	}
	for _, n := range []network{networks[0], networks[4]} {
		t.Run(n.name, func(t *testing.T) { roundTripDoesNotAllocate(t, n) })
	}
}

func roundTripDoesNotAllocate(t *testing.T, n network) {
	peer, frame := echo(t, n), make([]byte, 64)
	const rounds = 10_000
	for range 100 {
		pingPong(t, peer, frame)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		pingPong(t, peer, frame)
	}
	runtime.ReadMemStats(&after)
	// A collection empties the pool, and a second of work has a deadline pass, with an error for it.
	if n := after.Mallocs - before.Mallocs; n > rounds/50 {
		t.Errorf("%d allocations in %d round trips", n, rounds)
	}
}

// A frame that comes in many segments costs a few allocations, not one for each.
func TestSegmentsDoNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has sync.Pool forget what it holds")
	}
	for _, n := range []network{networks[0], networks[4]} {
		t.Run(n.name, func(t *testing.T) { segmentsDoNotAllocate(t, n) })
	}
}

func segmentsDoNotAllocate(t *testing.T, n network) {
	const frames, frame, segment = 20, 15_000, 50
	given := make(chan struct{}, 1)
	s := start(t, n, nil, &life{data: func(_ time.Time, b []byte) (int, Next) {
		given <- struct{}{}
		return len(b) - len(b)%frame, More
	}}).run(t)
	bytes := make([]byte, segment)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range frames * frame / segment {
		must(t, s.peer, bytes)
		<-given
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > 20*frames {
		t.Errorf("%d allocations for %d frames in %d segments each", n, frames, frame/segment)
	}
}

// The price of a frame of 64 bytes in and out: on the raw path, on the portable path, and with nothing but a loop of Read and Write.
func BenchmarkEcho(b *testing.B) {
	for _, bb := range []struct {
		name string
		peer func(testing.TB) net.Conn
	}{
		{"loop", func(t testing.TB) net.Conn { return echo(t, networks[4]) }},
		{"raw", func(t testing.TB) net.Conn { return echo(t, networks[0]) }},
		{"portable", func(t testing.TB) net.Conn { return echo(t, networks[1]) }},
		{"tls", func(t testing.TB) net.Conn { return echo(t, networks[3]) }},
		{"plain", plainEcho},
	} {
		b.Run(bb.name, func(b *testing.B) {
			peer, frame := bb.peer(b), make([]byte, 64)
			pingPong(b, peer, frame)
			b.ReportAllocs()
			b.SetBytes(int64(len(frame)))
			for b.Loop() {
				pingPong(b, peer, frame)
			}
		})
	}
}

// plainEcho is what a Conn is measured against.
func plainEcho(t testing.TB) net.Conn {
	ours, peer := tcpPair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := ours.Read(buf)
			if err != nil {
				return
			}
			if _, err := ours.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = peer.Close()
		<-done
		_ = ours.Close()
	})
	return peer
}
