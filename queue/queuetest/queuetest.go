// Package queuetest says, as tests, what every [queue.Store] must do.
//
//	queuetest.go who runs them, and what they share
//	batches.go   what a batch does: order, states, refusals
//	bounds.go    what happens where there is no room
//	owners.go    fences, and what is forgotten
//	reading.go   Read, List, Backlog, Stat, and what has expired
//	equal.go     comparisons
//	bench.go     how fast a store is
//	races.go     many at once, and the end of the store
//	reopen.go    what a durable store still knows when it is opened again
package queuetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Place is where a store keeps its messages. Each call opens a store there, with these bounds and this clock.
type Place func(t *testing.T, b queue.Bounds, now func() time.Time) queue.Store

// Options say what may be asked of a store.
type Options struct {
	// Durable: a store that is opened in a place where one was closed knows all that was committed.
	Durable bool
	// Shared: two stores may be open in one place at the same time. Each counts in its Stat what it owns.
	Shared bool
}

// Run runs all tests. newPlace is called for each of them, and returns a place where nothing is.
func Run(t *testing.T, newPlace func(t *testing.T) Place, o Options) {
	for _, tests := range []map[string]func(*fixture){batches, bounds, owners, reading, races} {
		run(t, newPlace, tests, o)
	}
	if o.Durable {
		run(t, newPlace, reopening, o)
	}
	if o.Shared {
		run(t, newPlace, sharing, o)
	}
}

func run(t *testing.T, newPlace func(t *testing.T) Place, tests map[string]func(*fixture), o Options) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := &fixture{T: t, place: newPlace(t), shared: o.Shared}
			f.clock.Store(epoch.UnixMilli())
			test(f)
		})
	}
}

// epoch is when every test begins, by the clock that the store is given.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)

// fixture is one test with its place, its clock, and helpers that fail it.
type fixture struct {
	*testing.T
	place  Place
	shared bool
	clock  atomic.Int64 // ms since 1970
	queue.Store
}

func (f *fixture) now() time.Time { return time.UnixMilli(f.clock.Load()) }

func (f *fixture) pass(d time.Duration) { f.clock.Add(d.Milliseconds()) }

// open opens the test's store, which is closed when the test ends.
func (f *fixture) open(b queue.Bounds) {
	f.Helper()
	f.Store = f.another(b)
}

// another opens one more store in the same place.
func (f *fixture) another(b queue.Bounds) queue.Store {
	f.Helper()
	s := f.place(f.T, b, f.now)
	f.Cleanup(func() { _ = s.Close() })
	return s
}

// reopen closes the store, and opens another where it was.
func (f *fixture) reopen(b queue.Bounds) {
	f.Helper()
	if err := f.Close(); err != nil {
		f.Fatalf("Close: %v", err)
	}
	f.open(b)
}

// id is the n-th session of a test.
func id(n byte) queue.SessionID { return queue.SessionID{0: 0x10, 15: n} }

func up(n byte) queue.Box { return queue.Box{Session: id(n), Direction: queue.Up} }

func down(n byte) queue.Box { return queue.Box{Session: id(n), Direction: queue.Down} }

// own opens a session's boxes.
func (f *fixture) own(s queue.SessionID, fence uint64) (up, down queue.Info) {
	f.Helper()
	up, down, err := f.Open(context.Background(), s, fence)
	if err != nil {
		f.Fatalf("Open(%x, fence %d): %v", s, fence, err)
	}
	return up, down
}

// do carries out one batch and waits for it.
func (f *fixture) do(b queue.Box, fence uint64, ops ...queue.Op) queue.Result {
	f.Helper()
	return do(f.T, f.Store, b, fence, ops...)
}

func do(t *testing.T, s queue.Store, b queue.Box, fence uint64, ops ...queue.Op) queue.Result {
	t.Helper()
	done := make(chan queue.Result, 1)
	s.Do(&queue.Batch{Box: b, Fence: fence, Ops: ops, Done: func(r queue.Result) { done <- r }})
	return <-done
}

// must is do, of a batch that must not fail.
func (f *fixture) must(b queue.Box, fence uint64, ops ...queue.Op) queue.Result {
	f.Helper()
	r := f.do(b, fence, ops...)
	if r.Err != nil {
		f.Fatalf("batch of box %v: %v", b, r.Err)
	}
	return r
}

// message is one that lives for an hour.
func (f *fixture) message(id uint64, payload string) *queue.Message {
	return &queue.Message{
		ID: id, Cmd: 0x20, Flag: 0x01, QoS: 1, Created: f.now(), Expires: f.now().Add(time.Hour), Payload: []byte(payload),
	}
}

func (f *fixture) put(id uint64, payload string) queue.Op {
	return queue.Op{Kind: queue.Put, Message: f.message(id, payload)}
}

// puts are messages of one byte.
func (f *fixture) puts(ids ...uint64) []queue.Op {
	ops := make([]queue.Op, len(ids))
	for i, id := range ids {
		ops[i] = f.put(id, "x")
	}
	return ops
}

// wants fails the test unless the box has just these messages to deliver.
func (f *fixture) wants(b queue.Box, ids ...uint64) []queue.Message {
	f.Helper()
	all, err := f.Read(context.Background(), b, 0, 1<<20, 1<<30)
	if err != nil {
		f.Fatalf("Read: %v", err)
	}
	got := make([]uint64, len(all))
	for i, m := range all {
		got[i] = m.ID
	}
	equal(f, "ids to deliver", got, ids)
	return all
}

// entries is List, which must work.
func (f *fixture) entries(filter queue.Filter) []queue.Entry {
	f.Helper()
	all, err := f.List(context.Background(), filter)
	if err != nil {
		f.Fatalf("List: %v", err)
	}
	return all
}
