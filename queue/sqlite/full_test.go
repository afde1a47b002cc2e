package sqlite_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
	file "github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

// TestFull: while the disk is full, every message that is not stored is said not to be, what is stored stays and can be delivered, and when there is room all goes on.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	s, err := sqlite.Open(path, queue.Bounds{Messages: 1 << 20, Bytes: 1 << 30}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	disk := func(pages int) {
		t.Helper()
		err := f.Update(context.Background(), func(tx *file.Tx) error {
			return tx.Query("PRAGMA max_page_count = "+strconv.Itoa(pages), func([]driver.Value) error { return nil })
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	disk(100)

	box := queue.Box{Session: queue.SessionID{1}, Direction: queue.Down}
	if _, _, err := s.Open(context.Background(), box.Session, 1); err != nil {
		t.Fatal(err)
	}
	do := func(fence uint64, ops ...queue.Op) queue.Result {
		done := make(chan queue.Result, 1)
		s.Do(&queue.Batch{Box: box, Fence: fence, Ops: ops, Done: func(r queue.Result) { done <- r }})
		return <-done
	}
	put := func(fence, id uint64) queue.Result {
		return do(fence, queue.Op{Kind: queue.Put, Message: &queue.Message{ID: id, QoS: 1, Payload: make([]byte, 10_000)}})
	}
	stored := uint64(0)
	for {
		r := put(1, stored+1)
		if r.Err != nil {
			if !errors.Is(r.Err, file.ErrFull) || !strings.Contains(r.Err.Error(), path) {
				t.Fatalf("the error does not say that the disk is full, and which: %v", r.Err)
			}
			break
		}
		stored++
	}
	if stored < 10 {
		t.Fatalf("%d messages were stored", stored)
	}
	if st := s.Stat(); !errors.Is(st.Err, file.ErrFull) || st.Failed == 0 || st.Messages != int(stored) {
		t.Errorf("Stat: %+v", st)
	}
	if r := put(1, stored+1); !errors.Is(r.Err, file.ErrFull) {
		t.Errorf("the next: %v", r.Err)
	}

	// Sessions go on.
	_, info, err := s.Open(context.Background(), box.Session, 2)
	if err != nil || info.Last != stored || info.Messages != int(stored) {
		t.Fatalf("Open: %+v, %v; want %d messages", info, err, stored)
	}
	all, err := s.Read(context.Background(), box, 0, 1<<20, 1<<30)
	if err != nil || len(all) != int(stored) {
		t.Fatalf("Read: %d messages, %v; want %d", len(all), err, stored)
	}
	if r := do(2, queue.Op{Kind: queue.RemoveThrough, ID: 1}); r.Err != nil {
		t.Errorf("what was delivered can't be removed: %v", r.Err)
	}

	disk(1 << 20)
	for {
		if r := put(2, stored+1); r.Err == nil {
			break
		} else if !errors.Is(r.Err, file.ErrFull) {
			t.Fatal(r.Err)
		}
	}
	if st := s.Stat(); st.Err != nil || st.Messages != int(stored) {
		t.Errorf("Stat when there is room again: %+v; want %d messages", st, stored)
	}
}

// TestShared: a reload opens the store again, perhaps with other bounds, before the configuration before it has closed it.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	before, err := sqlite.Open(path, queue.Bounds{Messages: 5}, nil)
	if err != nil {
		t.Fatal(err)
	}
	after, err := sqlite.Open(path, queue.Bounds{Messages: 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := queue.SessionID{1}
	if _, _, err := before.Open(context.Background(), id, 1); err != nil {
		t.Fatal(err)
	}
	var ops []queue.Op
	for i := range uint64(5) {
		ops = append(ops, queue.Op{Kind: queue.Put, Message: &queue.Message{ID: i + 1}})
	}
	done := make(chan queue.Result, 1)
	before.Do(&queue.Batch{Box: queue.Box{Session: id}, Fence: 1, Ops: ops, Done: func(r queue.Result) { done <- r }})
	if r := <-done; r.Err != nil || r.Stored != 3 {
		t.Errorf("%+v, want 3 stored", r)
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if up, _, err := after.Open(context.Background(), id, 2); err != nil || up.Messages != 3 {
		t.Errorf("%+v, %v, want 3 messages", up, err)
	}
	if err := after.Close(); err != nil {
		t.Error(err)
	}
	if err := after.Close(); !errors.Is(err, queue.ErrClosed) {
		t.Errorf("closed once more: %v", err)
	}
}
