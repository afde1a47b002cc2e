package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/queue/sqlite"
)

// storeCeiling is what the store does at its best, with nothing around it: each client's box puts a whole window in one batch, and removes the window before with it, as soon
// as the last is committed.
func (w *world) storeCeiling(l load, path string) (r rate, err error) {
	store, err := sqlite.Open(path+".db", queue.Bounds{}, nil)
	if err != nil {
		return r, err
	}
	var (
		mu     sync.Mutex // guards all below
		took   []time.Duration
		failed error
		from   time.Time // zero: nothing is counted
		over   bool
		open   sync.WaitGroup
	)
	payload := message{device: 1, qos: 1, number: 1}.append(nil, l.size)
	for i := range l.clients {
		id := queue.SessionID{byte(i), byte(i >> 8)}
		if _, _, err := store.Open(context.Background(), id, 1); err != nil {
			return r, err
		}
		last := uint64(0)
		var next func()
		next = func() {
			began := time.Now()
			b := &queue.Batch{Box: queue.Box{Session: id}, Fence: 1, Ops: []queue.Op{{Kind: queue.RemoveThrough, ID: last}}}
			for range l.window {
				last++
				b.Ops = append(b.Ops, queue.Op{Kind: queue.Put, ID: last, Message: &queue.Message{
					ID: last, Cmd: cmdApp, QoS: 1, Created: began, Expires: began.Add(24 * time.Hour), Payload: payload,
				}})
			}
			b.Done = func(result queue.Result) {
				mu.Lock()
				defer mu.Unlock()
				if result.Err == nil && result.Stored < l.window {
					result.Err = fmt.Errorf("%d of %d messages were taken", result.Stored, l.window)
				}
				if result.Err != nil && failed == nil {
					failed, over = result.Err, true
				}
				if over {
					open.Done()
					return
				}
				if d := time.Since(began); !from.IsZero() {
					for range l.window {
						took = append(took, d)
					}
				}
				next()
			}
			store.Do(b)
		}
		open.Add(1)
		next()
	}
	w.pauseFor(l.warm)
	mu.Lock()
	from = time.Now()
	mu.Unlock()
	w.pauseFor(l.measured)
	mu.Lock()
	measured := time.Since(from)
	over = true
	mu.Unlock()
	open.Wait()
	if err := store.Close(); err != nil {
		return r, err
	}
	slices.Sort(took)
	return rate{float64(len(took)) / measured.Seconds(), percentile(took, 0.5), percentile(took, 0.99)}, failed
}
