package transport

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// held is what a Conn holds for reading. Its owner calls it.
func (c *goroutineConn) held() (n int) {
	if c.piece != nil {
		n += len(*c.piece)
	} else if c.raw != nil {
		n += cap(c.rest)
	}
	return n + cap(c.own)
}

var garbage = bytes.Repeat([]byte{0xAA}, 1<<20)

// poison overwrites a piece, as its next borrower would.
func poison(p *[]byte) { copy(*p, garbage) }

// What keep has stored is not in a piece that was given back. This test and the next write into such pieces, so no other may run beside them.
func TestKeptRestIsItsOwn(t *testing.T) {
	for _, size := range []int{0, 1, 100, keptRest, keptRest + 1, holdAbove, holdAbove + 1, pieceSize - 1, pieceSize} {
		for _, at := range []int{0, 1, 1000, pieceSize - size} {
			if at+size > pieceSize {
				continue
			}
			t.Run(fmt.Sprint(size, at), func(t *testing.T) {
				want := stream(size)
				p := borrowPiece()
				b := *p
				copy(b[at:], want)
				c := &unread{}
				defer c.release()
				c.keep(p, b[at:at+size])
				if kept := c.piece != nil; kept != (size > holdAbove) {
					t.Errorf("holds the piece: %v", kept)
				}
				if c.piece == nil {
					poison(p)
				}
				if !bytes.Equal(c.rest, want) {
					t.Errorf("%d bytes at %d have changed", size, at)
				}
			})
		}
	}
}

// The life of a rest, through take, keep, feed and release in any order, with every piece that is not held overwritten after each step.
func TestRestSurvivesThePool(t *testing.T) {
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 0))
		want := stream(1 << 20)
		off, end := 0, 0 // the rest is want[off:end]
		use := func(b []byte) int {
			if !bytes.Equal(b, want[off:end]) {
				t.Fatalf("seed %d: %d bytes are not those from %d on", seed, len(b), off)
			}
			used := 0
			switch r.IntN(4) {
			case 0:
				used = len(b)
			case 1:
				used = r.IntN(len(b) + 1)
			case 2:
				used = max(0, len(b)-r.IntN(2*keptRest))
			}
			off += used
			return used
		}
		c := &goroutineConn{logic: &life{data: func(_ time.Time, b []byte) (int, Next) { return use(b), More }}}
		defer c.release()
		if r.IntN(2) == 0 { // what Serve was given
			end = r.IntN(3 * pieceSize)
			c.rest = bytes.Clone(want[:end])
		}
		for end < len(want) {
			if r.IntN(5) == 0 {
				c.feed(time.Time{})
			} else {
				p, n := c.take()
				if n == len(*p) {
					t.Fatalf("seed %d: no room to read", seed)
				}
				got := r.IntN(min(len(*p)-n, len(want)-end, 1<<r.IntN(20)) + 1) // 0: EAGAIN
				copy((*p)[n:], want[end:end+got])
				end += got
				used := 0
				if got > 0 {
					used = use((*p)[:n+got])
				}
				c.keep(p, (*p)[used:n+got])
				if c.piece != p {
					poison(p)
				}
			}
			// Others borrow, overwrite and return.
			other := borrowPiece()
			if other == c.piece {
				t.Fatalf("seed %d: the piece was returned and held", seed)
			}
			poison(other)
			returnPiece(other)
			if !bytes.Equal(c.rest, want[off:end]) {
				t.Fatalf("seed %d: the rest at %d changed in the pool", seed, off)
			}
			if most := max(8*(end-off), 2*keptRest); c.held() > most {
				t.Fatalf("seed %d: %d bytes are held for a rest of %d", seed, c.held(), end-off)
			}
		}
	}
}

// While a frame is incomplete the memory held is bounded by what has come of it, on either path; and when the connection has settled, tightly.
func TestMemoryOfAnUnfinishedFrame(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, size := range []int{1, 100, 1000, keptRest, 10_000, holdAbove, holdAbove + 1, 100_000, 200_000} {
			whole, held := make(chan struct{}), make(chan int, 1)
			l := &life{}
			s := start(t, n, nil, l)
			l.data = func(_ time.Time, b []byte) (int, Next) {
				if len(b) == size {
					close(whole)
				}
				return 0, More
			}
			l.tick = func(time.Time) Next { held <- s.held(); return More }
			s.run(t)
			sent := send(t, s.peer, stream(size), 1448)
			within(t, whole, "all bytes")
			within(t, sent, "the peer")
			s.Wake()
			if got, most := within(t, held, "the tick"), max(8*size, 4*size+tlsRecord); got > most {
				t.Errorf("%d bytes are held for %d", got, most)
			}
		}
	})
}

// An idle connection holds no buffer on the raw path. The socket is found empty a second after the last read, or when a Wake has had it read again.
func TestIdleHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"by itself", "after a Wake"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			const want = "piece: false, rest: 0, own: 0, unsettled: false"
			var next time.Time
			seen := make(chan string, 10)
			l := &life{deadline: func() time.Time { return next }}
			s := start(t, networks[0], nil, l)
			l.data = func(now time.Time, b []byte) (int, Next) {
				if how == "by itself" {
					next = now.Add(settle * 5 / 4)
				}
				seen <- "data"
				return len(b) - len(b)%2_000, More
			}
			l.tick = func(now time.Time) Next {
				c := s.goroutine()
				holds := fmt.Sprintf("piece: %v, rest: %d, own: %d, unsettled: %v", c.piece != nil, cap(c.rest), cap(c.own), c.unsettled)
				next = time.Time{}
				if how == "by itself" && holds != want {
					next = now.Add(settle / 4) // a machine may be slow
				}
				seen <- holds
				return More
			}
			s.run(t)
			for _, part := range []string{"the beginning of a frame", "its end"} {
				must(t, s.peer, make([]byte, 1_000))
				within(t, seen, part)
			}
			for range 20 {
				if how == "after a Wake" {
					s.Wake() // it may be seen before the reading that the last one has begun
				}
				if holds := within(t, seen, "the tick"); holds == want {
					return
				} else {
					t.Log(holds)
				}
			}
			t.Error("it holds that for long")
		})
	}
}

// On the portable path it holds a small one, when it has settled.
func TestIdleHoldsLittle(t *testing.T) {
	for _, rest := range []int{0, 1, 100, 1000} {
		synctest.Test(t, func(t *testing.T) {
			grown, held := 0, -1
			l := &life{}
			s := start(t, networks[2], nil, l)
			l.data = func(_ time.Time, b []byte) (int, Next) {
				grown = max(grown, s.held())
				return max(0, len(b)-rest), More
			}
			l.tick = func(time.Time) Next { held = s.held(); return More }
			s.run(t)
			must(t, s.peer, make([]byte, 100_000))
			time.Sleep(2 * settle)
			s.Wake()
			synctest.Wait()
			if grown < tlsRecord {
				t.Errorf("with a rest of %d: grew to %d bytes for a burst", rest, grown)
			}
			if most := max(smallBuf, 4*rest); held < 0 || held > most {
				t.Errorf("with a rest of %d: holds %d bytes when idle", rest, held)
			}
		})
	}
}

// reads counts the reads of the connection underneath.
type reads struct {
	net.Conn
	n atomic.Int64
}

func (r *reads) Read(b []byte) (int, error) {
	r.n.Add(1)
	return r.Conn.Read(b)
}

// In a bulk transfer the portable path reads in large pieces.
func TestPortablePathGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &reads{}
		s := start(t, network{pair: func(testing.TB) (net.Conn, net.Conn) {
			ours, peer := net.Pipe()
			counted.Conn = ours
			return counted, peer
		}}, nil, &life{}).run(t)
		const total = 4 << 20
		must(t, s.peer, make([]byte, total))
		synctest.Wait()
		if n, want := counted.n.Load(), int64(total/tlsRecord+10); n > want {
			t.Errorf("%d reads for %d bytes, more than %d", n, total, want)
		}
	})
}

// What Write keeps is a copy, in a buffer that no two connections share: each peer gets its own connection's bytes.
func TestUnsentBuffersAreNotShared(t *testing.T) {
	t.Parallel()
	const conns, size = 8, 300_000
	type pair struct {
		*served
		b byte
	}
	var pairs []pair
	for i := range conns {
		s := startNarrow(t, networks[[]int{0, 1, 4}[i%3]], nil, &life{})
		pairs = append(pairs, pair{s.run(t), byte(i + 1)})
	}
	for range 10 {
		for _, p := range pairs {
			if _, err := p.Write(bytes.Repeat([]byte{p.b}, size)); err != nil {
				t.Fatal(err)
			}
		}
		got := make([]byte, size)
		for _, p := range pairs {
			if _, err := io.ReadFull(p.peer, got); err != nil {
				t.Fatal(err)
			}
			if own := bytes.Count(got, []byte{p.b}); own != size {
				t.Fatalf("connection %d got %d bytes that are not its own", p.b, size-own)
			}
		}
	}
}
