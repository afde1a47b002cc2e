package redis

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/redis/redistest"
)

// BenchmarkStore is what a store does alone: 200 boxes, each with up to 64 messages under way, put and removed; beside what a batch waits.
func BenchmarkStore(b *testing.B) {
	for _, test := range []struct {
		name     string
		settings []string
	}{
		{"memory", nil},
		{"everysec", []string{"--appendonly", "yes", "--appendfsync", "everysec"}},
		{"always", []string{"--appendonly", "yes", "--appendfsync", "always"}},
	} {
		b.Run(test.name, func(b *testing.B) {
			s, err := Open(redistest.Start(b, test.settings...).URL, queue.Bounds{}, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			const boxes, window = 200, 64
			for n := range byte(boxes) {
				if _, _, err := s.Open(ctx, queue.SessionID{n}, 1); err != nil {
					b.Fatal(err)
				}
			}
			var mu sync.Mutex
			var waits []time.Duration
			payload := make([]byte, 100)
			each := b.N/boxes + 1
			var wg sync.WaitGroup
			b.ResetTimer()
			for n := range byte(boxes) {
				wg.Go(func() {
					box := queue.Box{Session: queue.SessionID{n}}
					room := make(chan struct{}, window)
					for i := uint64(1); i <= uint64(each); i++ {
						room <- struct{}{}
						began := time.Now()
						m := &queue.Message{ID: i, Cmd: 0x20, QoS: 1, Created: began, Expires: began.Add(time.Hour), Payload: payload}
						s.Do(&queue.Batch{Box: box, Fence: 1, Ops: []queue.Op{{Kind: queue.Put, Message: m}}, Done: func(r queue.Result) {
							if r.Err != nil || r.Stored != 1 {
								b.Errorf("%+v", r)
							}
							mu.Lock()
							waits = append(waits, time.Since(began))
							mu.Unlock()
							s.Do(&queue.Batch{Box: box, Fence: 1, Ops: []queue.Op{{Kind: queue.RemoveThrough, ID: i}}, Done: func(queue.Result) { <-room }})
						}})
					}
					for range window {
						room <- struct{}{}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			slices.Sort(waits)
			st := s.Stat()
			b.ReportMetric(float64(len(waits))/b.Elapsed().Seconds(), "messages/s")
			b.ReportMetric(float64(st.Batches)/float64(st.Commits), "batches/trip")
			b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
		})
	}
}
