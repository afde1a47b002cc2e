package sqlite

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/session/sessiontest"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	defer goleak.VerifyNone(t)
	sessiontest.Run(t, sessiontest.Options{
		Open: func(t *testing.T) session.Store { return open(t, filepath.Join(t.TempDir(), "gopr.db")) },
		Reopen: func(t *testing.T, s session.Store) session.Store {
			path := s.(*Store).file.Path()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, path)
		},
	})
}

// TestFull: a store that is full takes no more, and those that have expired make room.
func TestFull(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "gopr.db"), Options{Sessions: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	begin := func(client string, expiry time.Duration, want error) session.Record {
		t.Helper()
		now := time.Now()
		over, _ := s.Get(t.Context(), client)
		r, _, err := s.Begin(t.Context(), session.Record{Client: client, ID: session.NewID(), Owner: "a", Since: now, Seen: now, Expiry: expiry}, over)
		if !errors.Is(err, want) {
			t.Fatalf("client %s: got %v, want %v", client, err, want)
		}
		return r
	}
	one := begin("1", time.Hour, nil)
	begin("2", time.Hour, nil)
	begin("3", time.Hour, session.ErrFull)
	begin("2", time.Hour, session.ErrFull) // what it would replace is kept
	if err := s.End(t.Context(), "1", one.ID, one.Fence); err != nil {
		t.Fatal(err)
	}
	begin("3", 0, nil) // expires at once
	begin("4", time.Hour, nil)
	begin("5", time.Hour, session.ErrFull)
	if n := s.sweepSome(); n != 1 {
		t.Errorf("the sweep has forgotten %d sessions, want that of client 3", n)
	}
	begin("5", time.Hour, session.ErrFull)
}

// TestShared: the configurations before and after a reload have one store, whose owners know of one another.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gopr.db")
	before, after := open(t, path), open(t, path)
	stop := before.Taken("a", func(string, session.ID, uint64) {})
	now := time.Now()
	r, _, err := before.Begin(t.Context(), session.Record{Client: "c", ID: session.NewID(), Owner: "a", Since: now, Seen: now, Expiry: time.Hour}, session.Record{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := after.Adopt(t.Context(), "c", r.ID, "b"); !errors.Is(err, session.ErrOwned) {
		t.Errorf("Adopt: %v, want ErrOwned", err)
	}
	stop()
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := after.Adopt(t.Context(), "c", r.ID, "b"); err != nil {
		t.Error(err)
	}
	if err := after.Close(); err != nil {
		t.Error(err)
	}
	if err := after.Close(); !errors.Is(err, sqlite.ErrClosed) {
		t.Errorf("closed once more: %v", err)
	}
}
