package sessiontest

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

func first(t *testing.T, o Options) {
	s := o.open(t)
	r, _ := client("meter-1", "a")
	r.Fence = 99 // is ignored
	r.Certificate = session.Hash{1, 2, 3}
	r.Seen = at.Add(3 * time.Second)
	r.Attributes = map[string]string{"model": "x\x00y", "": "empty"}

	stored, was, err := s.Begin(t.Context(), r, session.Record{})
	if err != nil || was != nil {
		t.Fatalf("Begin: replaced %v, err %v", was, err)
	}
	if stored.Fence == 0 {
		t.Error("the fence is 0")
	}
	r.Fence = stored.Fence
	wantRecord(t, "Begin", stored, r)

	r.Attributes["model"] = "changed" // a store has its own
	want := stored
	want.Attributes = map[string]string{"model": "x\x00y", "": "empty"}
	got, err := s.Get(t.Context(), "meter-1")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get", got, want)
	got, err = s.Find(t.Context(), r.ID)
	wantErr(t, "Find", err, nil)
	wantRecord(t, "Find", got, want)

	_, err = s.Get(t.Context(), "meter-2")
	wantErr(t, "Get of another client", err, session.ErrUnknown)
	_, err = s.Find(t.Context(), session.NewID())
	wantErr(t, "Find of another id", err, session.ErrUnknown)
}

func clientIDs(t *testing.T, o Options) {
	s := o.open(t)
	var every []byte
	for b := range 255 {
		every = append(every, byte(b+1))
	}
	ids := []string{"{", "}", "{}", "a{b", "}{", "%", "%7B", "*", "?[a-z]", "\x00", "\n", " ", "a:b", "ü", "\xff\xfe", strings.Repeat("x", 255), string(every)}
	begins := make(map[string]session.Record)
	for _, id := range ids {
		begins[id], _ = begun(t, s, id, "a")
		begins[id], _ = begun(t, s, id, "a") // again: what is replaced has keys of its own
	}
	for id, want := range begins {
		got, err := s.Get(t.Context(), id)
		wantErr(t, "Get", err, nil)
		want.Seen = got.Seen
		wantRecord(t, "Get", got, want)
		wantErr(t, "Touch", s.Touch(t.Context(), id, want.ID, want.Fence, time.Now(), time.Hour), nil)
	}
	listed, err := all(t.Context(), s)
	wantErr(t, "List", err, nil)
	if len(listed) != 2*len(ids) {
		t.Errorf("List has %d sessions, want %d", len(listed), 2*len(ids))
	}
}

func tokens(t *testing.T, o Options) {
	s := o.open(t)
	first, token := begun(t, s, "c", "a")
	claim := session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()}

	bad := claim
	bad.Token[15] ^= 1
	_, err := s.Resume(t.Context(), bad)
	wantErr(t, "another token", err, session.ErrToken)
	bad.Token = session.Token{}
	_, err = s.Resume(t.Context(), bad)
	wantErr(t, "no token", err, session.ErrToken)
	bad = claim
	bad.Client = "d"
	_, err = s.Resume(t.Context(), bad)
	wantErr(t, "another client", err, session.ErrUnknown)
	got, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "a bad claim leaves the record", got, first)

	before := time.Now().Truncate(time.Millisecond)
	r, err := s.Resume(t.Context(), claim)
	wantErr(t, "the token", err, nil)
	if r.Fence <= first.Fence {
		t.Errorf("the fence went from %d to %d", first.Fence, r.Fence)
	}
	// The clock of a shared store may be another, by a little.
	if r.Seen.Before(before.Add(-time.Minute)) || r.Seen.After(time.Now().Add(time.Minute)) {
		t.Errorf("Seen is %v, and it is %v", r.Seen, before)
	}
	want := first
	want.Fence, want.Owner, want.Token, want.Before, want.Seen = r.Fence, "b", claim.Next(&r).Hash(), session.NewBefore(first.Token, claim.Salt), r.Seen
	wantRecord(t, "Resume", r, want)
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get after Resume", got, want)

	wantErr(t, "Confirm", s.Confirm(t.Context(), "c", r.ID, r.Fence), nil)
	want.Before = ""
	got, err = s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantRecord(t, "Get after Confirm", got, want)
	claim.Owner, claim.Salt = "b", session.NewSalt()
	_, err = s.Resume(t.Context(), claim)
	wantErr(t, "the token again", err, session.ErrToken)

	// The same owner resumes, too: a client that comes back to the same gateway.
	_, token = begun(t, s, "c", "a")
	again, _ := resumed(t, s, "c", "a", token)
	if again.Fence <= r.Fence {
		t.Errorf("the fence went from %d to %d", r.Fence, again.Fence)
	}
}

func certificates(t *testing.T, o Options) {
	one, two := session.Hash{1}, session.Hash{2}
	for _, test := range []struct {
		name         string
		bound, shown session.Hash
		want         error
	}{
		{"none", session.Hash{}, session.Hash{}, nil},
		{"not bound", session.Hash{}, one, nil},
		{"the same", one, one, nil},
		{"another", one, two, session.ErrCertificate},
		{"not shown", one, session.Hash{}, session.ErrCertificate},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := o.open(t)
			r, token := client("c", "a")
			r.Certificate = test.bound
			stored, _, err := s.Begin(t.Context(), r, session.Record{})
			wantErr(t, "Begin", err, nil)

			claim := session.Claim{Client: "c", Token: token, Certificate: test.shown, Owner: "b", Salt: session.NewSalt()}
			_, err = s.Resume(t.Context(), claim)
			wantErr(t, "Resume", err, test.want)
			if test.want == nil {
				return
			}
			got, err := s.Get(t.Context(), "c")
			wantErr(t, "Get", err, nil)
			stored.Seen = got.Seen
			wantRecord(t, "it stays as it is", got, stored)
			claim.Token[0] ^= 1
			_, err = s.Resume(t.Context(), claim)
			wantErr(t, "a bad token, with another certificate", err, session.ErrToken)
		})
	}
}

// tokenBefore: a WELCOME that was lost costs nothing, however often; nor do HELLOs that come late, however many, when their client has given them up and come back over
// another connection.
func tokenBefore(t *testing.T, o Options) {
	s := o.open(t)
	first, token := begun(t, s, "c", "a")
	resume := func(token session.Token, want error) (session.Record, session.Token) {
		t.Helper()
		claim := session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()}
		r, err := s.Resume(t.Context(), claim)
		wantErr(t, "Resume", err, want)
		return r, claim.Next(&r)
	}
	one, had := resume(token, nil)
	if one.Token != had.Hash() || one.Token == first.Token {
		t.Errorf("resumed: %+v, and the client is given the token %s", one, had.Hash().Mark())
	}
	two, second := resume(token, nil)
	if two.Token != one.Token || two.Before != one.Before || second != had || two.Fence <= one.Fence {
		t.Errorf("resumed with the token before: %+v, want %+v under a higher fence", two, one)
	}
	wantErr(t, "Confirm by the owner before", s.Confirm(t.Context(), "c", one.ID, one.Fence), session.ErrFenced)

	// These HELLOs come late: the client has what it was given for the first, and shows it.
	for range 100 {
		resume(token, nil)
	}
	three, third := resume(had, nil)
	if third == had || three.Token != third.Hash() {
		t.Errorf("resumed: %+v, and the client is given the token %s after %s", three, third.Hash().Mark(), had.Hash().Mark())
	}
	resume(token, session.ErrToken)

	// Coming back with the newest confirms it as well.
	_, fourth := resume(third, nil)
	resume(had, session.ErrToken)
	five, fifth := resume(third, nil)
	if fifth != fourth {
		t.Error("a token that was shown again is followed by another")
	}

	wantErr(t, "Confirm", s.Confirm(t.Context(), "c", five.ID, five.Fence), nil)
	wantErr(t, "Confirm again", s.Confirm(t.Context(), "c", five.ID, five.Fence), nil)
	resume(third, session.ErrToken)
	resume(session.Token{}, session.ErrToken)
	wantErr(t, "Confirm of another client's", s.Confirm(t.Context(), "d", five.ID, five.Fence), session.ErrFenced)
	resume(fifth, nil)
}

// oneToken has a thousand show one token at once: each that is let in shuts out the one before, and when one has confirmed, the token is good no more.
func oneToken(t *testing.T, o Options) {
	s := o.open(t)
	r, token := begun(t, s, "c", "a")
	fence := r.Fence
	const rounds, claims = 3, 1000
	for range rounds {
		type win struct {
			session.Record
			next session.Token
		}
		var mu sync.Mutex
		var won []win
		var wg sync.WaitGroup
		for range claims {
			wg.Go(func() {
				claim := session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()}
				r, err := s.Resume(t.Context(), claim)
				if err != nil {
					t.Errorf("Resume: %v", err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				won = append(won, win{r, claim.Next(&r)})
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		slices.SortFunc(won, func(a, b win) int { return cmp.Compare(a.Fence, b.Fence) })
		for _, w := range won {
			if w.Fence <= fence {
				t.Fatalf("the fence went from %d to %d", fence, w.Fence)
			}
			fence = w.Fence
		}

		last := won[len(won)-1]
		confirmed := 0
		for _, w := range won {
			switch err := s.Confirm(t.Context(), "c", w.ID, w.Fence); {
			case err == nil:
				confirmed++
			case !errors.Is(err, session.ErrFenced):
				t.Errorf("Confirm: %v", err)
			}
		}
		if confirmed != 1 {
			t.Fatalf("%d of %d have the session", confirmed, len(won))
		}
		_, err := s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()})
		wantErr(t, "Resume with a spent token", err, session.ErrToken)
		token = last.next
	}
}

func beginAtOnce(t *testing.T, o Options) {
	s := o.open(t)
	const n = 50
	var mu sync.Mutex
	var fences []uint64
	replaced := make(map[session.ID]int)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			r, _ := client("c", "a")
			stored, was, err := begin(t.Context(), s, r)
			if err != nil {
				t.Errorf("Begin: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			fences = append(fences, stored.Fence)
			if was != nil {
				replaced[was.ID]++
				if was.Fence != stored.Fence {
					t.Errorf("what was replaced has the fence %d, and the new one %d", was.Fence, stored.Fence)
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(fences)
	if len(slices.Compact(fences)) != n {
		t.Errorf("two have one fence: %v", fences)
	}
	for id, times := range replaced {
		if times != 1 {
			t.Errorf("%x was replaced %d times", id, times)
		}
	}
	if len(replaced) != n-1 {
		t.Errorf("%d were replaced, want all but one of %d", len(replaced), n)
	}
}

// beginLate: who has known of no session, or of another, replaces none that has begun since.
func beginLate(t *testing.T, o Options) {
	s := o.open(t)
	late, _ := client("c", "a")
	refused := func(over session.Record, have session.Record, token session.Token) session.Token {
		t.Helper()
		_, was, err := s.Begin(t.Context(), late, over)
		wantErr(t, "Begin", err, session.ErrChanged)
		if was != nil {
			t.Errorf("it has replaced %+v", was)
		}
		_, err = s.Find(t.Context(), late.ID)
		wantErr(t, "Find of what did not begin", err, session.ErrUnknown)
		got, err := s.Get(t.Context(), "c")
		wantErr(t, "Get", err, nil)
		have.Seen = got.Seen
		wantRecord(t, "the newer one stays as it is", got, have)
		r, token := resumed(t, s, "c", "b", token)
		if r.ID != have.ID {
			t.Errorf("resumed %x, want %x", r.ID, have.ID)
		}
		return token
	}
	one, token := begun(t, s, "c", "b")
	refused(session.Record{}, one, token)
	two, token := begun(t, s, "c", "b")
	token = refused(one, two, token)
	three, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	refused(two, three, token) // it was resumed

	// What is no more stands in nobody's way.
	now, err := s.Get(t.Context(), "c")
	wantErr(t, "Get", err, nil)
	wantErr(t, "End", s.End(t.Context(), "c", now.ID, now.Fence), nil)
	_, was, err := s.Begin(t.Context(), late, now)
	wantErr(t, "Begin in place of what has ended", err, nil)
	if was != nil {
		t.Errorf("it has replaced %+v", was)
	}
}

// beginAndResume: either the session is resumed and then replaced, or replaced and then not resumed.
func beginAndResume(t *testing.T, o Options) {
	s := o.open(t)
	for range 50 {
		_, token := begun(t, s, "c", "a")
		fresh, _ := client("c", "b")
		var stored, old session.Record
		var was *session.Record
		var beginErr, resumeErr error
		var wg sync.WaitGroup
		wg.Go(func() { stored, was, beginErr = begin(t.Context(), s, fresh) })
		wg.Go(func() {
			old, resumeErr = s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "d", Salt: session.NewSalt()})
		})
		wg.Wait()
		if beginErr != nil || was == nil {
			t.Fatalf("Begin: replaced %v, err %v", was, beginErr)
		}
		if resumeErr == nil && old.Fence >= was.Fence {
			t.Fatalf("resumed under %d, and then replaced under %d", old.Fence, was.Fence)
		}
		if resumeErr != nil && !errors.Is(resumeErr, session.ErrToken) {
			t.Fatalf("Resume: %v", resumeErr)
		}
		got, err := s.Get(t.Context(), "c")
		wantErr(t, "Get", err, nil)
		stored.Seen = got.Seen
		wantRecord(t, "Get", got, stored)
	}
}
