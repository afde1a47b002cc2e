package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

// Begin is that of [session.Store].
func (s *Store) Begin(ctx context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	type begun struct {
		stored   session.Record
		replaced *session.Record
		from     string // whose that was
	}
	b, err := change(ctx, s, func(tx *sqlite.Tx) (b begun, _, broken error) {
		old, broken := current(tx, r.Client)
		if broken != nil {
			return b, nil, broken
		}
		if old != nil && !old.Same(&over) {
			return b, session.ErrChanged, nil
		}
		if full, broken := s.full(tx); full || broken != nil {
			return b, session.ErrFull, broken
		}
		b.stored = r
		if b.stored.Fence, broken = nextFence(tx); broken != nil {
			return b, nil, broken
		}
		b.stored.Since, b.stored.Seen = r.Since.Truncate(time.Millisecond), r.Seen.Truncate(time.Millisecond)
		if old != nil {
			b.from, b.replaced = old.Owner, old
			old.Owner, old.Fence = r.Owner, b.stored.Fence
			if broken = tx.Exec("UPDATE session SET owner = ?, fence = ? WHERE id = ?", old.Owner, int64(old.Fence), old.ID[:]); broken != nil {
				return b, nil, broken
			}
		}
		if broken = tx.Exec("UPDATE session SET current = 0 WHERE client = ? AND current = 1", []byte(r.Client)); broken != nil {
			return b, nil, broken
		}
		row, broken := values(&b.stored)
		if broken == nil {
			broken = tx.Exec("INSERT INTO session ("+columns+", current) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)", row...)
		}
		s.count.Add(1)
		return b, nil, broken
	})
	if err != nil {
		return session.Record{}, nil, err
	}
	if b.replaced != nil {
		s.tell(b.from, b.replaced)
	}
	return b.stored, b.replaced, nil
}

// full says whether there is no room for one more session.
func (s *Store) full(tx *sqlite.Tx) (bool, error) {
	if n := s.count.Load(); n < 0 || n >= int64(s.max) {
		// Those that have expired since the last sweep do not count.
		err := tx.Query("SELECT count(*) FROM session WHERE seen + expiry > ?", func(row []driver.Value) error { s.count.Store(row[0].(int64)); return nil }, millis(time.Now()))
		if err != nil {
			return false, err
		}
	}
	return s.count.Load() >= int64(s.max), nil
}

// Resume is that of [session.Store].
func (s *Store) Resume(ctx context.Context, c session.Claim) (session.Record, error) {
	return s.give(ctx, func(tx *sqlite.Tx) (r *session.Record, _, broken error) {
		r, broken = current(tx, c.Client)
		if broken != nil {
			return nil, nil, broken
		}
		token, before, err := c.Check(r)
		if err != nil {
			return nil, err, nil
		}
		r.Token, r.Before, r.Seen = token, before, time.Now().Truncate(time.Millisecond)
		return r, nil, nil
	}, c.Owner)
}

// Adopt is that of [session.Store].
func (s *Store) Adopt(ctx context.Context, client string, id session.ID, owner string) (session.Record, error) {
	return s.give(ctx, func(tx *sqlite.Tx) (r *session.Record, _, broken error) {
		r, broken = find(tx, "id = ?", id[:])
		switch {
		case broken != nil:
			return nil, nil, broken
		case r == nil || r.Client != client:
			return nil, session.ErrUnknown, nil
		case r.Owner != owner && s.Live(r.Owner):
			return nil, session.ErrOwned, nil
		}
		return r, nil, nil
	}, owner)
}

// give changes the hands of the session that choose returns.
func (s *Store) give(ctx context.Context, choose func(*sqlite.Tx) (*session.Record, error, error), owner string) (session.Record, error) {
	type given struct {
		session.Record
		from string
	}
	g, err := change(ctx, s, func(tx *sqlite.Tx) (g given, _, broken error) {
		r, err, broken := choose(tx)
		if err != nil || broken != nil {
			return g, err, broken
		}
		g.from, r.Owner = r.Owner, owner
		if r.Fence, broken = nextFence(tx); broken != nil {
			return g, nil, broken
		}
		g.Record = *r
		return g, nil, tx.Exec("UPDATE session SET owner = ?, fence = ?, token = ?, before = ?, seen = ? WHERE id = ?",
			r.Owner, int64(r.Fence), r.Token[:], beforeOrNull(r.Before), millis(r.Seen), r.ID[:])
	})
	if err != nil {
		return session.Record{}, err
	}
	s.tell(g.from, &g.Record)
	return g.Record, nil
}

// tell tells the owner before that a session has gone.
func (s *Store) tell(before string, r *session.Record) {
	if before != r.Owner {
		s.Tell(before, r.Client, r.ID, r.Fence)
	}
}

// Confirm is that of [session.Store].
func (s *Store) Confirm(ctx context.Context, client string, id session.ID, fence uint64) error {
	return s.owned(ctx, client, id, fence, func(tx *sqlite.Tx) error {
		return tx.Exec("UPDATE session SET before = NULL WHERE id = ?", id[:])
	})
}

// Touch is that of [session.Store].
func (s *Store) Touch(ctx context.Context, client string, id session.ID, fence uint64, seen time.Time, expiry time.Duration) error {
	return s.owned(ctx, client, id, fence, func(tx *sqlite.Tx) error {
		return tx.Exec("UPDATE session SET seen = ?, expiry = ? WHERE id = ?", millis(seen), expiry.Milliseconds(), id[:])
	})
}

// End is that of [session.Store].
func (s *Store) End(ctx context.Context, client string, id session.ID, fence uint64) error {
	return s.owned(ctx, client, id, fence, func(tx *sqlite.Tx) error {
		s.count.Add(-1)
		return tx.Exec("DELETE FROM session WHERE id = ?", id[:])
	})
}

// owned carries out f on a session whose fence it is.
func (s *Store) owned(ctx context.Context, client string, id session.ID, fence uint64, f func(*sqlite.Tx) error) error {
	_, err := change(ctx, s, func(tx *sqlite.Tx) (_ struct{}, err, broken error) {
		r, broken := find(tx, "id = ?", id[:])
		if broken != nil {
			return struct{}{}, nil, broken
		}
		if r == nil || r.Client != client || r.Fence != fence {
			return struct{}{}, session.ErrFenced, nil
		}
		return struct{}{}, nil, f(tx)
	})
	return err
}
