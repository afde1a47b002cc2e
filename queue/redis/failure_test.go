package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

var ctx = context.Background()

func open(t *testing.T, url string, b queue.Bounds) *Store {
	t.Helper()
	s, err := Open(url, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func own(t *testing.T, s *Store, id queue.SessionID, fence uint64) (up, down queue.Info) {
	t.Helper()
	up, down, err := s.Open(ctx, id, fence)
	if err != nil {
		t.Fatal(err)
	}
	return up, down
}

func do(s *Store, b queue.Box, fence uint64, ops ...queue.Op) queue.Result {
	done := make(chan queue.Result, 1)
	s.Do(&queue.Batch{Box: b, Fence: fence, Ops: ops, Done: func(r queue.Result) { done <- r }})
	return <-done
}

func put(id uint64, payload string) queue.Op {
	now := time.Now()
	return queue.Op{Kind: queue.Put, Message: &queue.Message{ID: id, Cmd: 0x20, QoS: 1, Created: now, Expires: now.Add(time.Hour), Payload: []byte(payload)}}
}

// content is what a box has to deliver: ids and payloads.
func content(t *testing.T, s *Store, b queue.Box) string {
	t.Helper()
	all, err := s.Read(ctx, b, 0, 10_000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var text []string
	for _, m := range all {
		text = append(text, fmt.Sprintf("%d %s", m.ID, m.Payload))
	}
	return strings.Join(text, ", ")
}

// TestUnknown: a batch that failed was not done, although the server may have carried it out, and may do so yet: it hangs when it gets it.
func TestUnknown(t *testing.T) {
	server := redistest.Start(t)
	s, patient := open(t, server.URL+"?timeout=300ms", queue.Bounds{}), open(t, server.URL, queue.Bounds{})
	id := queue.SessionID{1}
	b := queue.Box{Session: id, Direction: queue.Down}
	const rounds = 5
	own(t, s, id, 1)
	want := []string{"1 first"}
	if r := do(s, b, 1, put(1, "first")); r.Err != nil {
		t.Fatal(r.Err)
	}
	for n := uint64(2); n < 2+rounds; n++ {
		goOn := server.Stop()
		r := do(s, b, 1, put(n, "lost"), put(n+100, "lost, too"))
		if r.Err == nil || errors.Is(r.Err, queue.ErrFenced) || errors.Is(r.Err, queue.ErrOrder) {
			t.Fatalf("while the server hangs: %v", r.Err)
		}
		goOn()
		for r = do(s, b, 1, put(n, "kept")); r.Err != nil; r = do(s, b, 1, put(n, "kept")) {
			if errors.Is(r.Err, queue.ErrFenced) || errors.Is(r.Err, queue.ErrOrder) {
				t.Fatalf("message %d, again: %v", n, r.Err)
			}
		}
		want = append(want, fmt.Sprintf("%d kept", n))
		if r.Box.Last != n || r.Box.Messages != len(want) {
			t.Fatalf("message %d, again: %+v", n, r.Box)
		}
		if got := content(t, patient, b); got != strings.Join(want, ", ") {
			t.Fatalf("got %s\nwant %s", got, strings.Join(want, ", "))
		}
	}
	st := s.Stat()
	if st.Failed < rounds || st.Err != nil || st.Messages != len(want) {
		t.Errorf("%+v", st)
	}
}

// TestUnknownSeen: with a message that is undone, its sender's id is: else it would be told, when it comes again, that it is here; and whoever has the session next has no more of
// it than that.
func TestUnknownSeen(t *testing.T) {
	server := redistest.Start(t)
	s, other := open(t, server.URL+"?timeout=1s", queue.Bounds{}), open(t, server.URL, queue.Bounds{})
	id := queue.SessionID{1}
	for fence, d := range []queue.Direction{queue.Up, queue.Down} {
		b, fence := queue.Box{Session: id, Direction: d}, uint64(3*fence+1)
		own(t, s, id, fence)
		seen := func(n uint64) queue.Op { return queue.Op{Kind: queue.Seen, N: n} }
		if r := do(s, b, fence, put(1, "first"), seen(71)); r.Err != nil {
			t.Fatal(r.Err)
		}
		goOn := server.Stop()
		if r := do(s, b, fence, put(2, "lost"), seen(72)); r.Err == nil {
			t.Fatal("stored by a server that hangs")
		}
		goOn()
		up, down, err := s.Open(ctx, id, fence)
		for err != nil {
			up, down, err = s.Open(ctx, id, fence)
		}
		if i := [2]queue.Info{up, down}[d]; i.Last != 1 || i.Seen != 71 {
			t.Errorf("after a batch that failed: %+v", i)
		}
		up, down = own(t, other, id, fence+1)
		if i := [2]queue.Info{up, down}[d]; i.Last != 1 || i.Seen != 71 {
			t.Errorf("its next owner finds %+v", i)
		}
		if got := content(t, other, b); got != "1 first" {
			t.Errorf("its next owner finds %s", got)
		}
	}
}

// TestUnknownOfAnother: what another owner has put meanwhile is not undone.
func TestUnknownOfAnother(t *testing.T) {
	server := redistest.Start(t)
	one, two := open(t, server.URL+"?timeout=1s", queue.Bounds{}), open(t, server.URL, queue.Bounds{})
	id := queue.SessionID{1}
	b := queue.Box{Session: id}
	own(t, one, id, 1)
	goOn := server.Stop()
	if r := do(one, b, 1, put(1, "lost")); r.Err == nil {
		t.Fatal("stored by a server that hangs")
	}
	goOn()
	up, _ := own(t, two, id, 2)
	if r := do(two, b, 2, put(up.Last+1, "kept")); r.Err != nil {
		t.Fatal(r.Err)
	}
	before := content(t, two, b)
	if r := do(one, b, 1, put(1, "late")); !errors.Is(r.Err, queue.ErrFenced) {
		t.Errorf("the owner before: %v, want ErrFenced", r.Err)
	}
	up, _ = own(t, one, id, 3)
	if got := content(t, one, b); got != before || up.Last == 0 {
		t.Errorf("got %s, want %s", got, before)
	}
}

// TestKilled: what was told to be stored is there when the server comes back from kill -9; what failed is not.
func TestKilled(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	s := open(t, server.URL, queue.Bounds{})
	const boxes, rounds = 20, 5
	stored := make([]uint64, boxes) // by box: the last message that was
	for n := range byte(boxes) {
		own(t, s, queue.SessionID{n}, 1)
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for n := range byte(boxes) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := do(s, queue.Box{Session: queue.SessionID{n}}, 1, put(stored[n]+1, "x"))
				switch {
				case r.Err == nil && r.Stored == 1:
					stored[n]++
				case r.Err == nil || errors.Is(r.Err, queue.ErrOrder) || errors.Is(r.Err, queue.ErrFenced):
					t.Errorf("box %d, after %d: %+v", n, stored[n], r)
					return
				}
				if stored[n]%100 == 0 {
					if r := do(s, queue.Box{Session: queue.SessionID{n}}, 1, queue.Op{Kind: queue.RemoveThrough, ID: stored[n]}); r.Err == nil && r.Box.Messages != 0 {
						t.Errorf("box %d: %+v", n, r)
					}
				}
			}
		})
	}
	for range rounds {
		seen := s.Stat().Batches
		for s.Stat().Batches < seen+200 {
			time.Sleep(time.Millisecond)
		}
		server.Kill()
		server.Run()
	}
	close(stop)
	wg.Wait()

	// The pool of connections, too, takes a moment to see that the server is back.
	for s.redis.Ping(ctx).Err() != nil {
		time.Sleep(10 * time.Millisecond)
	}
	for n := range byte(boxes) {
		up, _ := own(t, s, queue.SessionID{n}, 2)
		if up.Last != stored[n] {
			t.Errorf("box %d has ids up to %d, and %d were stored", n, up.Last, stored[n])
		}
		all, err := s.Read(ctx, queue.Box{Session: queue.SessionID{n}}, 0, 10_000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range all {
			if want := stored[n] - uint64(len(all)-1-i); m.ID != want {
				t.Fatalf("box %d: message %d where %d belongs", n, m.ID, want)
			}
		}
	}
}

// TestAway: a server that is away is said to be so at once.
func TestAway(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL, queue.Bounds{})
	own(t, s, queue.SessionID{1}, 1)
	server.Kill()
	began := time.Now()
	r := do(s, queue.Box{Session: queue.SessionID{1}}, 1, put(1, "x"))
	if where := fmt.Sprintf("redis 127.0.0.1:%d: ", server.Port); r.Err == nil || !strings.HasPrefix(r.Err.Error(), where) {
		t.Errorf("%v, want it to begin with %q", r.Err, where)
	}
	_, _, openErr := s.Open(ctx, queue.SessionID{1}, 2)
	_, readErr := s.Read(ctx, queue.Box{}, 0, 1, 1)
	_, listErr := s.List(ctx, queue.Filter{})
	backlogErr := s.Backlog(ctx, queue.Up, func(queue.SessionID, queue.Info) bool { return true })
	for what, err := range map[string]error{"Open": openErr, "Read": readErr, "List": listErr, "Backlog": backlogErr, "Forget": s.Forget(ctx, queue.SessionID{1}, 1)} {
		if err == nil || errors.Is(err, queue.ErrFenced) {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Logf("six answers after %v", time.Since(began))
	if st := s.Stat(); st.Err == nil || st.Failed != 1 || s.Health().Up {
		t.Errorf("%+v", st)
	}
}

// TestKeysEnd: a session that nobody comes back to leaves nothing for ever.
func TestKeysEnd(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL, queue.Bounds{})
	id := queue.SessionID{1}
	own(t, s, id, 1)
	down := queue.Box{Session: id, Direction: queue.Down}
	do(s, queue.Box{Session: id}, 1, put(1, "x"), put(2, "x"))
	do(s, down, 1, put(1, "x"), put(2, "x"), put(3, "x"))
	do(s, down, 1, queue.Op{Kind: queue.Fail, ID: 1}, queue.Op{Kind: queue.Acknowledge, ID: 2})
	forever := put(4, "for ever")
	forever.Message.Expires = time.Time{}
	keys := s.keys(id)
	ttl := func(key string) time.Duration { return s.redis.PTTL(ctx, key).Val() }
	for _, i := range []int{0, 1, 3, 4} {
		if d := ttl(keys[i]); d < time.Hour || d > kept {
			t.Errorf("%s ends in %v", keys[i], d)
		}
	}
	do(s, down, 1, forever)
	for _, i := range []int{3, 4} {
		if d := ttl(keys[i]); d != -1 {
			t.Errorf("%s ends in %v, with a message that does not", keys[i], d)
		}
	}
	do(s, down, 1, queue.Op{Kind: queue.RemoveThrough, ID: 4}, queue.Op{Kind: queue.Remove, ID: 1})
	do(s, queue.Box{Session: id}, 1, queue.Op{Kind: queue.Remove, ID: 1}, queue.Op{Kind: queue.Remove, ID: 2})
	if n := s.redis.DBSize(ctx).Val(); n != 1 {
		t.Errorf("%d keys of empty boxes: %v", n, s.redis.Keys(ctx, "*").Val())
	}
	do(s, down, 1, put(5, "x"))
	if d := ttl(keys[3]); d < time.Hour || d > 3*time.Hour {
		t.Errorf("%s, made anew, ends in %v", keys[3], d)
	}
	longer := put(6, "x")
	longer.Message.Expires = time.Now().Add(48 * time.Hour)
	own(t, s, id, 2) // who loads does not know until when the keys live
	do(s, down, 2, longer)
	if d := ttl(keys[3]); d < 48*time.Hour {
		t.Errorf("%s ends in %v, before its message", keys[3], d)
	}
	if err := s.Forget(ctx, id, 2); err != nil {
		t.Fatal(err)
	}
	if d := ttl(keys[0]); d <= 0 || d > forgotten {
		t.Errorf("what is kept of a forgotten session ends in %v", d)
	}
}

// TestReview: what others own does not stay in the account, nor what is empty; and neither is missed.
func TestReview(t *testing.T) {
	server := redistest.Start(t)
	clock := time.Now()
	var mu sync.Mutex
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return clock }
	s, err := Open(server.URL, queue.Bounds{}, now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := open(t, server.URL, queue.Bounds{})
	full, empty, lost := queue.SessionID{1}, queue.SessionID{2}, queue.SessionID{3}
	for _, id := range []queue.SessionID{full, empty, lost} {
		own(t, s, id, 1)
	}
	do(s, queue.Box{Session: full}, 1, put(1, "x"))
	do(s, queue.Box{Session: empty}, 1, put(1, "x"), queue.Op{Kind: queue.Remove, ID: 1})
	do(s, queue.Box{Session: lost}, 1, put(1, "x"))
	own(t, other, lost, 2)
	if st := s.Stat(); st.Messages != 2 {
		t.Errorf("%+v", st)
	}
	mu.Lock()
	clock = clock.Add(2 * unused)
	mu.Unlock()
	s.review() // the worker has nothing to do meanwhile
	if len(s.accounts) != 1 || s.accounts[full] == nil {
		t.Errorf("there are accounts of %v", s.accounts)
	}
	if st := s.Stat(); st.Messages != 1 {
		t.Errorf("%+v", st)
	}
	for _, id := range []queue.SessionID{full, empty} {
		if r := do(s, queue.Box{Session: id}, 1, put(2, "y")); r.Err != nil || r.Box.Last != 2 {
			t.Errorf("%+v", r)
		}
	}
	if r := do(s, queue.Box{Session: lost}, 1, put(2, "y")); !errors.Is(r.Err, queue.ErrFenced) {
		t.Errorf("%v, want ErrFenced", r.Err)
	}
}
