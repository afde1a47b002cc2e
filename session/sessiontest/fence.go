package sessiontest

import (
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

func touch(t *testing.T, o Options) {
	s := o.open(t)
	r, _ := begun(t, s, "c", "a")
	seen := at.Add(time.Minute)
	wantErr(t, "Touch", s.Touch(t.Context(), "c", r.ID, r.Fence, seen, 30*time.Minute), nil)
	r.Seen, r.Expiry = seen, 30*time.Minute
	got, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get", got, r)

	for _, test := range []struct {
		name   string
		client string
		id     session.ID
		fence  uint64
	}{
		{"a lower fence", "c", r.ID, r.Fence - 1},
		{"a higher fence", "c", r.ID, r.Fence + 1},
		{"another client", "d", r.ID, r.Fence},
		{"another id", "c", session.NewID(), r.Fence},
	} {
		wantErr(t, "Touch with "+test.name, s.Touch(t.Context(), test.client, test.id, test.fence, at.Add(time.Hour), time.Hour), session.ErrFenced)
		wantErr(t, "End with "+test.name, s.End(t.Context(), test.client, test.id, test.fence), session.ErrFenced)
	}
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "what is fenced changes nothing", got, r)
}

// fences: each change of hands shuts out the owner before.
func fences(t *testing.T, o Options) {
	s := o.open(t)
	first, token := begun(t, s, "c", "a")
	second, _ := resumed(t, s, "c", "b", token)
	third, _ := begun(t, s, "c", "c")
	if !(first.Fence < second.Fence && second.Fence < third.Fence) {
		t.Errorf("the fences are %d, %d, %d", first.Fence, second.Fence, third.Fence)
	}
	for _, gone := range []session.Record{first, second} {
		wantErr(t, "Touch", s.Touch(t.Context(), "c", gone.ID, gone.Fence, time.Now(), time.Hour), session.ErrFenced)
		wantErr(t, "End", s.End(t.Context(), "c", gone.ID, gone.Fence), session.ErrFenced)
	}
	wantErr(t, "Touch by the owner", s.Touch(t.Context(), "c", third.ID, third.Fence, time.Now(), time.Hour), nil)

	// What a client's sessions had is not forgotten with them.
	wantErr(t, "End", s.End(t.Context(), "c", third.ID, third.Fence), nil)
	fourth, token := begun(t, s, "c", "a")
	if fourth.Fence <= third.Fence {
		t.Errorf("after the end of a session with the fence %d, the next one's is %d", third.Fence, fourth.Fence)
	}
	expire(t, s, fourth)
	_, err := s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "a", Salt: session.NewSalt()})
	wantErr(t, "Resume of the expired", err, session.ErrUnknown)
	if fifth, _ := begun(t, s, "c", "a"); fifth.Fence <= fourth.Fence {
		t.Errorf("after the end of a session with the fence %d, the next one's is %d", fourth.Fence, fifth.Fence)
	}
}

func replaced(t *testing.T, o Options) {
	s := o.open(t)
	first, token := begun(t, s, "c", "a")
	fresh, _ := client("c", "b")
	second, was, err := s.Begin(t.Context(), fresh, first)
	wantErr(t, "Begin", err, nil)
	if was == nil {
		t.Fatal("nothing was replaced")
	}
	want := first
	want.Owner, want.Fence = "b", second.Fence
	wantRecord(t, "what was replaced", *was, want)

	_, err = s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "a", Salt: session.NewSalt()})
	wantErr(t, "Resume with the old one's token", err, session.ErrToken)
	got, err := s.Find(t.Context(), first.ID)
	wantErr(t, "Find", err, nil)
	wantRecord(t, "Find", got, want)
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get", got, second)

	wantErr(t, "Touch of the old one", s.Touch(t.Context(), "c", first.ID, was.Fence, at, 2*time.Hour), nil)
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "the new one is another", got, second)

	third, was, err := s.Begin(t.Context(), func() session.Record { r, _ := client("c", "b"); return r }(), second)
	wantErr(t, "Begin", err, nil)
	if was == nil || was.ID != second.ID {
		t.Fatalf("replaced %v, want the second", was)
	}
	wantErr(t, "End of the first", s.End(t.Context(), "c", first.ID, second.Fence), nil)
	_, err = s.Find(t.Context(), first.ID)
	wantErr(t, "Find of the first", err, session.ErrUnknown)
	_, err = s.Find(t.Context(), second.ID)
	wantErr(t, "Find of the second", err, nil)
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get", got, third)
}
