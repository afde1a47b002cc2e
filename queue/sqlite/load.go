package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

const (
	selectBoxes    = "SELECT n, session, direction, fence, last, seen FROM box"
	selectMessages = "SELECT box, id, state, retries, created, expires, length(payload) FROM message"
)

// errRow is of a row that nobody here has written.
var errRow = fmt.Errorf("%w: a box is of no session, or has no direction", sqlite.ErrDamaged)

// querier is a connection to the file, or a transaction.
type querier func(query string, row func([]driver.Value) error, args ...driver.Value) error

// loadAll fills an empty ledger.
func (s *Store) loadAll() error {
	unused := s.now().Add(-unusedFor).UnixMilli()
	return s.file.Update(context.Background(), func(tx *sqlite.Tx) error {
		if err := tx.Exec("DELETE FROM box WHERE used < ? AND n NOT IN (SELECT box FROM message)", unused); err != nil {
			return err
		}
		rows := make(map[int64]*box)
		if err := s.loadBoxes(tx.Query, rows, selectBoxes); err != nil {
			return err
		}
		for n := range rows {
			s.nextRow = max(s.nextRow, n)
		}
		return s.loadMessages(tx.Query, rows, selectMessages+" ORDER BY box, id")
	})
}

// know loads a session of which the ledger knows nothing any more. It is called with the lock held.
func (s *Store) know(tx *sqlite.Tx, id queue.SessionID) error {
	fence, ok := s.unknown[id]
	if !ok {
		return nil
	}
	rows := make(map[int64]*box)
	err := s.loadBoxes(tx.Query, rows, selectBoxes+" WHERE session = ?", id[:])
	for n := range rows {
		if err == nil {
			err = s.loadMessages(tx.Query, rows, selectMessages+" WHERE box = ? ORDER BY id", n)
		}
	}
	if err != nil {
		s.ledger.Remove(id)
		return s.file.Fault(err)
	}
	if fence > 0 {
		owner := s.ledger.Add(id)
		owner.Fence = max(owner.Fence, fence)
	}
	delete(s.unknown, id)
	return nil
}

func (s *Store) loadBoxes(query querier, rows map[int64]*box, text string, args ...driver.Value) error {
	return query(text, func(row []driver.Value) error {
		var id queue.SessionID
		name, _ := row[1].([]byte)
		var n [6]int64
		for i, v := range row {
			n[i], _ = v.(int64)
		}
		d := queue.Direction(n[2])
		if copy(id[:], name) < len(id) || d > queue.Down {
			return errRow
		}
		owner := s.ledger.Add(id)
		owner.Fence = max(owner.Fence, uint64(n[3]))
		x := owner.Box(d)
		x.Row, x.Last, x.Seen = n[0], uint64(n[4]), uint64(n[5])
		rows[x.Row] = x
		return nil
	}, args...)
}

func (s *Store) loadMessages(query querier, rows map[int64]*box, text string, args ...driver.Value) error {
	return query(text, func(row []driver.Value) error {
		n := make([]int64, len(row))
		for i, v := range row {
			n[i], _ = v.(int64) // the length of no payload is NULL
		}
		if x := rows[n[0]]; x != nil {
			s.ledger.Load(x, entry{
				ID: uint64(n[1]), State: queue.State(n[2]), Retries: uint8(n[3]), Created: n[4], Expires: n[5], Size: uint32(n[6]),
			})
		}
		return nil
	}, args...)
}
