package sqlite_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/session/sqlite"
	file "github.com/caddy-gopr/caddy-gopr/store/sqlite"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite/sqlitetest"
)

// TestDiskFull: what can't be written to a full disk is refused, saying so, and has not happened; what is there can be read, and all goes on when there is room.
func TestDiskFull(t *testing.T) {
	disk := sqlitetest.Small(t, "8m")
	path := filepath.Join(disk.Dir, "gopr.db")
	s, err := sqlite.Open(path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tokens := make(map[string]session.Token)
	records := make(map[string]session.Record)
	begin := func(client string) error {
		token := session.NewToken()
		r, _, err := s.Begin(t.Context(), session.Record{Client: client, ID: session.NewID(), Owner: "a", Token: token.Hash(), Since: time.Now(), Seen: time.Now(), Expiry: time.Hour}, records[client])
		if err == nil {
			tokens[client], records[client] = token, r
		}
		return err
	}
	// isFull does something until the disk is full: what needs less than the last did may have room yet.
	isFull := func(what string, do func() error) {
		t.Helper()
		for range 2000 {
			if err := do(); errors.Is(err, file.ErrFull) {
				return
			} else if err != nil {
				t.Fatalf("%s: %v, want it to say that the disk is full", what, err)
			}
		}
		t.Errorf("%s: there is always room", what)
	}
	there := func() {
		t.Helper()
		for client, want := range records {
			if r, err := s.Get(t.Context(), client); err != nil || r.ID != want.ID || r.Fence != want.Fence || r.Token != want.Token {
				t.Fatalf("%s: %+v, %v, want %+v", client, r, err, want)
			}
		}
	}
	resume := func(client string) error {
		claim := session.Claim{Client: client, Token: tokens[client], Owner: "b", Salt: session.NewSalt()}
		r, err := s.Resume(t.Context(), claim)
		if err == nil {
			tokens[client], records[client] = claim.Next(&r), r
		}
		return err
	}
	for n := range 100 {
		if err := begin(fmt.Sprint("meter-", n)); err != nil {
			t.Fatal(err)
		}
	}

	disk.Fill()
	n := 100
	isFull("Begin", func() error { n++; return begin(fmt.Sprint("meter-", n)) })
	isFull("Begin in place of another", func() error { return begin("meter-7") })
	isFull("Resume", func() error { return resume("meter-7") })
	r := records["meter-7"]
	isFull("Touch", func() error { return s.Touch(t.Context(), "meter-7", r.ID, r.Fence, time.Now(), time.Hour) })
	// These write little.
	confirmed, ended := s.Confirm(t.Context(), "meter-7", r.ID, r.Fence), s.End(t.Context(), "meter-7", r.ID, r.Fence)
	for what, err := range map[string]error{"Confirm": confirmed, "End": ended} {
		if err != nil && !errors.Is(err, file.ErrFull) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if ended == nil {
		delete(records, "meter-7")
	}
	there()
	if err := s.Close(); err != nil {
		t.Logf("closed on a full disk: %v", err)
	}
	disk.Free()
	if s, err = sqlite.Open(path, sqlite.Options{}); err != nil {
		t.Fatal(err)
	}
	there()
	if err := resume("meter-9"); err != nil {
		t.Errorf("Resume when there is room again: %v", err)
	}
	if err := begin("meter-8"); err != nil {
		t.Errorf("Begin when there is room again: %v", err)
	}
	there()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
