package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/internal/ledger"
)

// Read implements [queue.Store].
func (s *Store) Read(_ context.Context, b queue.Box, after uint64, most, mostBytes int) ([]queue.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, queue.ErrClosed
	}
	x := s.ledger.Full[b]
	if x == nil {
		return nil, nil
	}
	s.ledger.Expire(x, s.now(), nil)
	var out []queue.Message
	for _, e := range x.After(after) {
		if len(out) >= most || mostBytes <= 0 && len(out) > 0 {
			break
		}
		out = append(out, message(&e))
		mostBytes -= len(e.Content.payload)
	}
	return out, nil
}

// Backlog implements [queue.Store].
func (s *Store) Backlog(_ context.Context, d queue.Direction, f func(queue.SessionID, queue.Info) bool) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	all := s.ledger.Backlog(d, s.now())
	s.mu.Unlock()
	for _, b := range all {
		if !f(b.Session, b.Info) {
			break
		}
	}
	return nil
}

// Known implements [queue.Knower].
func (s *Store) Known(f func(id queue.SessionID, up, down queue.Info) bool) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return queue.ErrClosed
	}
	all := s.ledger.Known(s.now())
	s.mu.Unlock()
	for _, k := range all {
		if !f(k.Session, k.Up, k.Down) {
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
	var boxes []queue.Place
	for b := range s.ledger.Full {
		if _, has := f.Behind(b); has {
			boxes = append(boxes, queue.Place{Box: b})
		}
	}
	slices.SortFunc(boxes, queue.Place.Compare)
	var out []queue.Entry
	now := s.now()
	for _, p := range boxes {
		b, x := p.Box, s.ledger.Full[p.Box]
		after, _ := f.Behind(b)
		s.ledger.Expire(x, now, nil)
		from := len(out)
		for _, entries := range [][]ledger.Entry[content]{x.After(0), x.Failed()} {
			for _, e := range entries {
				if e.ID > after && (f.State == nil || *f.State == e.State) {
					out = append(out, queue.Entry{Box: b, Message: message(&e)})
				}
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
	st := s.ledger.Stat
	st.Oldest = s.ledger.Oldest()
	return st
}

func message(e *ledger.Entry[content]) queue.Message {
	m := queue.Message{
		ID: e.ID, Cmd: e.Content.cmd, Flag: e.Content.flag, QoS: e.Content.qos, State: e.State, Retries: e.Retries,
		Created: time.UnixMilli(e.Created), Payload: e.Content.payload,
	}
	if e.Expires != 0 {
		m.Expires = time.UnixMilli(e.Expires)
	}
	return m
}
