package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

const columns = "id, cmd, flag, qos, state, retries, created, expires, payload"

// Read implements [queue.Store].
func (s *Store) Read(ctx context.Context, b queue.Box, after uint64, most, mostBytes int) ([]queue.Message, error) {
	n, err := s.row(b)
	if n == 0 || err != nil || after > math.MaxInt64 {
		return nil, err
	}
	var out []queue.Message
	err = s.query(ctx, func(rows *sql.Rows) (more bool, err error) {
		m, err := message(rows)
		out = append(out, m)
		mostBytes -= len(m.Payload)
		return mostBytes > 0, err
	}, "SELECT "+columns+" FROM message WHERE box = ? AND id > ? AND state <> 2 AND (expires = 0 OR expires > ?) ORDER BY id LIMIT ?",
		n, int64(after), s.now().UnixMilli(), most)
	return out, err
}

// row returns under which number the file has a box; 0: under none.
func (s *Store) row(b queue.Box) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, queue.ErrClosed
	}
	if _, ok := s.unknown[b.Session]; ok {
		return 0, fmt.Errorf("%s: the session must be opened again, after an error", s.file.Path())
	}
	if owner := s.ledger.Session(b.Session); owner != nil {
		return owner.Box(b.Direction).Row, nil
	}
	return 0, nil
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
func (s *Store) List(ctx context.Context, f queue.Filter) ([]queue.Entry, error) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return nil, queue.ErrClosed
	}
	if f.Limit <= 0 {
		f.Limit = 1000
	}
	where, args := []string{"(expires = 0 OR expires > ?)"}, []any{s.now().UnixMilli()}
	if f.Session != nil {
		where, args = append(where, "session = ?"), append(args, f.Session[:])
	}
	if f.Direction != nil {
		where, args = append(where, "direction = ?"), append(args, *f.Direction)
	}
	if f.State != nil {
		where, args = append(where, "state = ?"), append(args, *f.State)
	}
	if f.After != nil {
		where = append(where, "(session, direction, id) > (?, ?, ?)")
		args = append(args, f.After.Box.Session[:], f.After.Box.Direction, int64(min(f.After.ID, math.MaxInt64)))
	}
	// Payloads are read of those alone that are listed.
	const order = " ORDER BY session, direction, id"
	some := "SELECT box AS of, id AS nth, session, direction FROM box JOIN message ON box = n WHERE " + strings.Join(where, " AND ") + order + " LIMIT ?"
	var out []queue.Entry
	err := s.query(ctx, func(rows *sql.Rows) (more bool, err error) {
		var session []byte
		var e queue.Entry
		e.Message, err = message(rows, &session, &e.Box.Direction)
		copy(e.Box.Session[:], session)
		out = append(out, e)
		return true, err
	}, "SELECT "+columns+", session, direction FROM ("+some+") JOIN message ON box = of AND id = nth"+order, append(args, f.Limit)...)
	return out, err
}

// query calls f for each row, until it says that there is enough.
func (s *Store) query(ctx context.Context, f func(*sql.Rows) (more bool, err error), query string, args ...any) error {
	rows, err := s.file.Read.QueryContext(ctx, query, args...)
	if err != nil {
		return s.file.Fault(err)
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := f(rows); err != nil || !more {
			return err
		}
	}
	return s.file.Fault(rows.Err())
}

// message returns the message of a row, whose other columns go to also.
func message(rows *sql.Rows, also ...any) (m queue.Message, err error) {
	var id, created, expires int64
	err = rows.Scan(append([]any{&id, &m.Cmd, &m.Flag, &m.QoS, &m.State, &m.Retries, &created, &expires, &m.Payload}, also...)...)
	m.ID, m.Created = uint64(id), time.UnixMilli(created)
	if expires != 0 {
		m.Expires = time.UnixMilli(expires)
	}
	return m, err
}

// Stat implements [queue.Store].
func (s *Store) Stat() queue.Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.ledger.Stat
	st.Oldest = s.ledger.Oldest()
	return st
}
