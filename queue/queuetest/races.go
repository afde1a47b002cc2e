package queuetest

import (
	"context"
	"errors"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var races = map[string]func(*fixture){
	"Done/of each batch, once, in the order of Do": func(f *fixture) {
		f.open(queue.Bounds{})
		const boxes, each = 20, 50
		var wg sync.WaitGroup
		for n := range byte(boxes) {
			f.own(id(n), 1)
			wg.Go(func() {
				told := make(chan uint64, each)
				for i := uint64(1); i <= each; i++ {
					f.Do(&queue.Batch{Box: up(n), Fence: 1, Ops: f.puts(i), Done: func(r queue.Result) {
						if r.Err != nil || r.Stored != 1 {
							f.Errorf("box %d, message %d: %+v", n, i, r)
						}
						told <- i
					}})
				}
				for i := uint64(1); i <= each; i++ {
					if got := <-told; got != i {
						f.Errorf("box %d: told of batch %d, want %d", n, got, i)
					}
				}
			})
		}
		wg.Wait()
		for n := range byte(boxes) {
			equal(f, "messages", len(f.wantsSome(up(n))), each)
		}
	},
	"Done/may call Do, and what it was told of can be read": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		const rounds = 30
		seen := make(chan uint64, rounds)
		var next func(i uint64)
		next = func(i uint64) {
			f.Do(&queue.Batch{Box: up(1), Fence: 1, Ops: f.puts(i), Done: func(queue.Result) {
				seen <- i
				if i < rounds {
					next(i + 1)
				}
			}})
		}
		next(1)
		for range rounds {
			i := <-seen
			if all, err := f.Read(context.Background(), up(1), i-1, 1, 1000); err != nil || len(all) != 1 || all[0].ID != i {
				f.Fatalf("after Done of message %d: %v, %v", i, all, err)
			}
		}
	},
	"many who put, read, remove and take over": func(f *fixture) {
		f.open(queue.Bounds{})
		var wg sync.WaitGroup
		for n := range byte(8) {
			wg.Go(func() {
				s := id(n % 4) // two owners each
				for i := uint64(1); i <= 20; i++ {
					info, _, err := f.Open(context.Background(), s, i)
					if errors.Is(err, queue.ErrFenced) {
						continue
					}
					if err != nil {
						f.Error(err)
						return
					}
					r := do(f.T, f.Store, queue.Box{Session: s}, i, f.puts(info.Last+1, info.Last+2)...)
					if r.Err != nil && !errors.Is(r.Err, queue.ErrFenced) && !errors.Is(r.Err, queue.ErrOrder) {
						f.Error(r.Err)
					}
					if _, err := f.Read(context.Background(), queue.Box{Session: s}, 0, 10, 1000); err != nil {
						f.Error(err)
					}
					do(f.T, f.Store, queue.Box{Session: s}, i, queue.Op{Kind: queue.RemoveThrough, ID: info.Last + 1})
					f.Stat()
				}
				f.entries(queue.Filter{})
			})
		}
		wg.Wait()
		// What the store counts is what it holds.
		var bytes int64
		all := f.entries(queue.Filter{Limit: 1 << 20})
		for _, e := range all {
			bytes += int64(e.Message.Size())
		}
		st := f.Stat()
		equal(f, "messages and bytes", []any{st.Messages, st.Bytes}, []any{len(all), bytes})
	},
	"Close/carries out what was given to Do": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		const batches = 100
		told := make(chan error, batches)
		for i := range uint64(batches) {
			f.Do(&queue.Batch{Box: up(1), Fence: 1, Ops: f.puts(i + 1), Done: func(r queue.Result) { told <- r.Err }})
		}
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		if len(told) != batches {
			f.Errorf("Close returned when %d of %d batches were done", len(told), batches)
		}
		for range len(told) {
			if err := <-told; err != nil {
				f.Error(err)
			}
		}
	},
	"Close/and then nothing works": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		ctx := context.Background()
		_, _, openErr := f.Open(ctx, id(1), 2)
		_, readErr := f.Read(ctx, up(1), 0, 1, 1)
		_, listErr := f.List(ctx, queue.Filter{})
		for what, err := range map[string]error{
			"Do": f.do(up(1), 1, f.puts(1)...).Err, "Open": openErr, "Read": readErr, "List": listErr, "Forget": f.Forget(ctx, id(1), 1),
			"Backlog": f.Backlog(ctx, queue.Up, func(queue.SessionID, queue.Info) bool { return true }), "Close": f.Close(),
		} {
			if !errors.Is(err, queue.ErrClosed) {
				f.Errorf("%s: %v, want ErrClosed", what, err)
			}
		}
		f.Stat()
	},
}

// wantsSome is what the box has to deliver.
func (f *fixture) wantsSome(b queue.Box) []queue.Message {
	f.Helper()
	all, err := f.Read(context.Background(), b, 0, 1<<20, 1<<30)
	if err != nil {
		f.Fatal(err)
	}
	return all
}
