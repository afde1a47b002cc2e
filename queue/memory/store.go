// Package memory keeps messages until they are delivered, or the process ends.
//
//	store.go   the store: batches in their order, and who is told of them
//	session.go the boxes of a session, their owner, and what a batch does to them
//	box.go     the messages of a box
package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// sweepEvery is how often what has expired is looked for in boxes that nobody uses.
const sweepEvery = 30 * time.Second

// Store is a [queue.Store] in memory. It is made by [New].
type Store struct {
	bounds queue.Bounds
	now    func() time.Time
	stop   chan struct{} // closed by Close
	swept  chan struct{} // closed when the sweep has ended

	mu       sync.Mutex
	idle     *sync.Cond // working has become false
	closed   bool
	working  bool           // work runs
	pending  []*queue.Batch // that work has yet to carry out
	late     []*queue.Batch // given after Close: that work has yet to refuse
	sessions map[queue.SessionID]*session
	full     map[queue.Box]*box // those that hold messages
	stat     queue.Stat
}

var _ queue.Store = (*Store)(nil)

// New returns an empty store. now is its clock; nil: time.Now.
func New(b queue.Bounds, now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	s := &Store{
		bounds: b.WithDefaults(), now: now, stop: make(chan struct{}), swept: make(chan struct{}),
		sessions: make(map[queue.SessionID]*session), full: make(map[queue.Box]*box),
	}
	s.idle = sync.NewCond(&s.mu)
	go s.sweep()
	return s
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
				results = append(results, s.do(b, now))
			}
			s.stat.Commits++
			s.stat.Batches += uint64(len(batches))
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

// do carries out one batch.
func (s *Store) do(b *queue.Batch, now time.Time) queue.Result {
	owner := s.sessions[b.Box.Session]
	if owner == nil || owner.fence != b.Fence {
		return queue.Result{Err: queue.ErrFenced}
	}
	x := owner.box(b.Box.Direction)
	s.expire(x, now)
	if !queue.Ordered(b.Ops, x.last) {
		return queue.Result{Err: queue.ErrOrder, Box: x.info()}
	}
	r := s.apply(x, b.Ops)
	if x.empty() {
		x.release()
		delete(s.full, b.Box)
	} else {
		s.full[b.Box] = x
	}
	r.Box = x.info()
	return r
}

// Open implements [queue.Store].
func (s *Store) Open(_ context.Context, id queue.SessionID, fence uint64) (up, down queue.Info, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return up, down, queue.ErrClosed
	}
	owner := s.sessions[id]
	if owner == nil {
		owner = new(session)
		s.sessions[id] = owner
	}
	if fence < owner.fence {
		return up, down, queue.ErrFenced
	}
	owner.fence = fence
	now := s.now()
	s.expire(&owner.up, now)
	s.expire(&owner.down, now)
	return owner.up.info(), owner.down.info(), nil
}

// Forget implements [queue.Store].
func (s *Store) Forget(_ context.Context, id queue.SessionID, fence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return queue.ErrClosed
	}
	owner := s.sessions[id]
	if owner == nil {
		return nil
	}
	if fence < owner.fence {
		return queue.ErrFenced
	}
	for _, d := range []queue.Direction{queue.Up, queue.Down} {
		x := owner.box(d)
		s.count(-x.messages(), -x.bytes)
		delete(s.full, queue.Box{Session: id, Direction: d})
	}
	delete(s.sessions, id)
	return nil
}

// Read implements [queue.Store].
func (s *Store) Read(_ context.Context, b queue.Box, after uint64, most, mostBytes int) ([]queue.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, queue.ErrClosed
	}
	x := s.full[b]
	if x == nil {
		return nil, nil
	}
	s.expire(x, s.now())
	var out []queue.Message
	for i := above(x.live, after); i < len(x.live) && len(out) < most && (mostBytes > 0 || len(out) == 0); i++ {
		out = append(out, x.live[i].message())
		mostBytes -= len(x.live[i].payload)
	}
	return out, nil
}

// Backlog implements [queue.Store].
func (s *Store) Backlog(_ context.Context, d queue.Direction, f func(queue.SessionID, queue.Info) bool) error {
	type backlog struct {
		id   queue.SessionID
		info queue.Info
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	var all []backlog
	now := s.now()
	for b, x := range s.full {
		if b.Direction != d {
			continue
		}
		if s.expire(x, now); len(x.live) > 0 {
			all = append(all, backlog{b.Session, x.info()})
		}
	}
	s.mu.Unlock()
	for _, b := range all {
		if !f(b.id, b.info) {
			break
		}
	}
	return nil
}

// List implements [queue.Store].
func (s *Store) List(_ context.Context, f queue.Filter) ([]queue.Entry, error) {
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, queue.ErrClosed
	}
	var out []queue.Entry
	now := s.now()
	for b, x := range s.full {
		if f.Session != nil && *f.Session != b.Session || f.Direction != nil && *f.Direction != b.Direction {
			continue
		}
		s.expire(x, now)
		from := len(out)
		for _, m := range x.live {
			if f.State == nil || *f.State == m.state {
				out = append(out, queue.Entry{Box: b, Message: m.message()})
			}
		}
		for _, m := range x.failed {
			if f.State == nil || *f.State == m.state {
				out = append(out, queue.Entry{Box: b, Message: m.message()})
			}
		}
		slices.SortFunc(out[from:], func(a, b queue.Entry) int { return cmp.Compare(a.Message.ID, b.Message.ID) })
		if len(out) >= f.Limit {
			return out[:f.Limit], nil
		}
	}
	return out, nil
}

// Stat implements [queue.Store].
func (s *Store) Stat() queue.Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stat
	for _, x := range s.full {
		if oldest := x.info().Oldest; !oldest.IsZero() && (st.Oldest.IsZero() || oldest.Before(st.Oldest)) {
			st.Oldest = oldest
		}
	}
	return st
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
	clear(s.sessions)
	clear(s.full)
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
		s.mu.Lock()
		now := s.now()
		for b, x := range s.full {
			if s.expire(x, now); x.empty() {
				x.release()
				delete(s.full, b)
			}
		}
		s.mu.Unlock()
	}
}
