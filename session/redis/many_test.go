package redis

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestCluster(t *testing.T) { conformance(t, redistest.Cluster(t)) }

// TestFailover: a session goes on at the master's replica, and its fence goes up even where that has missed the last change.
func TestFailover(t *testing.T) {
	url, master := redistest.Sentinel(t)
	s := open(t, url)
	r, token := begun(t, s, "c", "a")
	if n, err := s.redis.Do(t.Context(), "WAIT", 1, 0).Int(); err != nil || n != 1 {
		t.Fatalf("the replica has not got it: %d, %v", n, err)
	}
	master.Kill()

	claim := session.Claim{Client: "c", Token: token, Owner: "b", Salt: session.NewSalt()}
	got, err := s.Resume(t.Context(), claim)
	for err != nil {
		time.Sleep(50 * time.Millisecond)
		got, err = s.Resume(t.Context(), claim)
	}
	if got.ID != r.ID || got.Fence <= r.Fence {
		t.Errorf("got %+v, want the session %x with a fence above %d", got, r.ID, r.Fence)
	}
	if before := uint64(time.Now().Add(-time.Minute).UnixMicro()); got.Fence < before {
		t.Errorf("the fence %d does not follow the clock, which is at %d", got.Fence, time.Now().UnixMicro())
	}
}

// TestMemory says what a session takes in a Redis: docs/redis.md has the figure.
func TestMemory(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL)
	before := server.Memory()
	const n = 2000
	for i := range n {
		begun(t, s, fmt.Sprintf("meter-%07d", i), "a1b2c3d4e5f60718")
	}
	each := (server.Memory() - before) / n
	t.Logf("%d bytes each", each)
	if each > 1000 {
		t.Errorf("a session takes %d bytes", each)
	}
}
