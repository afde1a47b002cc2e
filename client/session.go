package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// session is what of a Client outlives its connections, where it has [SessionOptions]: what was published and not acknowledged, and what came and is not done.
//
// Ids are those of the queue everywhere but in sender and receiver, where they begin with the session: see Ticket.
type session struct {
	client *Client
	opt    SessionOptions // defaults filled in
	id     queue.SessionID
	store  queue.Store
	own    *memory.Store // the same, if it is the session's to close; else nil

	wake    chan struct{} // tells keep that there is something to do
	arrived chan struct{} // tells deliver
	closing chan struct{} // closed by close
	all     sync.WaitGroup

	// mu guards all below. It is taken before link.mu; no callback and no wait happens under it, and writes are only appended: see leave.
	mu      sync.Mutex
	quiet   *sync.Cond // a batch is done
	ended   bool       // nothing more is taken in
	over    bool       // nothing more goes to the queue
	ticket  Ticket
	givenUp time.Time // when a HELLO was last left without an answer; zero: none was
	asks    uint32    // the last id of a request, of which half is used
	link    *link     // nil: there is none at this moment
	unsent  bool      // something was appended to it, and not flushed
	stats   SessionStatus
	emptied chan struct{} // closed when nothing is queued any more; nil: nobody waits for it

	// What is published.
	sender   qos.Sender
	up       changes
	last     uint64                   // the highest id given to a message
	boot     uint64                   // the highest that was in the queue at the start; 0: there was a connection since. Its goroutine owns it
	stored   uint64                   // the highest of those that are in the queue
	sent     uint64                   // the highest that was ever sent, or may have been
	known    uint64                   // the highest that the gateway had when the connection began
	doubt    uint64                   // the highest that was sent before this session began
	waiting  []*Receipt               // those for which the queue has no room yet
	receipts map[uint64]*Receipt      // those that are queued, by id
	soonest  time.Time                // when the first of these expires, or earlier; zero: none does
	flights  map[uint64]queue.Message // what is in flight; the zero Message where PUBREL has gone out
	ready    []queue.Message          // what is to be sent next
	loaded   uint64                   // the highest id that has gone through ready on this connection
	behind   bool                     // there is more in the queue than in ready
	counted  uint64                   // the highest that stats.Unsure has counted
	timer    time.Time                // when keep wakes by itself; zero: it does not

	// What comes.
	receiver qos.Receiver
	down     changes
	taken    uint64     // the highest id that came
	arrivals []*arrival // what came and is not done, in order
	settling []*arrival // what is done, and not yet noted in the queue
	inbox    []Message  // what OnMessage has yet to be given
	idle     int        // of these, how many are of QoS 0
	bytes    int        // and how long
}

// firstID is where ids begin. It leaves room below: see adopt.
const firstID = 1 << 40

// fence is under what number the boxes are opened: nobody else opens them.
const fence = 1

func newSession(c *Client) (*session, error) {
	s := &session{
		client: c, opt: *c.opt.Session, store: c.opt.Session.Queue,
		wake: make(chan struct{}, 1), arrived: make(chan struct{}, 1), closing: make(chan struct{}),
		receipts: make(map[uint64]*Receipt), flights: make(map[uint64]queue.Message),
	}
	s.quiet = sync.NewCond(&s.mu)
	sum := sha256.Sum256([]byte(s.opt.ClientID))
	copy(s.id[:], sum[:])
	ctx := context.Background()
	var err error
	if s.ticket, err = s.opt.Tickets.Load(ctx); err != nil {
		return nil, fmt.Errorf("session ticket: %w", err)
	}
	if s.store == nil {
		s.own = memory.New(queue.Bounds{}, nil)
		s.store = s.own
	}
	up, down, err := s.store.Open(ctx, s.id, fence)
	if err != nil {
		return nil, fmt.Errorf("queue: %w", err)
	}
	s.up = changes{session: s, box: queue.Box{Session: s.id, Direction: queue.Up}, info: up}
	s.down = changes{session: s, box: queue.Box{Session: s.id, Direction: queue.Down}, info: down}
	s.up.done, s.down.done = s.upDone, s.downDone
	s.boot = max(up.Last, s.ticket.Up, firstID)
	s.last, s.stored, s.sent = s.boot, s.boot, s.boot
	s.taken = max(down.Seen, s.ticket.Down)
	s.receiver = qos.NewReceiver(s.taken - s.ticket.Down)
	return s, nil
}

// start starts what works in the background.
func (s *session) start() {
	s.all.Go(s.keep)
	s.all.Go(s.deliver)
}

// close ends the session's part of a Client: whoever waits is told, and what is on its way to the queue is waited for.
func (s *session) close() {
	s.mu.Lock()
	s.ended = true
	close(s.closing)
	for _, r := range s.waiting {
		r.refuse(notSent(ErrClosed))
	}
	s.waiting = nil
	s.mu.Unlock()
	s.all.Wait()
	s.mu.Lock()
	s.up.commit()
	s.down.commit()
	for s.up.busy || s.down.busy {
		s.quiet.Wait()
	}
	s.over = true
	for _, r := range s.up.puts {
		r.refuse(notSent(ErrClosed))
	}
	s.up.puts = nil
	for id, r := range s.receipts {
		delete(s.receipts, id)
		r.finish(errKept)
	}
	s.mu.Unlock()
	if s.own != nil {
		_ = s.own.Close()
	}
}

// adopt makes the session fit what a WELCOME says, before anything is sent on its connection.
func (s *session) adopt(ctx context.Context, w *wire.Welcome) error {
	s.mu.Lock()
	t, stored := s.ticket, s.stored
	s.mu.Unlock()
	if w.Resumed && len(t.Token) == 0 || !w.Resumed && w.LastID != 0 {
		return errWrongWelcome
	}
	t.Token = w.Token
	switch {
	case w.Resumed && s.boot > 0:
		// What the gateway has beyond what was in the queue at the start comes of a queue that is lost. What was queued since must not bear its ids.
		if rel, above, _ := qos.Expand(s.boot-t.Up, w.LastID); above {
			t.Up = s.boot - rel
		}
	case !w.Resumed:
		first, err := s.store.Read(ctx, s.up.box, 0, 1, 1)
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		// What is on its way to the queue is above stored.
		if t.Up = stored; len(first) > 0 {
			t.Up = min(stored, first[0].ID-1)
		}
		s.mu.Lock()
		t.Down = s.taken
		s.mu.Unlock()
	}
	if err := s.opt.Tickets.Save(ctx, t); err != nil {
		return fmt.Errorf("session ticket: %w", err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.ticket = t
	s.boot = 0
	s.known = t.Up
	if w.Resumed {
		s.stats.Resumes++
		if rel, _, ok := qos.Expand(s.last-t.Up, w.LastID); ok {
			s.known = t.Up + rel
		}
	} else {
		s.stats.Begun++
		s.doubt = s.sent
		s.arrivals, s.settling = nil, nil // what came before is acknowledged to nobody any more
		s.receiver = qos.NewReceiver(0)
	}
	s.stats.Resumed = w.Resumed
	return nil
}

var errWrongWelcome = errors.New("WELCOME speaks of another session: it resumes one whose token was not shown, or has received from one that is new")

// attach has what is queued sent on a connection that is new.
func (s *session) attach(l *link, w *wire.Welcome) {
	s.mu.Lock()
	defer s.leave()
	limits := qos.Limits{Window: int(w.Window), AckTimeout: s.opt.AckTimeout, MaxRetries: uint8(s.opt.MaxRetries)}
	s.sender = qos.NewSender(limits, max(s.sent, s.known)-s.ticket.Up)
	s.link = l
	s.loaded, s.behind = 0, true
	s.rouse()
}

// detach forgets a connection. What was in flight on it is still in the queue.
func (s *session) detach(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		s.link, s.unsent = nil, false
		s.ready, s.behind = nil, false
		clear(s.flights)
	}
}

// leave gives up mu, and flushes what was appended to the link meanwhile.
func (s *session) leave() {
	l, unsent := s.link, s.unsent
	lone := s.sender.InFlight() <= 1
	s.unsent = false
	s.mu.Unlock()
	if l != nil && unsent {
		l.conn.Flush(lone)
	}
}

// rouse wakes keep.
func (s *session) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
