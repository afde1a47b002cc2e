package sessiontest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

func expiry(t *testing.T, o Options) {
	s := o.open(t)
	r, token := begun(t, s, "c", "a")
	other, _ := begun(t, s, "d", "a")
	expire(t, s, r)

	_, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, session.ErrUnknown)
	_, err = s.Find(t.Context(), r.ID)
	wantErr(t, "Find", err, session.ErrUnknown)
	_, err = s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "a", Salt: session.NewSalt()})
	wantErr(t, "Resume", err, session.ErrUnknown)
	_, err = s.Adopt(t.Context(), "c", r.ID, "a")
	wantErr(t, "Adopt", err, session.ErrUnknown)
	wantErr(t, "Touch", s.Touch(t.Context(), "c", r.ID, r.Fence, time.Now(), time.Hour), session.ErrFenced)
	wantErr(t, "End", s.End(t.Context(), "c", r.ID, r.Fence), session.ErrFenced)
	listed, err := all(t.Context(), s)
	wantErr(t, "List", err, nil)
	if _, there := listed[other.ID]; len(listed) != 1 || !there {
		t.Errorf("List has %v", listed)
	}
	fresh, _ := client("c", "a")
	second, was, err := s.Begin(t.Context(), fresh, r)
	wantErr(t, "Begin", err, nil)
	if was != nil {
		t.Errorf("what had expired was replaced: %v", was)
	}

	// One that was replaced expires as any other.
	third, _ := client("c", "a")
	_, was, err = s.Begin(t.Context(), third, second)
	wantErr(t, "Begin", err, nil)
	expire(t, s, *was)
	_, err = s.Find(t.Context(), was.ID)
	wantErr(t, "Find of the replaced", err, session.ErrUnknown)
	_, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
}

func end(t *testing.T, o Options) {
	s := o.open(t)
	r, token := begun(t, s, "c", "a")
	wantErr(t, "End", s.End(t.Context(), "c", r.ID, r.Fence), nil)
	wantErr(t, "End again", s.End(t.Context(), "c", r.ID, r.Fence), session.ErrFenced)
	_, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, session.ErrUnknown)
	_, err = s.Find(t.Context(), r.ID)
	wantErr(t, "Find", err, session.ErrUnknown)
	_, err = s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "a", Salt: session.NewSalt()})
	wantErr(t, "Resume", err, session.ErrUnknown)
	listed, err := all(t.Context(), s)
	wantErr(t, "List", err, nil)
	if len(listed) != 0 {
		t.Errorf("List has %v", listed)
	}
	fresh, _ := client("c", "a")
	_, was, err := s.Begin(t.Context(), fresh, r)
	wantErr(t, "Begin", err, nil)
	if was != nil {
		t.Errorf("what had ended was replaced: %v", was)
	}
}

func list(t *testing.T, o Options) {
	s := o.open(t)
	const n = 1500
	want := make(map[session.ID]session.Record)
	for i := range n {
		r, _ := begun(t, s, fmt.Sprint("meter-", i), "a")
		want[r.ID] = r
	}
	got, err := all(t.Context(), s)
	wantErr(t, "List", err, nil)
	if len(got) != n {
		t.Errorf("List has %d sessions, want %d", len(got), n)
	}
	for id, w := range want {
		w.Seen = got[id].Seen
		wantRecord(t, "List", got[id], w)
	}

	calls := 0
	err = s.List(t.Context(), func(r session.Record) bool {
		if _, err := s.Get(t.Context(), r.Client); err != nil {
			t.Errorf("Get within List: %v", err)
		}
		calls++
		return calls < 3
	})
	wantErr(t, "List", err, nil)
	if calls != 3 {
		t.Errorf("List went on: %d calls", calls)
	}
}

// canceled: an operation whose context has ended fails, or is done; it does neither by half.
func canceled(t *testing.T, o Options) {
	s := o.open(t)
	first, token := begun(t, s, "c", "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := s.Resume(ctx, session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()})
	if err != nil {
		r = first
	}
	got, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	r.Seen = got.Seen
	wantRecord(t, "Get", got, r)
}
