package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/session/sessiontest"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a store, which the test closes.
func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// conformance tests stores at a URL, each with keys of its own.
func conformance(t *testing.T, url string) {
	var count atomic.Int64
	urls := make(map[session.Store]string)
	at := func(t *testing.T, url string) session.Store {
		s := open(t, url)
		urls[s] = url
		return s
	}
	sep := "?"
	if strings.Contains(url, "?") {
		sep = "&"
	}
	sessiontest.Run(t, sessiontest.Options{
		Open: func(t *testing.T) session.Store {
			return at(t, fmt.Sprintf("%s%sprefix=test[*%d:", url, sep, count.Add(1)))
		},
		Second: func(t *testing.T, s session.Store) session.Store { return at(t, urls[s]) },
		Reopen: func(t *testing.T, s session.Store) session.Store {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			return at(t, urls[s])
		},
	})
}

func TestStore(t *testing.T) { conformance(t, redistest.Start(t).URL) }

func fresh(client, owner string) (session.Record, session.Token) {
	token := session.NewToken()
	return session.Record{Client: client, ID: session.NewID(), Owner: owner, Token: token.Hash(), Since: time.Now(), Seen: time.Now(), Expiry: time.Hour}, token
}

func begun(t *testing.T, s *Store, client, owner string) (session.Record, session.Token) {
	t.Helper()
	r, token := fresh(client, owner)
	over, err := s.Get(t.Context(), client)
	if err != nil && !errors.Is(err, session.ErrUnknown) {
		t.Fatal(err)
	}
	stored, _, err := s.Begin(t.Context(), r, over)
	if err != nil {
		t.Fatal(err)
	}
	return stored, token
}

// TestKilled: what was promised is there when the server comes back from kill -9.
func TestKilled(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, server.URL)
	r, token := begun(t, s, "c", "a")
	server.Kill()

	_, _, err := s.Begin(t.Context(), r, session.Record{})
	if where := fmt.Sprintf("redis 127.0.0.1:%d: ", server.Port); err == nil || !strings.HasPrefix(err.Error(), where) {
		t.Errorf("Begin while the server is away: %v, want it to begin with %q", err, where)
	}
	_, err = s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "b"})
	if err == nil || errors.Is(err, session.ErrUnknown) || errors.Is(err, session.ErrToken) {
		t.Errorf("Resume while the server is away: %v", err)
	}
	if err := s.Touch(t.Context(), "c", r.ID, r.Fence, time.Now(), time.Hour); err == nil || errors.Is(err, session.ErrFenced) {
		t.Errorf("Touch while the server is away: %v", err)
	}
	if s.Health().Up {
		t.Error("the store is well")
	}

	server.Run()
	got, err := s.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "b"})
	if err != nil || got.ID != r.ID || got.Fence <= r.Fence {
		t.Errorf("Resume when the server is back: %+v, %v", got, err)
	}
	if !s.Health().Up {
		t.Error("the store is not well")
	}
}

// TestAnswerLost: a step whose answer is lost is done again, and has been done once.
func TestAnswerLost(t *testing.T) {
	s := open(t, redistest.Start(t).URL)
	old, _ := begun(t, s, "c", "a")
	next, token := fresh("c", "b")
	first, was, err := s.Begin(t.Context(), next, old)
	if err != nil || was == nil {
		t.Fatalf("Begin: %v %v", was, err)
	}
	answer, err := s.redis.Run(t.Context(), beginScript, []string{s.key("c"), s.replacedKey("c", fmt.Sprintf("%x", old.ID))},
		append([]any{fmt.Sprintf("%x", old.ID), old.Fence, "b", s.channel(""), 1000, fmt.Sprintf("%x", next.ID)}, fields(&next)...)...)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := record(pairs(answer.([]any)[1])); err != nil || r.ID != old.ID || r.Fence != first.Fence {
		t.Errorf("the script again: %+v, %v", r, err)
	}

	claim := session.Claim{Client: "c", Token: token, Owner: "d", Salt: session.NewSalt()}
	one, err := s.Resume(t.Context(), claim)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Resume(t.Context(), claim)
	if err != nil || two.Fence != one.Fence || two.Before != one.Before {
		t.Errorf("Resume again: %+v, %v, want %+v", two, err, one)
	}
}

// TestOwnerCrashes: an owner that stops saying that it lives is no more, after a time in which it could have.
func TestOwnerCrashes(t *testing.T) {
	server := redistest.Start(t)
	one, two := open(t, server.URL), open(t, server.URL)
	// What the one says is good for as long as the test lasts, however slow the machine is; the other one is quick to judge.
	one.alive, two.alive = time.Hour, 300*time.Millisecond
	const least = 300 * time.Millisecond * 4 / 3
	stopOne := one.Taken("a", func(string, session.ID, uint64) {})
	defer stopOne()
	r, _ := begun(t, one, "c", "a")
	lost, _ := begun(t, one, "d", "never-lived")
	for one.redis.Exists(t.Context(), one.ownerKey("a")).Val() == 0 {
		time.Sleep(time.Millisecond)
	}

	adopted := func(r session.Record) bool {
		_, err := two.Adopt(t.Context(), r.Client, r.ID, "b")
		if err != nil && !errors.Is(err, session.ErrOwned) {
			t.Fatal(err)
		}
		return err == nil
	}
	adoptedSince := func(began time.Time, r session.Record, when string) {
		t.Helper()
		for !adopted(r) {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(began); took < least {
			t.Errorf("adopted %v after %s, and %v are the least in which it can be known that its owner does not live", took, when, least)
		}
	}
	began := time.Now()
	stopTwo := two.Taken("b", func(string, session.ID, uint64) {})
	defer stopTwo()
	adoptedSince(began, lost, "the first word to this Redis")
	if adopted(r) {
		t.Error("adopted from an owner that lives")
	}
	// It does not say that it leaves: its process is gone, and what it said last ends by itself.
	one.mu.Lock()
	a := one.owners["a"]
	one.mu.Unlock()
	a.end()
	a.done.Wait()
	if ttl := one.redis.PTTL(t.Context(), one.ownerKey("a")).Val(); ttl <= 0 || ttl > one.alive {
		t.Errorf("what an owner says is good for %v, want %v", ttl, one.alive)
	}
	two.redis.PExpire(t.Context(), two.ownerKey("a"), time.Millisecond)
	for !adopted(r) {
		time.Sleep(10 * time.Millisecond)
	}

	// A Redis that forgets all owners at once makes none of them dead.
	stay, _ := begun(t, one, "e", "a")
	began = time.Now()
	two.redis.Del(t.Context(), two.ownerKey("a"), two.ownerKey("b"))
	noticed := func() bool {
		two.mu.Lock()
		defer two.mu.Unlock()
		return two.sound.After(began)
	}
	for !noticed() {
		time.Sleep(time.Millisecond)
	}
	adoptedSince(began, stay, "the Redis had forgotten who lives")
}

// TestTakenMissed: what was taken while the channel was cut is told when it is back.
func TestTakenMissed(t *testing.T) {
	server := redistest.Start(t)
	one, two := open(t, server.URL), open(t, server.URL)
	told := make(chan session.ID, 10)
	stop := one.Taken("a", func(_ string, id session.ID, _ uint64) { told <- id })
	defer stop()
	r, token := begun(t, one, "c", "a")
	for one.redis.PubSubNumSub(t.Context(), one.channel("a")).Val()[one.channel("a")] == 0 {
		time.Sleep(time.Millisecond)
	}
	// What is said goes where nobody listens.
	silent := strings.Replace(two.channel(""), "taken", "nobody", 1)
	claim := session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()}
	shown, next := claim.Token.Hash(), claim.Token.Next(claim.Salt).Hash()
	if _, err := two.redis.Run(t.Context(), resumeScript, []string{two.key("c")}, shown[:], next[:], claim.Salt[:], "", "b", silent); err != nil {
		t.Fatal(err)
	}
	if err := two.redis.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	select {
	case id := <-told:
		if id != r.ID {
			t.Errorf("told of %x, want %x", id, r.ID)
		}
	case <-time.After(30 * time.Second):
		t.Error("nobody was told")
	}
}

// TestScriptsForgotten: a server that was restarted, or another one after a failover, is given the scripts again.
func TestScriptsForgotten(t *testing.T) {
	s := open(t, redistest.Start(t).URL)
	r, _ := begun(t, s, "c", "a")
	if err := s.redis.ScriptFlush(context.Background()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Touch(t.Context(), "c", r.ID, r.Fence, time.Now(), time.Hour); err != nil {
		t.Error(err)
	}
}
