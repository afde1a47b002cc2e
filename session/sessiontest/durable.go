package sessiontest

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

func restart(t *testing.T, o Options) {
	if o.Reopen == nil {
		t.Skip("the store forgets")
	}
	s := o.open(t)
	r, _ := client("c", "a")
	r.Certificate = session.Hash{7}
	r.Attributes = map[string]string{"model": "x"}
	first, _, err := s.Begin(t.Context(), r, session.Record{})
	wantErr(t, "Begin", err, nil)
	fresh, token := client("c", "a")
	second, was, err := s.Begin(t.Context(), fresh, first)
	wantErr(t, "Begin", err, nil)
	ended, _ := begun(t, s, "d", "a")
	wantErr(t, "End", s.End(t.Context(), "d", ended.ID, ended.Fence), nil)

	s = o.Reopen(t, s)
	t.Cleanup(func() { _ = s.Close() })
	got, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get", got, second)
	got, err = s.Find(t.Context(), first.ID)
	wantErr(t, "Find", err, nil)
	wantRecord(t, "Find", got, *was)
	_, err = s.Get(t.Context(), "d")
	wantErr(t, "Get of what had ended", err, session.ErrUnknown)

	third, _ := resumed(t, s, "c", "b", token)
	if third.Fence <= second.Fence {
		t.Errorf("the fence went from %d to %d", second.Fence, third.Fence)
	}
	if r, _ := begun(t, s, "d", "a"); r.Fence <= ended.Fence {
		t.Errorf("the fence went from %d to %d over a restart", ended.Fence, r.Fence)
	}
}

// twoStores: what one gateway does, the other sees at once.
func twoStores(t *testing.T, o Options) {
	if o.Second == nil {
		t.Skip("the store can't be shared")
	}
	one := o.open(t)
	two := o.Second(t, one)
	t.Cleanup(func() { _ = two.Close() })
	heard, stop := listen(one, "a")
	_, stopB := listen(two, "b")
	defer stopB()

	stores, owners := []session.Store{one, two}, []string{"a", "b"}
	r, token := begun(t, one, "c", "a")
	for i := range 20 {
		to := (i + 1) % 2
		fence := r.Fence
		r, token = resumed(t, stores[to], "c", owners[to], token)
		if r.Fence <= fence {
			t.Fatalf("the fence went from %d to %d", fence, r.Fence)
		}
		wantErr(t, "Touch by the owner before", stores[1-to].Touch(t.Context(), "c", r.ID, fence, time.Now(), time.Hour), session.ErrFenced)
		wantErr(t, "Touch by the owner", stores[to].Touch(t.Context(), "c", r.ID, r.Fence, time.Now(), time.Hour), nil)
		if to == 1 {
			if got := hear(t, heard); got != (told{"c", r.ID, r.Fence}) {
				t.Fatalf("told %v, want the fence %d", got, r.Fence)
			}
		}
	}

	// One store's owner is alive for the other.
	var orphans []session.Record
	for i := range 3 {
		r, _ := begun(t, one, fmt.Sprint("meter-", i), "a")
		orphans = append(orphans, r)
		_, err := two.Adopt(t.Context(), r.Client, r.ID, "b")
		wantErr(t, "Adopt", err, session.ErrOwned)
	}
	stop()
	for _, r := range orphans {
		_, err := two.Adopt(t.Context(), r.Client, r.ID, "b")
		wantErr(t, "Adopt from an owner who has gone", err, nil)
		wantErr(t, "Touch by the owner who has gone", one.Touch(t.Context(), r.Client, r.ID, r.Fence, time.Now(), time.Hour), session.ErrFenced)
	}
}
