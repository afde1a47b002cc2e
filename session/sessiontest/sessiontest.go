// Package sessiontest holds a session store to the contract of [session.Store].
//
//	sessiontest.go   how a store is tested, and the smaller things all tests use
//	resume.go        tokens, certificates, and who wins
//	fence.go         what an owner who is one no more can't do
//	lifetime.go      expiry, ends, and what is found by whom
//	owners.go        who lives, is told, and adopts
//	durable.go       what is there after a restart, and what two stores see of each other
package sessiontest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// Options say how stores come about.
type Options struct {
	// Open returns an empty store, which the test closes.
	Open func(t *testing.T) session.Store
	// Reopen closes a store and opens it again, as a restart does. nil: it forgets.
	Reopen func(t *testing.T, s session.Store) session.Store
	// Second opens another store on the same data, as another gateway does. nil: it can't be shared.
	Second func(t *testing.T, s session.Store) session.Store
}

// Run tests a store.
func Run(t *testing.T, o Options) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, o Options)
	}{
		{"begin", first},
		{"every byte of a client id", clientIDs},
		{"a token is good once", tokens},
		{"certificates", certificates},
		{"the token before", tokenBefore},
		{"one token at once", oneToken},
		{"begin at once", beginAtOnce},
		{"begin and resume at once", beginAndResume},
		{"begin late", beginLate},
		{"touch", touch},
		{"fences", fences},
		{"a session that was replaced", replaced},
		{"expiry", expiry},
		{"end", end},
		{"list", list},
		{"taken", takenIsTold},
		{"stop", stopWaits},
		{"adopt", adopt},
		{"restart", restart},
		{"two stores", twoStores},
		{"canceled", canceled},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, o) })
	}
}

func (o Options) open(t *testing.T) session.Store {
	t.Helper()
	s := o.Open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// at is a time as it comes out of a store.
var at = time.Now().Truncate(time.Millisecond)

// client returns the record of a session that begins.
func client(name, owner string) (session.Record, session.Token) {
	token := session.NewToken()
	return session.Record{
		Client: name, ID: session.NewID(), Owner: owner, Token: token.Hash(),
		Since: at, Seen: time.Now(), Expiry: time.Hour,
	}, token
}

// begin begins a session in place of whichever its client has.
func begin(ctx context.Context, s session.Store, r session.Record) (stored session.Record, replaced *session.Record, err error) {
	for {
		over, err := s.Get(ctx, r.Client)
		if err != nil && !errors.Is(err, session.ErrUnknown) {
			return stored, nil, err
		}
		if stored, replaced, err = s.Begin(ctx, r, over); !errors.Is(err, session.ErrChanged) {
			return stored, replaced, err
		}
	}
}

// begun begins a session.
func begun(t *testing.T, s session.Store, name, owner string) (session.Record, session.Token) {
	t.Helper()
	r, token := client(name, owner)
	stored, _, err := begin(t.Context(), s, r)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return stored, token
}

// resumed resumes a session; its client has shown that it has the new token.
func resumed(t *testing.T, s session.Store, name, owner string, token session.Token) (session.Record, session.Token) {
	t.Helper()
	claim := session.Claim{Client: name, Token: token, Owner: owner, Salt: session.NewSalt()}
	r, err := s.Resume(t.Context(), claim)
	if err != nil {
		t.Fatalf("Resume: %v", err)
	}
	if err := s.Confirm(t.Context(), name, r.ID, r.Fence); err != nil {
		t.Fatalf("Confirm: %v", err)
	}
	next := claim.Next(&r)
	r.Before = ""
	return r, next
}

// expire has a session expire at once: its client was last seen longer ago than the session lasts.
func expire(t *testing.T, s session.Store, r session.Record) {
	t.Helper()
	if err := s.Touch(t.Context(), r.Client, r.ID, r.Fence, time.Now().Add(-2*time.Hour), time.Hour); err != nil {
		t.Fatalf("Touch: %v", err)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// wantRecord compares all but Seen, which Resume sets, where the wanted one is zero.
func wantRecord(t *testing.T, what string, got, want session.Record) {
	t.Helper()
	if want.Seen.IsZero() {
		got.Seen = want.Seen
	}
	same := got.Client == want.Client && got.ID == want.ID && got.Fence == want.Fence && got.Owner == want.Owner && got.Token == want.Token &&
		got.Before == want.Before && got.Certificate == want.Certificate && got.Since.Equal(want.Since) && got.Seen.Equal(want.Seen) && got.Expiry == want.Expiry && len(got.Attributes) == len(want.Attributes)
	for k, v := range want.Attributes {
		same = same && got.Attributes[k] == v
	}
	if !same {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func all(ctx context.Context, s session.Store) (records map[session.ID]session.Record, err error) {
	records = make(map[session.ID]session.Record)
	err = s.List(ctx, func(r session.Record) bool {
		records[r.ID] = r
		return true
	})
	return records, err
}
