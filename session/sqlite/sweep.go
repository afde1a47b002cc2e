package sqlite

import (
	"context"
	"database/sql/driver"
	"time"

	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

const (
	sweepEvery = time.Minute
	// sweepAtOnce is how many sessions one transaction forgets.
	sweepAtOnce = 1000
)

// sweep forgets what has expired. An error is none: it is tried again, and what has expired is not found anyway.
func (s *Store) sweep() {
	defer close(s.done)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for s.sweepSome() == sweepAtOnce {
			select {
			case <-s.stop:
				return
			default:
			}
		}
	}
}

// sweepSome forgets some of what has expired, and returns how many. They are looked for by a reader, so that nobody waits for that.
func (s *Store) sweepSome() int {
	now := millis(time.Now())
	rows, err := s.file.Read.QueryContext(context.Background(), "SELECT id FROM session WHERE seen + expiry <= ? LIMIT ?", now, sweepAtOnce)
	if err != nil {
		return 0
	}
	defer rows.Close()
	var ids [][]byte
	for rows.Next() {
		var id []byte
		if rows.Scan(&id) == nil {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || rows.Err() != nil {
		return 0
	}
	_, err = change(context.Background(), s, func(tx *sqlite.Tx) (_ struct{}, err, broken error) {
		for _, id := range ids {
			// It may have been touched meanwhile.
			if broken = tx.Exec("DELETE FROM session WHERE id = ? AND seen + expiry <= ?", id, driver.Value(now)); broken != nil {
				break
			}
		}
		s.count.Store(-1)
		return struct{}{}, nil, broken
	})
	if err != nil {
		return 0
	}
	return len(ids)
}
