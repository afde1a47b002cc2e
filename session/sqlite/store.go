// Package sqlite keeps sessions in a file, which outlives the process. It can be the file in which the messages are.
//
//	store.go    the store, and how it is shared
//	change.go   what changes a session
//	find.go     what finds one
//	record.go   a session as a row
//	sweep.go    the end of those that have expired
package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

// Options are a store's bounds. The zero value is the default.
type Options struct {
	Sessions int // how many are kept at most, replaced ones too. 0: 1,000,000, which take about 0.3 GB of the disk
}

// Store is a [session.Store] in a file. One process has it: so owners of another live no more, and who lives is known in memory. It is made by [Open].
type Store struct {
	session.Owners
	file *sqlite.File
	refs int // guarded by stores
	stop chan struct{}
	done chan struct{} // closed when the sweep has ended
	max  int

	count atomic.Int64 // of sessions; negative: not known. The writer counts, and whoever learns that a change was undone says that it isn't known
}

var _ session.Store = (*Store)(nil)

// stores are the open ones. A file's owners know of one another.
var stores = struct {
	sync.Mutex
	byFile map[*sqlite.File]*Store
}{byFile: make(map[*sqlite.File]*Store)}

// Open opens the store that a file holds, or makes it. See [sqlite.Open] for what makes that fail. A store that this process has open is shared, with the bounds that it has,
// and closed when all who opened it have closed it.
func Open(path string, o Options) (*Store, error) {
	file, err := sqlite.Open(path)
	if err != nil {
		return nil, err
	}
	stores.Lock()
	defer stores.Unlock()
	if s := stores.byFile[file]; s != nil {
		s.refs++
		return s, file.Close() // it counts for the store once
	}
	if o.Sessions == 0 {
		o.Sessions = 1_000_000
	}
	s := &Store{file: file, refs: 1, max: o.Sessions, stop: make(chan struct{}), done: make(chan struct{})}
	s.count.Store(-1)
	stores.byFile[file] = s
	go s.sweep()
	return s, nil
}

// Close is that of [session.Store]. Who is told by Taken is told until stop.
func (s *Store) Close() error {
	stores.Lock()
	defer stores.Unlock()
	if s.refs--; s.refs > 0 {
		return nil
	} else if s.refs < 0 {
		return sqlite.ErrClosed
	}
	delete(stores.byFile, s.file)
	close(s.stop)
	<-s.done
	return s.file.Close()
}

// changed is what a change has come to.
type changed[T any] struct {
	value T
	err   error // one of session's own, before anything was changed
}

// change carries out f in a transaction, which it shares with others' changes, and waits until it is safe. The second error of f is one of the file.
func change[T any](ctx context.Context, s *Store, f func(*sqlite.Tx) (T, error, error)) (T, error) {
	c := new(changed[T])
	err := ctx.Err()
	if err == nil {
		err = s.file.Update(ctx, func(tx *sqlite.Tx) (broken error) {
			c.value, c.err, broken = f(tx)
			return broken
		})
	}
	if err != nil {
		s.count.Store(-1)
		var none T
		return none, err // c may be written yet
	}
	return c.value, c.err
}

// nextFence returns a fence above all others.
func nextFence(tx *sqlite.Tx) (fence uint64, err error) {
	if err := tx.Exec("UPDATE fence SET last = last + 1"); err != nil {
		return 0, err
	}
	err = tx.Query("SELECT last FROM fence", func(row []driver.Value) error { fence = uint64(row[0].(int64)); return nil })
	if err == nil && fence == 0 {
		err = fmt.Errorf("the table of fences is empty")
	}
	return fence, err
}

func millis(t time.Time) int64 { return t.UnixMilli() }
