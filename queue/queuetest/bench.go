package queuetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// BenchBoxes, BenchWindow and BenchPayload are what [Benchmark] measures with: so many sessions at once, each with so many messages that are not acknowledged, of so many bytes.
const (
	BenchBoxes   = 200
	BenchWindow  = 64
	BenchPayload = 100
)

// Benchmark measures what a store can do at most, without anything around it: every session puts a window of messages, waits until they are safe, and has them removed
// together with the next. ns/op is for one message that is put and removed. put50-ms and put99-ms are how long a put takes until Done.
func Benchmark(b *testing.B, s queue.Store) {
	windows := (b.N + BenchBoxes*BenchWindow - 1) / (BenchBoxes * BenchWindow)
	took := make([][]time.Duration, BenchBoxes)
	for n := range BenchBoxes {
		if _, _, err := s.Open(context.Background(), queue.SessionID{byte(n), 1}, 1); err != nil {
			b.Fatal(err)
		}
	}
	before := s.Stat()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for n := range BenchBoxes {
		wg.Go(func() { took[n] = benchBox(b, s, queue.Box{Session: queue.SessionID{byte(n), 1}}, windows) })
	}
	wg.Wait()
	b.StopTimer()

	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(windows*BenchBoxes*BenchWindow)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "put50-ms")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "put99-ms")
	after := s.Stat()
	b.ReportMetric(float64(after.Batches-before.Batches)/float64(after.Commits-before.Commits), "batches/commit")
}

func benchBox(b *testing.B, s queue.Store, box queue.Box, windows int) []time.Duration {
	took := make([]time.Duration, 0, windows)
	done := make(chan queue.Result, 1)
	do := func(ops []queue.Op) {
		s.Do(&queue.Batch{Box: box, Fence: 1, Ops: ops, Done: func(r queue.Result) { done <- r }})
		if r := <-done; r.Err != nil {
			b.Error(r.Err)
		}
	}
	id := uint64(0)
	for range windows {
		messages, ops := make([]queue.Message, BenchWindow), make([]queue.Op, 0, BenchWindow+1)
		if id > 0 {
			ops = append(ops, queue.Op{Kind: queue.RemoveThrough, ID: id})
		}
		now := time.Now()
		for i := range messages {
			id++
			messages[i] = queue.Message{ID: id, Cmd: 0x20, QoS: 1, Created: now, Expires: now.Add(24 * time.Hour), Payload: make([]byte, BenchPayload)}
			ops = append(ops, queue.Op{Kind: queue.Put, Message: &messages[i]})
		}
		do(ops)
		took = append(took, time.Since(now))
	}
	do([]queue.Op{{Kind: queue.RemoveThrough, ID: id}})
	return took
}
