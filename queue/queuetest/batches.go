package queuetest

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var batches = map[string]func(*fixture){
	"Put/returns what was put": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 7)
		want := []queue.Message{
			{ID: 1, Cmd: 0xff, Flag: 0x03, QoS: 1, Created: f.now(), Expires: f.now().Add(time.Hour), Payload: []byte("\x00\xffone")},
			{ID: 3, Cmd: 0x10, QoS: 2, Created: f.now().Add(time.Millisecond), Payload: nil},
			{ID: math.MaxInt64, Cmd: 0x11, QoS: 2, Created: f.now(), Expires: f.now().Add(1000 * time.Hour), Payload: []byte(strings.Repeat("x", 65535))},
		}
		r := f.must(up(1), 7, queue.Op{Kind: queue.Put, Message: &want[0]}, queue.Op{Kind: queue.Put, Message: &want[1]})
		equal(f, "Stored", r.Stored, 2)
		sameInfo(f, r.Box, queue.Info{Last: 3, Messages: 2, Bytes: 128 + 5, Oldest: f.now()})
		r = f.must(up(1), 7, queue.Op{Kind: queue.Put, Message: &want[2]})
		sameInfo(f, r.Box, queue.Info{Last: math.MaxInt64, Messages: 3, Bytes: 192 + 5 + 65535, Oldest: f.now()})
		for i, got := range f.wants(up(1), 1, 3, math.MaxInt64) {
			sameMessage(f, got, want[i])
		}
		f.wants(down(1))
		f.wants(up(2))
	},
	"Put/keeps milliseconds": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		m := f.message(1, "x")
		m.Created, m.Expires = m.Created.Add(999*time.Microsecond), m.Expires.Add(999*time.Microsecond)
		f.must(up(1), 1, queue.Op{Kind: queue.Put, Message: m})
		sameMessage(f, f.wants(up(1), 1)[0], *f.message(1, "x"))
	},
	"Put/of the largest payload": func(f *fixture) {
		f.open(queue.Bounds{Bytes: 32 << 20})
		f.own(id(1), 1)
		large := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB, the most that a frame may be configured to hold
		f.must(up(1), 1, f.put(1, large))
		sameMessage(f, f.wants(up(1), 1)[0], *f.message(1, large))
	},
	"Put/fails where ids do not ascend": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(5, 6)...)
		for _, ids := range [][]uint64{{0}, {5}, {6}, {7, 7}, {9, 8}, {1 << 63}} {
			ops := append([]queue.Op{{Kind: queue.Remove, ID: 5}}, f.puts(ids...)...)
			if r := f.do(up(1), 1, ops...); !errors.Is(r.Err, queue.ErrOrder) {
				f.Errorf("ids %v after 6: %v, want ErrOrder", ids, r.Err)
			}
			f.wants(up(1), 5, 6)
		}
		f.must(up(1), 1, queue.Op{Kind: queue.RemoveThrough, ID: 6})
		if r := f.do(up(1), 1, f.puts(6)...); !errors.Is(r.Err, queue.ErrOrder) {
			f.Errorf("an id of a message that was removed: %v, want ErrOrder", r.Err)
		}
		f.must(up(1), 1, f.puts(7)...)
		f.wants(up(1), 7)
	},
	"Remove/and RemoveThrough": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2, 3, 4, 5, 6, 7, 8)...)
		f.must(down(1), 1, f.puts(1, 2)...)
		r := f.must(up(1), 1, queue.Op{Kind: queue.Remove, ID: 4}, queue.Op{Kind: queue.Remove, ID: 99}, queue.Op{Kind: queue.Remove, ID: 7})
		sameInfo(f, r.Box, queue.Info{Last: 8, Messages: 6, Bytes: 6 * 65, Oldest: f.now()})
		f.wants(up(1), 1, 2, 3, 5, 6, 8)
		f.must(up(1), 1, queue.Op{Kind: queue.Fail, ID: 2, N: 3})
		r = f.must(up(1), 1, queue.Op{Kind: queue.RemoveThrough, ID: 5})
		sameInfo(f, r.Box, queue.Info{Last: 8, Messages: 3, Failed: 1, Bytes: 3 * 65, Oldest: f.now()})
		f.wants(up(1), 6, 8)
		f.must(up(1), 1, queue.Op{Kind: queue.Remove, ID: 2})
		r = f.must(up(1), 1, queue.Op{Kind: queue.RemoveThrough, ID: math.MaxInt64})
		sameInfo(f, r.Box, queue.Info{Last: 8})
		f.wants(up(1))
		f.wants(down(1), 1, 2)
	},
	"RemoveThrough/the largest id of all": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2)...)
		f.must(up(1), 1, queue.Op{Kind: queue.RemoveThrough, ID: math.MaxUint64})
		f.wants(up(1))
	},
	"Acknowledge/forgets the payload": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, f.put(1, "one"), f.put(2, "two"), f.put(3, "three"))
		r := f.must(down(1), 1, queue.Op{Kind: queue.Acknowledge, ID: 2}, queue.Op{Kind: queue.Acknowledge, ID: 2}, queue.Op{Kind: queue.Acknowledge, ID: 77})
		sameInfo(f, r.Box, queue.Info{Last: 3, Messages: 3, Bytes: 3*64 + 8, Oldest: f.now()})
		want := f.message(2, "")
		want.State = queue.Acknowledged
		sameMessage(f, f.wants(down(1), 1, 2, 3)[1], *want)
	},
	"Fail/keeps the message, and delivers it no more": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, f.put(1, "one"), f.put(2, "two"))
		f.pass(time.Second)
		f.must(down(1), 1, f.put(3, "three"))
		r := f.must(down(1), 1, queue.Op{Kind: queue.Fail, ID: 2, N: 3}, queue.Op{Kind: queue.Fail, ID: 1, N: 1000}, queue.Op{Kind: queue.Fail, ID: 77})
		sameInfo(f, r.Box, queue.Info{Last: 3, Messages: 3, Failed: 2, Bytes: 3*64 + 11, Oldest: f.now()})
		f.wants(down(1), 3)
		all := f.entries(queue.Filter{})
		equal(f, "listed", len(all), 3)
		equal(f, "states and retries", []any{all[0].Message.State, all[0].Message.Retries, all[1].Message.State, all[1].Message.Retries}, []any{queue.Failed, 255, queue.Failed, 3})
		equal(f, "payload", string(all[1].Message.Payload), "two")
	},
	"Fail/removes what was received": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, f.put(1, "one"), f.put(2, "two"))
		r := f.must(down(1), 1, queue.Op{Kind: queue.Acknowledge, ID: 1}, queue.Op{Kind: queue.Fail, ID: 1, N: 3})
		sameInfo(f, r.Box, queue.Info{Last: 2, Messages: 1, Bytes: 67, Oldest: f.now()})
	},
	"Acknowledge/of a failed message": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, f.put(1, "one"), f.put(2, "two"))
		f.must(down(1), 1, queue.Op{Kind: queue.Fail, ID: 1, N: 3})
		r := f.must(down(1), 1, queue.Op{Kind: queue.Acknowledge, ID: 1})
		sameInfo(f, r.Box, queue.Info{Last: 2, Messages: 2, Bytes: 131, Oldest: f.now()})
		equal(f, "state", f.wants(down(1), 1, 2)[0].State, queue.Acknowledged)
	},
	"Requeue/puts a failed message anew": func(f *fixture) {
		f.open(queue.Bounds{Messages: 3})
		f.own(id(1), 1)
		f.must(down(1), 1, f.put(1, "one"), f.put(2, "two"), f.put(3, "three"))
		f.must(down(1), 1, queue.Op{Kind: queue.Fail, ID: 1, N: 3})
		r := f.must(down(1), 1, queue.Op{Kind: queue.Requeue, ID: 1, N: 10}, queue.Op{Kind: queue.Requeue, ID: 2, N: 11}, queue.Op{Kind: queue.Requeue, ID: 77, N: 12})
		sameInfo(f, r.Box, queue.Info{Last: 10, Messages: 3, Bytes: 3*64 + 11, Oldest: f.now()})
		want := f.message(10, "one")
		sameMessage(f, f.wants(down(1), 2, 3, 10)[2], *want)
		if r := f.do(down(1), 1, queue.Op{Kind: queue.Requeue, ID: 2, N: 10}); !errors.Is(r.Err, queue.ErrOrder) {
			f.Errorf("under an id that is not above the others: %v, want ErrOrder", r.Err)
		}
	},
	"Seen/keeps the highest": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, queue.Op{Kind: queue.Seen, N: 40}, queue.Op{Kind: queue.Seen, N: 30})
		r := f.must(down(1), 1, f.put(1, "x"), queue.Op{Kind: queue.Seen, N: 39})
		sameInfo(f, r.Box, queue.Info{Last: 1, Seen: 40, Messages: 1, Bytes: 65, Oldest: f.now()})
		_, info := f.own(id(1), 2)
		sameInfo(f, info, r.Box)
	},
	"order within a batch": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		r := f.must(up(1), 1, f.put(1, "one"), queue.Op{Kind: queue.Remove, ID: 1}, f.put(2, "two"), queue.Op{Kind: queue.RemoveThrough, ID: 9}, f.put(3, "three"),
			queue.Op{Kind: queue.Acknowledge, ID: 3}, f.put(4, "four"), queue.Op{Kind: queue.Fail, ID: 4, N: 1}, queue.Op{Kind: queue.Requeue, ID: 4, N: 5})
		equal(f, "Stored", r.Stored, 4)
		sameInfo(f, r.Box, queue.Info{Last: 5, Messages: 2, Bytes: 128 + 4, Oldest: f.now()})
		equal(f, "state", f.wants(up(1), 3, 5)[0].State, queue.Acknowledged)
	},
	"an empty batch, and one that nobody asks about": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.Do(&queue.Batch{Box: up(1), Fence: 1, Ops: f.puts(1)})
		sameInfo(f, f.must(up(1), 1).Box, queue.Info{Last: 1, Messages: 1, Bytes: 65, Oldest: f.now()})
	},
}
