package queuetest

import (
	"strings"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var bounds = map[string]func(*fixture){
	"bounds/reject": func(f *fixture) {
		f.open(queue.Bounds{Messages: 3})
		f.own(id(1), 1)
		r := f.must(up(1), 1, f.puts(1, 2, 3, 4, 5)...)
		equal(f, "Stored", r.Stored, 3)
		equal(f, "Dropped", len(r.Dropped), 0)
		sameInfo(f, r.Box, queue.Info{Last: 3, Messages: 3, Bytes: 195, Oldest: f.now()})
		// Room that a batch makes is there for what it puts afterwards.
		r = f.must(up(1), 1, append([]queue.Op{{Kind: queue.Remove, ID: 2}}, f.puts(4, 5)...)...)
		equal(f, "Stored", r.Stored, 1)
		equal(f, "Last", r.Box.Last, 4)
		f.wants(up(1), 1, 3, 4)
		equal(f, "Refused", f.Stat().Refused, 3)
	},
	"bounds/reject refuses all that follow": func(f *fixture) {
		f.open(queue.Bounds{Bytes: 500})
		f.own(id(1), 1)
		r := f.must(up(1), 1, queue.Op{Kind: queue.Seen, N: 8}, f.put(1, "small"), f.put(2, strings.Repeat("x", 500)), f.put(3, "small"), queue.Op{Kind: queue.Seen, N: 9})
		equal(f, "Stored", r.Stored, 1)
		sameInfo(f, r.Box, queue.Info{Last: 1, Seen: 8, Messages: 1, Bytes: 69, Oldest: f.now()})
		equal(f, "Stored", f.must(up(1), 1, f.put(2, "small")).Stored, 1)
	},
	"bounds/bytes of a box": func(f *fixture) {
		f.open(queue.Bounds{Bytes: 200})
		f.own(id(1), 1)
		r := f.must(up(1), 1, f.put(1, strings.Repeat("x", 36)), f.put(2, strings.Repeat("x", 36)), f.put(3, ""))
		equal(f, "Stored", r.Stored, 2)
		equal(f, "of another box", f.must(down(1), 1, f.put(1, strings.Repeat("x", 136))).Stored, 1)
		// What was received makes room by its payload.
		r = f.must(up(1), 1, queue.Op{Kind: queue.Acknowledge, ID: 1}, queue.Op{Kind: queue.Acknowledge, ID: 2}, f.put(3, "12345678"), f.put(4, ""))
		equal(f, "Stored", r.Stored, 1)
		equal(f, "Bytes", r.Box.Bytes, 200)
	},
	"bounds/bytes in all": func(f *fixture) {
		f.open(queue.Bounds{Total: 64 * 5})
		f.own(id(1), 1)
		f.own(id(2), 1)
		equal(f, "Stored", f.must(up(1), 1, f.put(1, ""), f.put(2, ""), f.put(3, "")).Stored, 3)
		equal(f, "Stored", f.must(down(2), 1, f.put(1, ""), f.put(2, ""), f.put(3, "")).Stored, 2)
		f.must(up(1), 1, queue.Op{Kind: queue.RemoveThrough, ID: 2})
		equal(f, "Stored", f.must(down(2), 1, f.put(3, ""), f.put(4, ""), f.put(5, "")).Stored, 2)
	},
	"bounds/drop_oldest": func(f *fixture) {
		f.open(queue.Bounds{Messages: 3, Overflow: queue.DropOldest})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2, 3)...)
		f.must(up(1), 1, queue.Op{Kind: queue.Fail, ID: 2, N: 3})
		r := f.must(up(1), 1, f.puts(4, 5)...)
		equal(f, "Stored", r.Stored, 2)
		equal(f, "Dropped, failed ones first", r.Dropped, []uint64{2, 1})
		sameInfo(f, r.Box, queue.Info{Last: 5, Messages: 3, Bytes: 195, Oldest: f.now()})
		f.wants(up(1), 3, 4, 5)
		// Also of the same batch.
		r = f.must(up(1), 1, f.puts(6, 7, 8, 9)...)
		equal(f, "Dropped", r.Dropped, []uint64{3, 4, 5, 6})
		f.wants(up(1), 7, 8, 9)
		equal(f, "Dropped of Stat", f.Stat().Dropped, 6)
	},
	"bounds/drop_oldest by bytes": func(f *fixture) {
		f.open(queue.Bounds{Bytes: 300, Overflow: queue.DropOldest})
		f.own(id(1), 1)
		f.must(up(1), 1, f.put(1, ""), f.put(2, ""), f.put(3, ""), f.put(4, ""))
		r := f.must(up(1), 1, f.put(5, strings.Repeat("x", 100)))
		equal(f, "Dropped", r.Dropped, []uint64{1, 2})
		// One for which all others would not make room costs only itself.
		r = f.must(up(1), 1, f.put(6, strings.Repeat("x", 300)))
		equal(f, "Stored", r.Stored, 1)
		equal(f, "Dropped", r.Dropped, []uint64{6})
		equal(f, "Last", r.Box.Last, 6)
		f.wants(up(1), 3, 4, 5)
	},
	"bounds/drop_oldest in all": func(f *fixture) {
		f.open(queue.Bounds{Total: 64 * 4, Overflow: queue.DropOldest})
		f.own(id(1), 1)
		f.own(id(2), 1)
		f.must(up(1), 1, f.put(1, ""), f.put(2, ""), f.put(3, ""), f.put(4, ""))
		r := f.must(up(2), 1, f.put(1, "")) // has nothing of its own to drop
		equal(f, "Dropped", r.Dropped, []uint64{1})
		f.wants(up(2))
		f.wants(up(1), 1, 2, 3, 4)
		equal(f, "Dropped", f.must(up(1), 1, f.put(5, "")).Dropped, []uint64{1})
	},
	"bounds/drop_newest": func(f *fixture) {
		f.open(queue.Bounds{Messages: 2, Overflow: queue.DropNewest})
		f.own(id(1), 1)
		r := f.must(up(1), 1, f.puts(1, 2, 3, 4)...)
		equal(f, "Stored", r.Stored, 4)
		equal(f, "Dropped", r.Dropped, []uint64{3, 4})
		sameInfo(f, r.Box, queue.Info{Last: 4, Messages: 2, Bytes: 130, Oldest: f.now()})
		f.wants(up(1), 1, 2)
		equal(f, "Dropped of Stat", f.Stat().Dropped, 2)
	},
}
