package sqlite_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
	file "github.com/caddy-gopr/caddy-gopr/store/sqlite"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite/sqlitetest"
)

// TestDamaged: a file that is damaged while it is open is said to be, by whoever reads what is damaged, and then by whoever writes anything: nothing more is acknowledged. It
// is not opened again.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	s, err := sqlite.Open(path, queue.Bounds{Messages: 1 << 20, Bytes: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	box := queue.Box{Session: queue.SessionID{1}}
	for _, id := range []queue.SessionID{box.Session, {2}} {
		if _, _, err := s.Open(context.Background(), id, 1); err != nil {
			t.Fatal(err)
		}
	}
	const stored = 2500 // 25 MB: more than the writer's cache holds
	var ops []queue.Op
	for id := uint64(1); id <= stored; id++ {
		ops = append(ops, queue.Op{Kind: queue.Put, Message: &queue.Message{ID: id, QoS: 1, Payload: make([]byte, 10_000)}})
	}
	if r := do(s, box, 1, ops...); r.Err != nil || r.Stored != stored {
		t.Fatalf("%+v", r)
	}
	f, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Update(context.Background(), func(tx *file.Tx) error {
		return tx.Query("PRAGMA wal_checkpoint(TRUNCATE)", func([]driver.Value) error { return nil })
	})
	if err != nil {
		t.Fatal(err)
	}
	sqlitetest.Damage(t, path, 20)

	said := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, file.ErrDamaged) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want it to say that the file is damaged, and which", what, err)
		}
	}
	_, err = s.Read(context.Background(), box, 0, stored, 1<<30)
	said("Read", err)
	_, err = s.List(context.Background(), queue.Filter{Limit: stored})
	said("List", err)
	said("Put", do(s, box, 1, queue.Op{Kind: queue.Put, Message: &queue.Message{ID: stored + 1}}).Err)
	said("Remove", do(s, box, 1, queue.Op{Kind: queue.RemoveThrough, ID: 1}).Err)
	said("Put of another session", do(s, queue.Box{Session: queue.SessionID{2}}, 1, queue.Op{Kind: queue.Put, Message: &queue.Message{ID: 1}}).Err)
	said("Stat", s.Stat().Err)
	for _, end := range []func() error{f.Close, s.Close} {
		if err := end(); err != nil {
			t.Logf("closed: %v", err)
		}
	}
	for range 2 {
		_, err := sqlite.Open(path, queue.Bounds{}, nil)
		said("Open", err)
	}
}
