package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// listed is how many sessions List reads at once.
const listed = 500

// Get is that of [session.Store].
func (s *Store) Get(ctx context.Context, client string) (session.Record, error) {
	return s.one(ctx, "client = ? AND current = 1", []byte(client))
}

// Find is that of [session.Store].
func (s *Store) Find(ctx context.Context, id session.ID) (session.Record, error) {
	return s.one(ctx, "id = ?", id[:])
}

func (s *Store) one(ctx context.Context, condition string, arg []byte) (session.Record, error) {
	var r row
	err := s.file.Read.QueryRowContext(ctx, "SELECT "+columns+" FROM session WHERE "+condition+" AND seen + expiry > ?", arg, millis(time.Now())).Scan(r.targets()...)
	if errors.Is(err, sql.ErrNoRows) {
		return session.Record{}, session.ErrUnknown
	}
	if err != nil {
		return session.Record{}, s.file.Fault(err)
	}
	return r.record()
}

// List is that of [session.Store]. It reads some at a time, so that f may use the store.
func (s *Store) List(ctx context.Context, f func(session.Record) bool) error {
	after := []byte{}
	for {
		page, err := s.page(ctx, after)
		if err != nil {
			return s.file.Fault(err)
		}
		for _, r := range page {
			if !f(r) {
				return nil
			}
		}
		if len(page) < listed {
			return nil
		}
		after = page[len(page)-1].ID[:]
	}
}

// page returns the sessions that follow an id.
func (s *Store) page(ctx context.Context, after []byte) (page []session.Record, err error) {
	rows, err := s.file.Read.QueryContext(ctx, "SELECT "+columns+" FROM session WHERE id > ? AND seen + expiry > ? ORDER BY id LIMIT ?", after, millis(time.Now()), listed)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r row
		if err := rows.Scan(r.targets()...); err != nil {
			return nil, err
		}
		record, err := r.record()
		if err != nil {
			return nil, err
		}
		page = append(page, record)
	}
	return page, rows.Err()
}
