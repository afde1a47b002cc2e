package sqlite_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
	file "github.com/caddy-gopr/caddy-gopr/store/sqlite"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite/sqlitetest"
)

// writers put messages into boxes of their own, one after the other, and know which were said to be stored.
type writers struct {
	stored []atomic.Uint64 // by box: the last message that was
	full   atomic.Int64    // refusals, as the disk is full
	most   atomic.Uint64   // how many messages they may store in all: what they have stored must leave room on the disk
	wg     sync.WaitGroup
	stop   chan struct{}
}

func (w *writers) box(n int) queue.Box { return queue.Box{Session: queue.SessionID{byte(n)}} }

// run has so many write until end.
func (w *writers) run(t *testing.T, s queue.Store, count int) (end func()) {
	w.stored, w.stop = make([]atomic.Uint64, count), make(chan struct{})
	for n := range count {
		if _, _, err := s.Open(context.Background(), w.box(n).Session, 1); err != nil {
			t.Fatal(err)
		}
		w.wg.Go(func() {
			for {
				select {
				case <-w.stop:
					return
				default:
				}
				if w.all() >= w.most.Load() {
					time.Sleep(time.Millisecond)
					continue
				}
				m := &queue.Message{ID: w.stored[n].Load() + 1, QoS: 1, Payload: make([]byte, 1000)}
				switch r := do(s, w.box(n), 1, queue.Op{Kind: queue.Put, Message: m}); {
				case errors.Is(r.Err, file.ErrFull):
					w.full.Add(1)
					time.Sleep(time.Millisecond) // as whoever is refused comes back, and not at once
				case r.Err != nil || r.Stored != 1:
					t.Errorf("box %d, message %d: %+v", n, m.ID, r)
					return
				default:
					w.stored[n].Add(1)
				}
			}
		})
	}
	return sync.OnceFunc(func() { close(w.stop); w.wg.Wait() })
}

// all is how many messages were stored.
func (w *writers) all() (sum uint64) {
	for n := range w.stored {
		sum += w.stored[n].Load()
	}
	return sum
}

// check holds the store to what it has said.
func (w *writers) check(t *testing.T, s queue.Store) {
	t.Helper()
	for n := range w.stored {
		messages, err := s.Read(context.Background(), w.box(n), 0, 1<<20, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if uint64(len(messages)) != w.stored[n].Load() {
			t.Errorf("box %d has %d messages, and %d were stored", n, len(messages), w.stored[n].Load())
		}
		for i, m := range messages {
			if m.ID != uint64(i+1) || len(m.Payload) != 1000 {
				t.Fatalf("box %d: message %d of %d bytes where %d belongs", n, m.ID, len(m.Payload), i+1)
			}
		}
	}
}

func do(s queue.Store, b queue.Box, fence uint64, ops ...queue.Op) queue.Result {
	done := make(chan queue.Result, 1)
	s.Do(&queue.Batch{Box: b, Fence: fence, Ops: ops, Done: func(r queue.Result) { done <- r }})
	return <-done
}

// until waits for what must come about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// TestDiskFull: a disk fills up under traffic, has room again, and fills up once more, on which the store is closed, opened and read. What was stored is there, always.
func TestDiskFull(t *testing.T) {
	disk := sqlitetest.Small(t, "96m") // several times what the file and its log take of what is stored here
	path := filepath.Join(disk.Dir, "gopr.db")
	free := func() {} // gives the room back, once
	open := func() queue.Store {
		t.Helper()
		s, err := sqlite.Open(path, queue.Bounds{Messages: 1 << 20, Bytes: 1 << 30}, nil)
		if errors.Is(err, file.ErrFull) { // to open a file takes some room, which may not be there
			free()
			s, err = sqlite.Open(path, queue.Bounds{Messages: 1 << 20, Bytes: 1 << 30}, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	var w writers
	end := w.run(t, s, 8)
	defer end()
	for range 2 {
		before := w.all()
		w.most.Store(before + 400)
		until(t, "messages are stored", func() bool { return w.all() > before+200 })
		refused := w.full.Load()
		disk.Fill()
		w.most.Store(math.MaxUint64)
		until(t, "messages are refused", func() bool { return w.full.Load() > refused+20 })
		if st := s.Stat(); !errors.Is(st.Err, file.ErrFull) {
			t.Errorf("while the disk is full, the store says %v", st.Err)
		}
		w.check(t, s)
		before = w.all()
		w.most.Store(before + 400)
		disk.Free()
		until(t, "messages are stored when there is room", func() bool { return w.all() > before+200 })
	}
	disk.Fill()
	w.most.Store(math.MaxUint64)
	refused := w.full.Load()
	until(t, "messages are refused", func() bool { return w.full.Load() > refused+20 })
	end()
	w.check(t, s)
	if err := s.Close(); err != nil {
		t.Logf("closed on a full disk: %v", err)
	}
	free = sync.OnceFunc(disk.Free)
	s = open()
	w.check(t, s)
	for n := range w.stored {
		if r := do(s, w.box(n), 1, queue.Op{Kind: queue.RemoveThrough, ID: 1}); r.Err != nil && !errors.Is(r.Err, file.ErrFull) {
			t.Errorf("removing: %v", r.Err)
		}
	}
	free()
	until(t, "all can be delivered when there is room", func() bool {
		return do(s, w.box(0), 1, queue.Op{Kind: queue.RemoveThrough, ID: w.stored[0].Load()}).Err == nil
	})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
