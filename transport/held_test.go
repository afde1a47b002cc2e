package transport

import (
	"testing"
	"time"
)

// TestHeld: what a connection holds is in the books while it holds it, and no longer.
func TestHeld(t *testing.T) {
	onEach(t, func(t *testing.T, n network) {
		t.Run("unsent", func(t *testing.T) {
			s := startNarrow(t, n, nil, &life{}).run(t)
			if _, err := s.Write(make([]byte, plug)); err != nil {
				t.Fatal(err)
			}
			if got := s.Held(); got < plug/4 {
				t.Errorf("%d bytes are held, and %d were written to a peer that does not read", got, plug)
			}
			if all := Held(); all < int64(plug/4) {
				t.Errorf("%d bytes are held by all, fewer than by one", all)
			}
			_ = s.peer.Close()
			_ = s.end(t)
			if got := s.holding(); got != 0 {
				t.Errorf("%d bytes are held by a connection that has ended", got)
			}
		})
		t.Run("unread", func(t *testing.T) {
			const size = 100_000
			came := make(chan int, 1000)
			l := &life{}
			l.data = func(_ time.Time, b []byte) (int, Next) {
				if len(b) < size {
					return 0, More
				}
				came <- len(b)
				return 0, Pause // with all of it left
			}
			holding := make(chan int, 1)
			s := start(t, n, nil, l)
			l.tick = func(time.Time) Next { // by then all is where it belongs
				holding <- s.holding()
				return Close
			}
			s.run(t)
			sent := send(t, s.peer, stream(size), 1448)
			within(t, came, "a large frame")
			within(t, sent, "the peer")
			s.Wake()
			if got := within(t, holding, "the tick"); got < size || got > 4*size {
				t.Errorf("%d bytes are held of a frame of %d", got, size)
			}
			_ = s.end(t)
			if got := s.holding(); got != 0 {
				t.Errorf("%d bytes are held by a connection that has ended", got)
			}
		})
	})
}

// holding is what a Conn holds for reading, by the books.
func (s *served) holding() int { return s.Held() - s.Unsent() }
