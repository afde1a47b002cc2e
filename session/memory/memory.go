// Package memory keeps sessions for as long as the process lives.
package memory

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// Options are a store's bounds. The zero value is the default.
type Options struct {
	Sessions int // how many are kept at most, replaced ones too. 0: 1,000,000, which take about 0.3 GB
}

// Open returns an empty store.
func Open(o Options) *Store {
	if o.Sessions == 0 {
		o.Sessions = 1_000_000
	}
	return &Store{max: o.Sessions, clients: make(map[string]*session.Record), ids: make(map[session.ID]*session.Record)}
}

// Store is a [session.Store]. It can be shared by the services of one process.
type Store struct {
	session.Owners
	max int

	mu      sync.Mutex
	clients map[string]*session.Record     // the session that a client may resume
	ids     map[session.ID]*session.Record // all
	fence   uint64                         // the last one given, to whichever session: so a client's next is above all that its sessions ever had
	sweeper *time.Timer                    // runs while there are sessions; nil: there are none
	closed  bool
}

// Begin is that of [session.Store].
func (s *Store) Begin(_ context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()

	old := s.current(r.Client, now)
	if old != nil && !old.Same(&over) {
		return session.Record{}, nil, session.ErrChanged
	}
	if len(s.ids) >= s.max && !s.anyExpired(now) {
		return session.Record{}, nil, session.ErrFull
	}

	s.fence++
	r.Fence = s.fence
	var replaced *session.Record
	if old != nil {
		s.give(old, r.Owner, r.Fence)
		was := copied(old)
		replaced = &was
	}
	r.Since, r.Seen = milliseconds(r.Since), milliseconds(r.Seen)
	stored := copied(&r)
	s.clients[r.Client], s.ids[r.ID] = &stored, &stored
	s.sweepLater()
	return r, replaced, nil
}

// Resume is that of [session.Store].
func (s *Store) Resume(_ context.Context, c session.Claim) (session.Record, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()

	r := s.current(c.Client, now)
	token, before, err := c.Check(r)
	if err != nil {
		return session.Record{}, err
	}
	s.fence++
	s.give(r, c.Owner, s.fence)
	r.Token, r.Before, r.Seen = token, before, milliseconds(now)
	return copied(r), nil
}

// Confirm is that of [session.Store].
func (s *Store) Confirm(_ context.Context, client string, id session.ID, fence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.owned(client, id, fence)
	if r == nil {
		return session.ErrFenced
	}
	r.Before = ""
	return nil
}

// Touch is that of [session.Store].
func (s *Store) Touch(_ context.Context, client string, id session.ID, fence uint64, seen time.Time, expiry time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.owned(client, id, fence)
	if r == nil {
		return session.ErrFenced
	}
	r.Seen, r.Expiry = milliseconds(seen), expiry
	return nil
}

// End is that of [session.Store].
func (s *Store) End(_ context.Context, client string, id session.ID, fence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.owned(client, id, fence)
	if r == nil {
		return session.ErrFenced
	}
	s.forget(r)
	return nil
}

// Get is that of [session.Store].
func (s *Store) Get(_ context.Context, client string) (session.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.current(client, time.Now()); r != nil {
		return copied(r), nil
	}
	return session.Record{}, session.ErrUnknown
}

// Find is that of [session.Store].
func (s *Store) Find(_ context.Context, id session.ID) (session.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.find(id, time.Now()); r != nil {
		return copied(r), nil
	}
	return session.Record{}, session.ErrUnknown
}

// List is that of [session.Store].
func (s *Store) List(_ context.Context, f func(session.Record) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.ids {
		if r.Expired(time.Now()) {
			continue
		}
		listed := copied(r)
		s.mu.Unlock()
		more := f(listed)
		s.mu.Lock()
		if !more {
			break
		}
	}
	return nil
}

// Adopt is that of [session.Store].
func (s *Store) Adopt(_ context.Context, client string, id session.ID, owner string) (session.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(id, time.Now())
	if r == nil || r.Client != client {
		return session.Record{}, session.ErrUnknown
	}
	if r.Owner != owner && s.Live(r.Owner) {
		return session.Record{}, session.ErrOwned
	}
	s.fence++
	s.give(r, owner, s.fence)
	return copied(r), nil
}

// Close ends the sweeping. Who is told by Taken is told until stop.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.sweeper != nil {
		s.sweeper.Stop()
	}
	return nil
}

func (s *Store) current(client string, now time.Time) *session.Record {
	if r := s.clients[client]; r != nil && !r.Expired(now) {
		return r
	}
	return nil
}

func (s *Store) find(id session.ID, now time.Time) *session.Record {
	if r := s.ids[id]; r != nil && !r.Expired(now) {
		return r
	}
	return nil
}

// owned returns a session if the fence is its own.
func (s *Store) owned(client string, id session.ID, fence uint64) *session.Record {
	if r := s.find(id, time.Now()); r != nil && r.Client == client && r.Fence == fence {
		return r
	}
	return nil
}

// give changes a session's hands.
func (s *Store) give(r *session.Record, owner string, fence uint64) {
	before := r.Owner
	r.Owner, r.Fence = owner, fence
	if before != owner {
		s.Tell(before, r.Client, r.ID, fence)
	}
}

// copied returns a record that shares nothing that changes.
func copied(r *session.Record) session.Record {
	c := *r
	c.Attributes = maps.Clone(r.Attributes)
	return c
}

func milliseconds(t time.Time) time.Time { return t.Truncate(time.Millisecond) }
