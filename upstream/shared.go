package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// shared is a link that many clients ask over. What one asked is never answered to another; three rules keep it so:
//
//   - A client's requests enter the ledger and the bytes of the link under one lock, so both have the same order.
//   - Whoever asked stays in the ledger until he was answered, also when he has gone: his answer is then nobody's, and never the next one's.
//   - A link whose answers can no longer be trusted is no longer used: an answer that nobody asked for ends it at once; one that is late beyond
//     RequestTimeout takes it out of use.
//
// It is its connection's client.Receiver.
type shared struct {
	*link // where it stands, and its connection

	useable  atomic.Bool  // it may be sent over: it is not full, not retired, not dead. Set with mu held
	inflight atomic.Int64 // requests without their answer
	answers  atomic.Uint64

	mu      sync.Mutex // guards all below, and that bytes and ledger agree
	ledger  ledger
	retired time.Time // when it was taken out of use; zero: it is in use
	full    bool      // the backend does not read
	idle    time.Time // since when there was nothing in flight
	dead    bool

	// The connection's goroutine owns these: whether it has met an answer that belongs to no request; the run of answers not yet delivered, all one client's.
	spoilt     bool
	to         *pooled
	start, end int
	n          int
	read       time.Time // when the piece came; zero: nothing of it was an answer yet
	took       tally     // of the piece
	turn       turn      // whose the next answers are, where the ledger can tell
}

// turn is the oldest asking of a ledger that has nothing but the order, while its answers come: they are counted here, and struck out together.
type turn struct {
	by   *pooled
	at   time.Time
	came int // answers that are not struck out yet
	left int // that are still to come
}

// submit sends a client's frames, of which asks are requests. false: the link has no room for them; nothing was sent.
func (s *shared) submit(by *pooled, run []byte, asks int, now time.Time) bool {
	s.mu.Lock()
	inflight := s.inflight.Load()
	if !s.hasRoom(inflight, asks) {
		s.mu.Unlock()
		return false
	}
	if asks > 0 {
		run, asks = s.ledger.enter(by, run, asks, now)
		s.inflight.Add(int64(asks))
		by.asked.Add(int64(asks))
	}
	full, err := s.conn.Append(run)
	if err != nil { // it is ending: nothing has gone
		if asks > 0 {
			s.ledger.undo()
			s.inflight.Add(int64(-asks))
			by.answered(asks)
		}
		s.mu.Unlock()
		return false
	}
	if full {
		s.full = true
		s.reckon()
	}
	s.mu.Unlock()
	// A lone request leaves at once; behind others, whoever is about to send may join.
	s.conn.Flush(inflight == 0)
	return true
}

// hasRoom says whether so many more requests may be sent over the link, beside those in flight. A run of any size may go over an idle link.
func (s *shared) hasRoom(inflight int64, asks int) bool {
	return s.useable.Load() && !s.b.held.Load() && (inflight == 0 || inflight+int64(asks) <= int64(s.g.cfg.MaxInflight))
}

// over says whether the link is not in use any more.
func (s *shared) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead || !s.retired.IsZero()
}

// reckon brings useable up to date. s.mu is held.
func (s *shared) reckon() { s.useable.Store(!s.dead && !s.full && s.retired.IsZero()) }

// Frame implements client.Receiver: it adds an answer to the run of who asked.
func (s *shared) Frame(piece []byte, start, end int, f *wire.Frame) {
	if s.spoilt {
		return
	}
	if !s.g.answers(f) { // nobody's
		s.b.unsolicited.Add(1)
		return
	}
	by, at, err := s.strike(f)
	if err != nil {
		s.spoilt = true // what follows may belong to a request that is only now being sent
		s.conn.Close(err)
		return
	}
	if s.read.IsZero() {
		s.read = time.Now()
	}
	s.took.observe(s.read.Sub(at), &s.b.requests)
	s.traceAnswer(by, f.Cmd, at)
	if by != s.to || start != s.end {
		s.deliver(piece)
		s.to, s.start = by, start
	}
	s.end = end
	s.n++
}

// strike takes the request that a frame answers out of the ledger. An answer that belongs to none ends the link: from now on nothing can be sent.
func (s *shared) strike(f *wire.Frame) (by *pooled, at time.Time, err error) {
	if t := &s.turn; t.left > 0 {
		t.left--
		t.came++
		return t.by, t.at, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle()
	if order, ok := s.ledger.(*inOrderOf); ok {
		if by, at, n := order.first(); n > 0 {
			s.turn = turn{by, at, 1, n - 1}
			return by, at, nil
		}
	}
	if by, at, err = s.ledger.answered(f); err != nil {
		s.dead = true
		s.reckon()
	}
	return by, at, err
}

// settle strikes out the answers that were counted only. Until then the ledger has them as unanswered, which nobody is the worse for: it is no longer than a piece.
// s.mu is held.
func (s *shared) settle() {
	if t := &s.turn; t.came > 0 {
		s.ledger.(*inOrderOf).strike(t.came)
		t.came = 0
	}
}

// Flush implements client.Receiver. Reading never stops for one client: the others' answers are behind his.
func (s *shared) Flush(piece []byte) (more bool) {
	s.took.flush(&s.b.requests)
	s.read = time.Time{}
	if s.turn.came > 0 {
		s.mu.Lock()
		s.settle()
		s.mu.Unlock()
	}
	s.turn = turn{}
	if s.n > 0 {
		s.deliver(piece)
		s.g.serveWaiting()
	}
	s.to, s.start, s.end = nil, 0, 0
	return true
}

func (s *shared) deliver(piece []byte) {
	if s.n == 0 {
		return
	}
	n := s.n
	s.n = 0
	s.answers.Add(uint64(n))
	if s.inflight.Add(int64(-n)) == 0 {
		s.rest()
	}
	s.to.deliver(piece[s.start:s.end], n)
}

// rest notes that nothing is in flight. A retired link has nothing more to wait for.
func (s *shared) rest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = time.Now()
	s.settle()
	if !s.retired.IsZero() && s.ledger.open() == 0 {
		s.conn.Close(errRetired)
	}
}

// Drained implements client.Receiver: the backend reads again.
func (s *shared) Drained() {
	s.mu.Lock()
	s.full = false
	s.reckon()
	s.mu.Unlock()
	s.g.serveWaiting()
}

// Ending implements client.EndReceiver: from now on nothing can be sent.
func (s *shared) Ending(error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
	s.reckon()
}

// retire takes the link out of use: requests in flight are still answered. It is closed with the last answer.
func (s *shared) retire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired.IsZero() {
		s.retired = now
		s.reckon()
	}
	if s.ledger.open() == 0 {
		s.conn.Close(errRetired)
	}
}

// orphans returns those whose requests can no longer be answered, and how many each has. The link has ended, for the cause given.
func (s *shared) orphans(cause error) map[*pooled]int {
	var all []asking
	s.mu.Lock()
	s.dead = true
	s.reckon()
	if s.g.cfg.Trace != nil {
		all = s.ledger.all()
	}
	who := s.ledger.clear()
	s.mu.Unlock()
	s.traceOrphans(all, cause)
	return who
}

// late returns those who have waited for an answer since before the given time.
func (s *shared) late(before time.Time) []*pooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ledger.late(before)
}
