package transport

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// A follower is a Logic's Data that knows what must come: each call must bring the stream from where the last one left off.
type follower struct {
	t    *testing.T
	want []byte
	use  func(have int) int // how many of them it uses
	all  chan struct{}      // closed when all came

	off, seen int // used, and seen
	calls     int
}

func follow(t *testing.T, want []byte, use func(have int) int) *follower {
	return &follower{t: t, want: want, use: use, all: make(chan struct{})}
}

func (f *follower) data(_ time.Time, b []byte) (int, Next) {
	f.calls++
	if f.off+len(b) > len(f.want) || !bytes.Equal(b, f.want[f.off:f.off+len(b)]) {
		f.t.Errorf("call %d: %d bytes that are not those from %d on", f.calls, len(b), f.off)
		return 0, Close
	}
	if f.off+len(b) <= f.seen {
		f.t.Errorf("call %d: nothing new from %d on", f.calls, f.off)
	}
	f.seen = f.off + len(b)
	used := len(b)
	if f.seen < len(f.want) {
		used = f.use(len(b))
	}
	f.off += used
	if f.seen == len(f.want) {
		close(f.all)
	}
	return used, More
}

var uses = []struct {
	name string
	use  func() func(have int) int
}{
	{"all", func() func(int) int { return func(have int) int { return have } }},
	{"all but one", func() func(int) int { return func(have int) int { return have - 1 } }},
	{"half", func() func(int) int { return func(have int) int { return have / 2 } }},
	{"frames of 5000", func() func(int) int { return func(have int) int { return have - have%5000 } }},
	{"at random", func() func(int) int {
		r := rand.New(rand.NewPCG(1, 2))
		return func(have int) int { return r.IntN(have + 1) }
	}},
}

func TestAnySplitArrivesWhole(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, split := range []struct {
			total int
			sizes []int
		}{
			{600, []int{1}},
			{5_000, []int{7}},
			{40_000, []int{1, 255, 256, 257, 511, 512, 513, 2047, 2048, 2049, 1448}},
			{100_000, []int{16 << 10}},
			{100_000, []int{3, 16<<10 - 1, 16<<10 + 1}},
			{400_000, []int{128<<10 - 1, 1, 128 << 10}},
			{400_000, []int{400_000}},
		} {
			for _, u := range uses {
				t.Run(fmt.Sprint(split.total, split.sizes[0], u.name), func(t *testing.T) {
					want := stream(split.total)
					f := follow(t, want, u.use())
					s := start(t, n, nil, &life{data: f.data}).run(t)
					sent := send(t, s.peer, want, split.sizes...)
					within(t, f.all, "all bytes")
					within(t, sent, "the peer")
				})
			}
		}
	})
}

func TestFirstBytesComeFirst(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, first := range []int{1, 100, holdAbove + 1, pieceSize, pieceSize + 1, 3 * pieceSize} {
			want := stream(first + 1000)
			f := follow(t, want, func(have int) int { return have / 3 })
			s := start(t, n, nil, &life{data: f.data})
			given := bytes.Clone(want[:first])
			done := make(chan error)
			go func() { done <- s.Serve(given) }()
			sent := send(t, s.peer, want[first:], 300)
			within(t, f.all, "all bytes")
			within(t, sent, "the peer")
			_ = s.peer.Close()
			if err := within(t, done, "Serve"); err != nil && n.name != "tls" && err != io.EOF {
				t.Error(err)
			}
		}
	})
}

// What is given to Serve belongs to the caller of Serve: he may use the buffer anew when the logic has seen it.
func TestFirstBytesAreCopied(t *testing.T) {
	t.Parallel()
	first := []byte("unfinished")
	got := make(chan string, 1)
	l := &life{data: func(_ time.Time, b []byte) (int, Next) {
		if len(b) == len(first) {
			return 2, Pause
		}
		got <- string(b)
		return len(b), Close
	}}
	s := start(t, networks[0], nil, l)
	l.tick = func(time.Time) Next {
		copy(first, "##########")
		s.Resume()
		return More
	}
	s.Wake()
	if err := s.Serve(first); err != nil {
		t.Error(err)
	}
	if b := <-got; b != "finished" {
		t.Errorf("the rest came again as %q", b)
	}
	_ = s.peer.Close()
}

// A logic that waits for a whole frame uses nothing until it has come, whatever its size.
func TestFrameLargerThanAPiece(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		for _, size := range []int{
			100, smallBuf, smallBuf + 1, keptRest + 1, holdAbove, holdAbove + 1, pieceSize - 1, pieceSize, pieceSize + 1, 300_000, 1 << 20,
		} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				want := stream(2*size + 3)
				f := follow(t, want, func(have int) int { return have - have%size })
				s := start(t, n, nil, &life{data: f.data}).run(t)
				sent := send(t, s.peer, want, 1, size/2+1, max(1448, size/50))
				within(t, f.all, "all bytes")
				within(t, sent, "the peer")
			})
		}
	})
}

func TestDripOfOneByte(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		want := stream(3_000)
		f := follow(t, want, func(have int) int { return have - have%1_000 })
		s := start(t, n, nil, &life{data: f.data}).run(t)
		sent := send(t, s.peer, want, 1)
		within(t, f.all, "all bytes")
		within(t, sent, "the peer")
	})
}

// A hundred megabytes go in, are echoed, and come back whole, although each side is at times the slower one: Write's full stops the reading,
// Drained resumes it, and what is unsent stays bounded.
func TestBulk(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		total := 100 << 20
		if testing.Short() || raceEnabled && n.name != "tcp" {
			total = 10 << 20
		}
		const high = 256 << 10
		l := &life{}
		s := start(t, n, &Options{High: high}, l)
		in, most := crc32.NewIEEE(), 0
		l.data = func(_ time.Time, b []byte) (int, Next) {
			used := len(b) - len(b)%8 // there is a rest now and then
			_, _ = in.Write(b[:used])
			full, err := s.Write(b[:used])
			if err != nil {
				t.Error(err)
				return used, Close
			}
			most = max(most, s.Unsent())
			if full {
				return used, Pause
			}
			return used, More
		}
		l.drained = s.Resume
		s.run(t)

		block := stream(64<<10 - 24)
		out, back := crc32.NewIEEE(), crc32.NewIEEE()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for left := total; left > 0; {
				b := block[:min(left, len(block))]
				if _, err := s.peer.Write(b); err != nil {
					t.Error(err)
					return
				}
				_, _ = out.Write(b)
				left -= len(b)
			}
		}()
		if _, err := io.CopyN(back, s.peer, int64(total)); err != nil {
			t.Fatal(err)
		}
		within(t, sent, "the peer")
		if back.Sum32() != out.Sum32() {
			t.Errorf("%d bytes came back changed", total)
		}
		_ = s.peer.Close()
		_ = s.end(t)
		if in.Sum32() != out.Sum32() {
			t.Errorf("%d bytes came in changed", total)
		}
		if most > high+pieceSize+64<<10 {
			t.Errorf("%d bytes were unsent at one time", most)
		}
	})
}
