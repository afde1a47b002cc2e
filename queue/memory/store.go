// Package memory keeps messages until they are delivered, or the process ends.
//
//	store.go the store: batches in their order, and who is told of them
//	read.go  what it has
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/internal/ledger"
)

// sweepEvery is how often what has expired is looked for in boxes that nobody uses.
const sweepEvery = 30 * time.Second

// content is what of a message its box's ledger does not know.
type content struct {
	payload        []byte
	cmd, flag, qos uint8
}

func contentOf(m *queue.Message) content {
	return content{payload: m.Payload, cmd: m.Cmd, flag: m.Flag, qos: m.QoS}
}

func strip(c *content) { c.payload = nil }

// Store is a [queue.Store] in memory. It is made by [New].
type Store struct {
	now   func() time.Time
	stop  chan struct{} // closed by Close
	swept chan struct{} // closed when the sweep has ended

	mu      sync.Mutex
	idle    *sync.Cond // working has become false
	closed  bool
	working bool           // work runs
	pending []*queue.Batch // that work has yet to carry out
	late    []*queue.Batch // given after Close: that work has yet to refuse
	ledger  *ledger.Ledger[content]
}

var (
	_ queue.Store  = (*Store)(nil)
	_ queue.Knower = (*Store)(nil)
)

// New returns an empty store. now is its clock; nil: time.Now.
func New(b queue.Bounds, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	s := &Store{now: now, stop: make(chan struct{}), swept: make(chan struct{}), ledger: ledger.New(b, contentOf, strip)}
	s.idle = sync.NewCond(&s.mu)
	go s.sweep()
	return s
}

// SetBounds replaces the bounds. What is stored stays.
func (s *Store) SetBounds(b queue.Bounds) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger.Bounds = b.WithDefaults()
}

// Do implements [queue.Store].
func (s *Store) Do(b *queue.Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.late = append(s.late, b)
	} else {
		s.pending = append(s.pending, b)
	}
	if !s.working {
		s.working = true
		go s.work()
	}
}

// work carries out what is pending, all of it at once, until nothing is. One runs at a time, so a box's batches are told of in their order.
func (s *Store) work() {
	var batches []*queue.Batch
	var results []queue.Result
	s.mu.Lock()
	for len(s.pending)+len(s.late) > 0 {
		if len(s.pending) > 0 {
			batches, s.pending = s.pending, batches[:0]
			now := s.now()
			for _, b := range batches {
				results = append(results, s.ledger.Do(b, now, nil))
			}
			s.ledger.Stat.Commits++
			s.ledger.Stat.Batches += uint64(len(batches))
		} else {
			batches, s.late = s.late, nil
			for range batches {
				results = append(results, queue.Result{Err: queue.ErrClosed})
			}
		}
		s.mu.Unlock()
		for i, b := range batches {
			if b.Done != nil {
				b.Done(results[i])
			}
		}
		clear(batches)
		clear(results)
		results = results[:0]
		s.mu.Lock()
	}
	if cap(s.pending) > 1024 {
		s.pending = nil // a burst is over
	}
	s.working = false
	s.idle.Broadcast()
	s.mu.Unlock()
}

// Open implements [queue.Store].
func (s *Store) Open(_ context.Context, id queue.SessionID, fence uint64) (up, down queue.Info, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return up, down, queue.ErrClosed
	}
	return s.ledger.Open(id, fence, s.now(), nil)
}

// Forget implements [queue.Store].
func (s *Store) Forget(_ context.Context, id queue.SessionID, fence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return queue.ErrClosed
	}
	if owner := s.ledger.Session(id); owner != nil && fence < owner.Fence {
		return queue.ErrFenced
	}
	s.ledger.Remove(id)
	return nil
}

// Close implements [queue.Store].
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	s.closed = true
	for s.working {
		s.idle.Wait()
	}
	s.ledger.Clear()
	s.mu.Unlock()
	close(s.stop)
	<-s.swept
	return nil
}

// sweep forgets what has expired in boxes that nobody uses.
func (s *Store) sweep() {
	defer close(s.swept)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for all := false; !all; {
			s.mu.Lock()
			all = s.ledger.Sweep(s.now(), 100, nil)
			s.mu.Unlock()
		}
	}
}
