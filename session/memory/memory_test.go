package memory

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/session/sessiontest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStore(t *testing.T) {
	sessiontest.Run(t, sessiontest.Options{Open: func(*testing.T) session.Store { return Open(Options{}) }})
}

func record(i int) session.Record {
	now := time.Now()
	return session.Record{Client: fmt.Sprintf("meter-%07d", i), ID: session.NewID(), Owner: "a", Since: now, Seen: now, Expiry: time.Hour}
}

func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Open(Options{Sessions: 3})
		defer s.Close()
		begin := func(i int, want error) session.Record {
			t.Helper()
			r := record(i)
			over, _ := s.Get(t.Context(), r.Client)
			r, _, err := s.Begin(t.Context(), r, over)
			if !errors.Is(err, want) {
				t.Fatalf("session %d: got %v, want %v", i, err, want)
			}
			return r
		}
		begin(1, nil)
		second := begin(2, nil)
		begin(3, nil)
		begin(4, session.ErrFull)
		begin(3, session.ErrFull) // what it would replace is kept, too
		if r, err := s.Get(t.Context(), second.Client); err != nil || r.Fence != second.Fence {
			t.Errorf("what was refused changed %v, err %v", r, err)
		}

		if err := s.End(t.Context(), second.Client, second.ID, second.Fence); err != nil {
			t.Fatal(err)
		}
		begin(4, nil)
		begin(5, session.ErrFull)
		time.Sleep(time.Hour) // all have expired, swept or not
		begin(5, nil)
	})
}

func TestExpiredIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Open(Options{})
		defer s.Close()
		const n = 5 * sweepAtOnce
		for i := range n {
			if _, _, err := s.Begin(t.Context(), record(i), session.Record{}); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := s.Get(t.Context(), "meter-0000007")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Touch(t.Context(), kept.Client, kept.ID, kept.Fence, kept.Seen, 3*time.Hour); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Hour + sweepEvery)
		synctest.Wait()
		s.mu.Lock()
		if len(s.ids) != 1 || len(s.clients) != 1 || s.ids[kept.ID] == nil {
			t.Errorf("%d sessions and %d clients are kept, want one", len(s.ids), len(s.clients))
		}
		s.mu.Unlock()

		time.Sleep(2 * time.Hour)
		synctest.Wait()
		s.mu.Lock()
		if len(s.ids) != 0 || s.sweeper != nil {
			t.Errorf("%d sessions are kept, sweeper %v, want nothing", len(s.ids), s.sweeper)
		}
		s.mu.Unlock()
	})
}

// TestSessionIsSmall holds the figure in the doc comment of Options.
func TestSessionIsSmall(t *testing.T) {
	s := Open(Options{})
	defer s.Close()
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 100_000
	before := heap()
	for i := range n {
		if _, _, err := s.Begin(t.Context(), record(i), session.Record{}); err != nil {
			t.Fatal(err)
		}
	}
	each := (heap() - before) / n
	t.Logf("%d bytes each", each)
	if each > 450 {
		t.Errorf("a session takes %d bytes", each)
	}
	runtime.KeepAlive(s)
}
