package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorded is a job that writes what happens to it.
type recorded struct {
	name  string
	write func(*Tx) error
	log   *[]string // guarded by the order of things: the writer's until Done, and Done is last
	done  chan struct{}
}

func (r *recorded) Write(tx *Tx) error {
	*r.log = append(*r.log, "write "+r.name)
	return r.write(tx)
}

func (r *recorded) Undone(_ *Tx, err error) {
	*r.log = append(*r.log, "undone "+r.name+": "+err.Error())
}
func (r *recorded) Done(time.Duration) { close(r.done) }

// TestTogether: what comes while the writer is busy is written in one transaction, and fails together; what was not come to is written in the next.
func TestTogether(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "gopr.db"))
	defer mustClose(t, f)
	var log []string
	entered, leave := make(chan struct{}), make(chan struct{})
	broken := errors.New("broken")
	set := func(to int64) func(*Tx) error {
		return func(tx *Tx) error { return tx.Exec("UPDATE fence SET last = ?", to) }
	}
	jobs := []*recorded{
		{name: "first", write: func(*Tx) error { close(entered); <-leave; return nil }},
		{name: "a", write: set(1)},
		{name: "b", write: func(*Tx) error { return broken }},
		{name: "c", write: set(3)},
	}
	for i, j := range jobs {
		j.log, j.done = &log, make(chan struct{})
		if err := f.Do(j, false); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			<-entered
		}
	}
	close(leave)
	for _, j := range jobs {
		<-j.done
	}
	got := strings.ReplaceAll(strings.Join(log, "; "), f.path, "F")
	if want := "write first; write a; write b; undone a: F: broken; undone b: F: broken; write c"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var last int64
	if err := f.Read.QueryRow("SELECT last FROM fence").Scan(&last); err != nil || last != 3 {
		t.Errorf("last %d, %v", last, err)
	}
	if f.Err() != nil {
		t.Errorf("Err after a transaction that succeeded: %v", f.Err())
	}
}

// TestPatient: a job that nobody waits for is written all the same.
func TestPatient(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "gopr.db"))
	defer mustClose(t, f)
	u := &update{change: func(tx *Tx) error { return tx.Exec("UPDATE fence SET last = 5") }, done: make(chan struct{})}
	if err := f.Do(u, true); err != nil {
		t.Fatal(err)
	}
	<-u.done
	if u.err != nil {
		t.Error(u.err)
	}
}

// TestCloseWrites: what was given to Do is written, however soon Close follows.
func TestCloseWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	for i := range int64(20) {
		f := mustOpen(t, path)
		u := &update{change: func(tx *Tx) error { return tx.Exec("UPDATE fence SET last = ?", i) }, done: make(chan struct{})}
		if err := f.Do(u, i%2 == 0); err != nil {
			t.Fatal(err)
		}
		mustClose(t, f)
		select {
		case <-u.done:
		default:
			t.Fatal("Close returned before Done was called")
		}
		f = mustOpen(t, path)
		var last int64
		if err := f.Read.QueryRow("SELECT last FROM fence").Scan(&last); err != nil || last != i {
			t.Fatalf("last %d, want %d; %v", last, i, err)
		}
		mustClose(t, f)
	}
}

// TestUpdates: many at once, each of which is wholly done.
func TestUpdates(t *testing.T) {
	f := mustOpen(t, filepath.Join(t.TempDir(), "gopr.db"))
	defer mustClose(t, f)
	var wg sync.WaitGroup
	const n = 200
	for range n {
		wg.Go(func() {
			if err := f.Update(context.Background(), func(tx *Tx) error { return tx.Exec("UPDATE fence SET last = last + 1") }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var last int64
	if err := f.Read.QueryRow("SELECT last FROM fence").Scan(&last); err != nil || last != n {
		t.Errorf("last %d, want %d; %v", last, n, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Update(ctx, func(*Tx) error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestGivesBack: a file that a backlog made large becomes small again, and its log stays within its bound.
func TestGivesBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	f := mustOpen(t, path)
	payload := make([]byte, 60_000)
	change := func(c func(*Tx) error) {
		t.Helper()
		if err := f.Update(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	for id := range int64(20) {
		change(func(tx *Tx) error {
			for i := range int64(40) {
				if err := tx.Exec("INSERT INTO message VALUES (1, ?, 0, 0, 0, 0, 0, 0, 0, ?)", id*40+i, payload); err != nil {
					return err
				}
			}
			return nil
		})
		if info, err := os.Stat(path + "-wal"); err != nil || info.Size() > 3*checkpointPages*pageSize {
			t.Fatalf("the log has %v bytes, %v", info.Size(), err)
		}
	}
	change(func(tx *Tx) error { return tx.Exec("DELETE FROM message") })
	pages := func() (n int64) {
		if err := f.Read.QueryRow("PRAGMA page_count").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	full := pages()
	for range 30 {
		change(func(tx *Tx) error { maintain(tx); return nil })
	}
	if left := pages(); left > 3*spare/2 || left >= full {
		t.Errorf("%d pages, of which nothing is used, have become %d", full, left)
	}
	mustClose(t, f)
}
