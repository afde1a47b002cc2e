package queuetest

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var reopening = map[string]func(*fixture){
	"reopen/all is there": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 3)
		f.own(id(2), 1)
		f.must(up(1), 3, f.put(1, "one"), f.put(2, "two"), f.put(3, "three"))
		f.must(up(1), 3, queue.Op{Kind: queue.Remove, ID: 2})
		r := f.must(down(1), 3, f.put(7, "acknowledged"), f.put(8, "failed"), f.put(9, "queued"), queue.Op{Kind: queue.Acknowledge, ID: 7},
			queue.Op{Kind: queue.Fail, ID: 8, N: 3}, queue.Op{Kind: queue.Seen, N: 1 << 40})
		f.must(up(2), 1, f.put(5, "x"), queue.Op{Kind: queue.Remove, ID: 5})
		listed, st := f.entries(queue.Filter{}), f.Stat()
		f.reopen(queue.Bounds{})

		if f.shared {
			f.own(id(1), 3)
		}
		again := f.Stat()
		equal(f, "messages and bytes", []any{again.Messages, again.Bytes}, []any{st.Messages, st.Bytes})
		after := f.entries(queue.Filter{})
		equal(f, "listed", len(after), len(listed))
		before := make(map[queue.Box]map[uint64]queue.Message)
		for _, e := range listed {
			if before[e.Box] == nil {
				before[e.Box] = make(map[uint64]queue.Message)
			}
			before[e.Box][e.Message.ID] = e.Message
		}
		for _, e := range after {
			sameMessage(f, e.Message, before[e.Box][e.Message.ID])
		}
		f.wants(up(1), 1, 3)
		f.wants(down(1), 7, 9)
		backlog := 0
		_ = f.Backlog(context.Background(), queue.Up, func(s queue.SessionID, i queue.Info) bool {
			backlog++
			equal(f, "session with a backlog", s, id(1))
			sameInfo(f, i, queue.Info{Last: 3, Messages: 2, Bytes: 128 + 8, Oldest: f.now()})
			return true
		})
		equal(f, "sessions with a backlog", backlog, 1)
		_, info := f.own(id(1), 4)
		sameInfo(f, info, r.Box)
		info, _ = f.own(id(2), 2)
		sameInfo(f, info, queue.Info{Last: 5})
		if r := f.do(up(2), 2, f.put(5, "again")); !errors.Is(r.Err, queue.ErrOrder) {
			f.Errorf("an id of before: %v, want ErrOrder", r.Err)
		}
	},
	"reopen/the fence holds": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 9)
		f.must(up(1), 9, f.put(1, "one"))
		f.reopen(queue.Bounds{})
		if _, _, err := f.Open(context.Background(), id(1), 8); !errors.Is(err, queue.ErrFenced) {
			f.Errorf("a lower fence: %v, want ErrFenced", err)
		}
		f.own(id(1), 10)
	},
	"reopen/what was forgotten is": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.put(1, "one"))
		if err := f.Forget(context.Background(), id(1), 1); err != nil {
			f.Fatal(err)
		}
		f.reopen(queue.Bounds{})
		equal(f, "messages", f.Stat().Messages, 0)
		info, _ := f.own(id(1), 2)
		sameInfo(f, info, queue.Info{})
	},
	"reopen/bounds count what is there": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2, 3)...)
		f.reopen(queue.Bounds{Messages: 4})
		f.own(id(1), 2)
		equal(f, "Stored", f.must(up(1), 2, f.puts(4, 5)...).Stored, 1)
		f.reopen(queue.Bounds{Total: 65 * 5, Overflow: queue.DropOldest})
		f.own(id(1), 3)
		equal(f, "Dropped", f.must(up(1), 3, f.puts(5, 6, 7)...).Dropped, []uint64{1, 2})
	},
	"reopen/what has expired meanwhile": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2)...)
		f.pass(30 * time.Minute)
		f.must(up(1), 1, f.puts(3)...)
		if err := f.Close(); err != nil {
			f.Fatal(err)
		}
		f.pass(45 * time.Minute)
		f.open(queue.Bounds{})
		f.wants(up(1), 3)
		info, _ := f.own(id(1), 2)
		sameInfo(f, info, queue.Info{Last: 3, Messages: 1, Bytes: 65, Oldest: epoch.Add(30 * time.Minute)})
	},
}
