package redis

import (
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

func TestCluster(t *testing.T) { conformance(t, redistest.Cluster(t)) }

// TestMemory says what messages take in a Redis: docs/redis.md has the figures.
func TestMemory(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, server.URL, queue.Bounds{Messages: 10_000, Bytes: 10 << 20})
	const boxes, messages = 100, 100
	begin := func(n byte) {
		own(t, s, queue.SessionID{n}, 1)
		do(s, queue.Box{Session: queue.SessionID{n}}, 1, put(1, "x"), queue.Op{Kind: queue.Remove, ID: 1})
	}
	begin(boxes) // brings the connection and the scripts
	before := server.Memory()
	for n := range byte(boxes) {
		begin(n)
	}
	empty := server.Memory()
	for n := range byte(boxes) {
		do(s, queue.Box{Session: queue.SessionID{n}}, 1, put(2, strings.Repeat("x", 100)))
	}
	one := server.Memory()
	for n := range byte(boxes) {
		for id := range uint64(messages) {
			do(s, queue.Box{Session: queue.SessionID{n}}, 1, put(id+3, strings.Repeat("x", 100)))
		}
	}
	full := server.Memory()
	each := (full - one) / boxes / messages
	t.Logf("the boxes of a session %d bytes, the first message %d more, each other of 100 bytes %d", (empty-before)/boxes, (one-empty)/boxes, each)
	if each > 300 {
		t.Errorf("a message takes %d bytes", each)
	}
}
