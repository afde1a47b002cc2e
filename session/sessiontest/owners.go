package sessiontest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// told is what somebody was told by Taken.
type told struct {
	client string
	id     session.ID
	fence  uint64
}

// listen collects what an owner is told.
func listen(s session.Store, owner string) (heard <-chan told, stop func()) {
	c := make(chan told, 1000)
	return c, s.Taken(owner, func(client string, id session.ID, fence uint64) { c <- told{client, id, fence} })
}

// hear waits for what is told next. How long that takes is no matter of a test's.
func hear(t *testing.T, heard <-chan told) told {
	t.Helper()
	select {
	case got := <-heard:
		return got
	case <-time.After(30 * time.Second):
		t.Fatal("nobody was told")
		panic("unreachable")
	}
}

func takenIsTold(t *testing.T, o Options) {
	s := o.open(t)
	a, stopA := listen(s, "a")
	defer stopA()
	b, stopB := listen(s, "b")
	defer stopB()

	// By resume, by begin, and not by the owner itself.
	first, token := begun(t, s, "c", "a")
	first, token = resumed(t, s, "c", "a", token)
	second, _ := resumed(t, s, "c", "b", token)
	if got := hear(t, a); got != (told{"c", first.ID, second.Fence}) {
		t.Errorf("a was told %v of the resume, want the fence %d", got, second.Fence)
	}
	third, _ := begun(t, s, "c", "b")
	fourth, _ := begun(t, s, "c", "a")
	if got := hear(t, b); got != (told{"c", third.ID, fourth.Fence}) {
		t.Errorf("b was told %v of the begin, want %x and the fence %d", got, third.ID, fourth.Fence)
	}

	// Of all, in whatever order.
	const n = 200
	var tokens [n]session.Token
	for i := range tokens {
		_, tokens[i] = begun(t, s, fmt.Sprint("meter-", i), "a")
	}
	taken := make(map[string]bool)
	for i, token := range tokens {
		resumed(t, s, fmt.Sprint("meter-", i), "b", token)
	}
	for range n {
		got := hear(t, a)
		if taken[got.client] {
			t.Errorf("told twice of %v", got)
		}
		taken[got.client] = true
	}
	if len(taken) != n {
		t.Errorf("told of %d sessions, want %d", len(taken), n)
	}
	select {
	case got := <-b:
		t.Errorf("b was told %v", got)
	case got := <-a:
		t.Errorf("a was told %v", got)
	default:
	}
}

func stopWaits(t *testing.T, o Options) {
	s := o.open(t)
	entered, leave := make(chan struct{}), make(chan struct{})
	calls := 0
	stop := s.Taken("a", func(string, session.ID, uint64) {
		if calls++; calls == 1 {
			close(entered)
			<-leave
		}
	})
	for i := range 3 {
		name := fmt.Sprint("meter-", i)
		_, token := begun(t, s, name, "a")
		resumed(t, s, name, "b", token)
	}
	<-entered
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	select {
	case <-stopped:
		t.Error("stop returned while somebody was told")
	case <-time.After(10 * time.Millisecond):
	}
	close(leave)
	<-stopped
	calls = -1000 // a race, if it is still called
}

func adopt(t *testing.T, o Options) {
	s := o.open(t)
	a, stopA := listen(s, "a")
	_, stopB := listen(s, "b")
	defer stopB()
	r, token := begun(t, s, "c", "a")

	_, err := s.Adopt(t.Context(), "c", r.ID, "b")
	wantErr(t, "Adopt from a living owner", err, session.ErrOwned)
	_, err = s.Adopt(t.Context(), "c", session.NewID(), "b")
	wantErr(t, "Adopt of an unknown session", err, session.ErrUnknown)
	_, err = s.Adopt(t.Context(), "d", r.ID, "b")
	wantErr(t, "Adopt of another client's session", err, session.ErrUnknown)
	mine, err := s.Adopt(t.Context(), "c", r.ID, "a")
	wantErr(t, "Adopt by the owner", err, nil)
	if mine.Fence <= r.Fence {
		t.Errorf("the fence went from %d to %d", r.Fence, mine.Fence)
	}
	want := r
	want.Fence, want.Seen = mine.Fence, mine.Seen
	wantRecord(t, "Adopt by the owner", mine, want)

	stopA()
	yours, err := s.Adopt(t.Context(), "c", r.ID, "b")
	wantErr(t, "Adopt from an owner who has gone", err, nil)
	want.Owner, want.Fence = "b", yours.Fence
	if yours.Fence <= mine.Fence {
		t.Errorf("the fence went from %d to %d", mine.Fence, yours.Fence)
	}
	wantRecord(t, "Adopt from an owner who has gone", yours, want)
	wantErr(t, "Touch by the owner before", s.Touch(t.Context(), "c", r.ID, mine.Fence, time.Now(), time.Hour), session.ErrFenced)

	// The client's token is as good as before.
	last, _ := resumed(t, s, "c", "d", token)
	if last.Fence <= yours.Fence {
		t.Errorf("the fence went from %d to %d", yours.Fence, last.Fence)
	}

	// Of many who would adopt, one does.
	_, stopD := listen(s, "d")
	defer stopD()
	orphan, _ := begun(t, s, "e", "a")
	won := make(chan session.Record, 20)
	for i := range 20 {
		go func() {
			owner := []string{"b", "d"}[i%2]
			r, err := s.Adopt(t.Context(), "e", orphan.ID, owner)
			if err != nil && !errors.Is(err, session.ErrOwned) {
				t.Errorf("Adopt: %v", err)
			}
			won <- r
		}()
	}
	owners := make(map[string]bool)
	for range 20 {
		if r := <-won; r.Owner != "" {
			owners[r.Owner] = true
		}
	}
	if len(owners) != 1 {
		t.Errorf("adopted by %v", owners)
	}
	if len(a) != 0 {
		t.Errorf("who has stopped was told %v", <-a)
	}
}
