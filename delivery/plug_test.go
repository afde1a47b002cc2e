package delivery

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

var errUnplugged = errors.New("the store can't be reached")

// plug is the way of one service to the stores. Pulled, nothing gets through: for the stores it is as if the service's process had died; and what it gave them last was carried
// out or not.
type plug struct {
	pulled atomic.Bool
	lossy  atomic.Bool // batches fail, after they were carried out or before

	mu    sync.Mutex
	stops []func()
	odd   int
}

func (p *plug) pull() {
	p.pulled.Store(true)
	p.mu.Lock()
	stops := p.stops
	p.stops = nil
	p.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

type pluggedQueue struct {
	queue.Store
	p *plug
}

func (q pluggedQueue) Do(b *queue.Batch) {
	switch {
	case q.p.pulled.Load():
		go b.Done(queue.Result{Err: errUnplugged})
		return
	case q.p.lossy.Load():
		q.p.mu.Lock()
		q.p.odd++
		carriedOut := q.p.odd%2 == 0
		q.p.mu.Unlock()
		if !carriedOut {
			go b.Done(queue.Result{Err: errUnplugged})
			return
		}
		copied := *b
		copied.Done = func(queue.Result) { b.Done(queue.Result{Err: errUnplugged}) }
		q.Store.Do(&copied)
		return
	}
	copied := *b
	copied.Done = func(r queue.Result) {
		if q.p.pulled.Load() {
			r = queue.Result{Err: errUnplugged}
		}
		b.Done(r)
	}
	q.Store.Do(&copied)
}

func (q pluggedQueue) Open(ctx context.Context, s queue.SessionID, fence uint64) (up, down queue.Info, err error) {
	if q.p.pulled.Load() {
		return up, down, errUnplugged
	}
	return q.Store.Open(ctx, s, fence)
}

func (q pluggedQueue) Read(ctx context.Context, b queue.Box, after uint64, most, maxBytes int) ([]queue.Message, error) {
	if q.p.pulled.Load() {
		return nil, errUnplugged
	}
	return q.Store.Read(ctx, b, after, most, maxBytes)
}

func (q pluggedQueue) Forget(ctx context.Context, s queue.SessionID, fence uint64) error {
	if q.p.pulled.Load() {
		return errUnplugged
	}
	return q.Store.Forget(ctx, s, fence)
}

func (q pluggedQueue) Backlog(ctx context.Context, d queue.Direction, f func(queue.SessionID, queue.Info) bool) error {
	if q.p.pulled.Load() {
		return errUnplugged
	}
	return q.Store.Backlog(ctx, d, f)
}

type pluggedSessions struct {
	session.Store
	p *plug
}

func (s pluggedSessions) away() error {
	if s.p.pulled.Load() {
		return errUnplugged
	}
	return nil
}

func (s pluggedSessions) Begin(ctx context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	if err := s.away(); err != nil {
		return session.Record{}, nil, err
	}
	return s.Store.Begin(ctx, r, over)
}

func (s pluggedSessions) Resume(ctx context.Context, c session.Claim) (session.Record, error) {
	if err := s.away(); err != nil {
		return session.Record{}, err
	}
	return s.Store.Resume(ctx, c)
}

func (s pluggedSessions) Confirm(ctx context.Context, client string, id session.ID, fence uint64) error {
	if err := s.away(); err != nil {
		return err
	}
	return s.Store.Confirm(ctx, client, id, fence)
}

func (s pluggedSessions) Touch(ctx context.Context, client string, id session.ID, fence uint64, seen time.Time, expiry time.Duration) error {
	if err := s.away(); err != nil {
		return err
	}
	return s.Store.Touch(ctx, client, id, fence, seen, expiry)
}

func (s pluggedSessions) End(ctx context.Context, client string, id session.ID, fence uint64) error {
	if err := s.away(); err != nil {
		return err
	}
	return s.Store.End(ctx, client, id, fence)
}

func (s pluggedSessions) Find(ctx context.Context, id session.ID) (session.Record, error) {
	if err := s.away(); err != nil {
		return session.Record{}, err
	}
	return s.Store.Find(ctx, id)
}

func (s pluggedSessions) Adopt(ctx context.Context, client string, id session.ID, owner string) (session.Record, error) {
	if err := s.away(); err != nil {
		return session.Record{}, err
	}
	return s.Store.Adopt(ctx, client, id, owner)
}

func (s pluggedSessions) Taken(owner string, f func(string, session.ID, uint64)) (stop func()) {
	stop = sync.OnceFunc(s.Store.Taken(owner, f))
	s.p.mu.Lock()
	s.p.stops = append(s.p.stops, stop)
	s.p.mu.Unlock()
	return stop
}

func (q pluggedQueue) Known(f func(id queue.SessionID, up, down queue.Info) bool) error {
	if q.p.pulled.Load() {
		return errUnplugged
	}
	return q.Store.(queue.Knower).Known(f)
}
