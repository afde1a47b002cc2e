package redis

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	storeredis "github.com/caddy-gopr/caddy-gopr/store/redis"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

// TestFailover: with `replicas=1`, what was told to be stored is there when the master is gone and its replica is the master; while there is no replica nothing is told to be stored,
// and when there is one again, all goes on.
func TestFailover(t *testing.T) {
	url, master := redistest.Sentinel(t)
	s := open(t, url+"?replicas=1&timeout=1s", queue.Bounds{})
	const boxes = 10
	var stored [boxes]atomic.Uint64
	box := func(n int) queue.Box { return queue.Box{Session: queue.SessionID{byte(n)}, Direction: queue.Down} }
	for n := range boxes {
		own(t, s, box(n).Session, 1)
	}
	all := func() (sum uint64) {
		for n := range stored {
			sum += stored[n].Load()
		}
		return sum
	}
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for n := range boxes {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := do(s, box(n), 1, put(stored[n].Load()+1, "x"))
				switch {
				case r.Err == nil && r.Stored == 1:
					stored[n].Add(1)
				case r.Err == nil || errors.Is(r.Err, queue.ErrOrder) || errors.Is(r.Err, queue.ErrFenced):
					t.Errorf("box %d, after %d: %+v", n, stored[n].Load(), r)
					return
				}
			}
		})
	}
	more := func(what string) {
		t.Helper()
		before := all()
		until(t, what, func() bool {
			if t.Failed() {
				t.FailNow()
			}
			return all() > before+500
		})
	}
	more("messages are stored")
	master.Kill()
	until(t, "the replica is the master, and has none itself", func() bool { return errors.Is(s.Stat().Err, storeredis.ErrReplicas) })
	master.Run()
	more("messages are stored when the old master is the new one's replica")
	close(stop)
	wg.Wait()
	for n := range boxes {
		up, down := own(t, s, box(n).Session, 2)
		if down.Last != stored[n].Load() {
			t.Errorf("box %d has ids up to %d (%d up), and %d were stored", n, down.Last, up.Last, stored[n].Load())
		}
		messages, err := s.Read(ctx, box(n), 0, 100_000, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range messages {
			if m.ID != uint64(i+1) {
				t.Fatalf("box %d: message %d where %d belongs", n, m.ID, i+1)
			}
		}
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s", what)
		}
	}
}

// TestFailoverLoses: with the default settings a failover loses what the replica had not got yet, as docs/redis.md says: the newest messages, and the rest goes on in order. With
// `replicas=1` such a message is not told to be stored.
func TestFailoverLoses(t *testing.T) {
	url, master := redistest.Sentinel(t)
	s := open(t, url+"?timeout=1s", queue.Bounds{})
	sure := open(t, url+"?replicas=1&timeout=1s", queue.Bounds{})
	b, other := queue.Box{Session: queue.SessionID{1}}, queue.Box{Session: queue.SessionID{2}}
	own(t, s, b.Session, 1)
	own(t, sure, other.Session, 1)
	for id := uint64(1); id <= 2; id++ {
		if r := do(s, b, 1, put(id, "kept")); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	// When the replica has this, it has the two before as well.
	until(t, "the replica has it", func() bool { return do(sure, other, 1, put(1, "kept")).Err == nil })
	master.CutReplica()
	if r := do(s, b, 1, put(3, "lost")); r.Err != nil {
		t.Fatal(r.Err)
	}
	if r := do(sure, other, 1, put(2, "lost")); !errors.Is(r.Err, storeredis.ErrReplicas) {
		t.Errorf("told to be stored, where no replica has it: %+v", r)
	}
	master.Kill()
	var up queue.Info
	until(t, "the replica is the master", func() (opened bool) {
		var err error
		up, _, err = s.Open(ctx, b.Session, 2)
		return err == nil
	})
	if got := content(t, s, b); got != "1 kept, 2 kept" || up.Last != 2 {
		t.Errorf("the replica has %s, and ids up to %d", got, up.Last)
	}
	if r := do(s, b, 2, put(4, "after")); r.Err != nil {
		t.Errorf("the next message: %v", r.Err)
	}
	if got := content(t, s, b); got != "1 kept, 2 kept, 4 after" {
		t.Errorf("afterwards there is %s", got)
	}
}
