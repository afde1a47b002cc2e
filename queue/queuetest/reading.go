package queuetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var reading = map[string]func(*fixture){
	"Read/in pieces": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		for i := range uint64(50) {
			f.must(up(1), 1, f.put(2*i+1, strings.Repeat("x", 100)))
		}
		tests := []struct {
			name          string
			after         uint64
			max, maxBytes int
			first         uint64
			least, most   int
		}{
			{"from the first on", 0, 10, 1 << 20, 1, 10, 10},
			{"after one", 1, 10, 1 << 20, 3, 10, 10},
			{"after one that is not there", 2, 10, 1 << 20, 3, 10, 10},
			{"to the end", 95, 10, 1 << 20, 97, 2, 2},
			{"after the last", 99, 10, 1 << 20, 0, 0, 0},
			{"after all that may be", 1 << 63, 10, 1 << 20, 0, 0, 0},
			{"at least one, however large", 0, 10, 1, 1, 1, 2},
			{"by bytes", 0, 50, 1000, 1, 6, 12},
		}
		for _, tt := range tests {
			all, err := f.Read(context.Background(), up(1), tt.after, tt.max, tt.maxBytes)
			if err != nil || len(all) < tt.least || len(all) > tt.most {
				f.Errorf("%s: %d messages, %v; want %d to %d", tt.name, len(all), err, tt.least, tt.most)
			} else if len(all) > 0 && all[0].ID != tt.first {
				f.Errorf("%s: the first is %d, want %d", tt.name, all[0].ID, tt.first)
			}
			if !slices.IsSortedFunc(all, func(a, b queue.Message) int { return cmp.Compare(a.ID, b.ID) }) {
				f.Errorf("%s: not in order: %v", tt.name, all)
			}
		}
	},
	"expiry": func(f *fixture) {
		f.open(queue.Bounds{Messages: 4})
		f.own(id(1), 1)
		old, forever, failed := f.message(1, "old"), f.message(2, "forever"), f.message(3, "failed")
		old.Expires, forever.Expires, failed.Expires = f.now().Add(time.Minute), time.Time{}, f.now().Add(time.Minute)
		f.must(up(1), 1, queue.Op{Kind: queue.Put, Message: old}, queue.Op{Kind: queue.Put, Message: forever}, queue.Op{Kind: queue.Put, Message: failed}, f.put(4, "later"))
		f.must(up(1), 1, queue.Op{Kind: queue.Fail, ID: 3, N: 1})
		f.pass(time.Minute - time.Millisecond)
		f.wants(up(1), 1, 2, 4)
		f.pass(time.Millisecond)
		f.wants(up(1), 2, 4)
		equal(f, "listed", len(f.entries(queue.Filter{})), 2)
		info, _ := f.own(id(1), 2)
		sameInfo(f, info, queue.Info{Last: 4, Messages: 2, Bytes: 128 + 12, Oldest: epoch})
		// There is room again.
		equal(f, "Stored", f.must(up(1), 2, f.puts(5, 6, 7)...).Stored, 2)
		f.pass(100_000 * time.Hour)
		f.wants(up(1), 2)
	},
	"expiry/does not forget ids": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, append(f.puts(1, 2), queue.Op{Kind: queue.Seen, N: 8})...)
		f.pass(2 * time.Hour)
		info, _ := f.own(id(1), 2)
		sameInfo(f, info, queue.Info{Last: 2, Seen: 8})
	},
	"Backlog": func(f *fixture) {
		f.open(queue.Bounds{})
		for n := range byte(6) {
			f.own(id(n), 1)
		}
		f.must(up(1), 1, f.puts(1, 2)...)
		f.must(down(2), 1, f.puts(1)...)
		f.must(up(3), 1, append(f.puts(7), queue.Op{Kind: queue.Fail, ID: 7})...) // nothing to deliver
		f.must(up(4), 1, append(f.puts(1), queue.Op{Kind: queue.Remove, ID: 1})...)
		f.must(up(5), 1, append(f.puts(1, 2, 3), queue.Op{Kind: queue.Fail, ID: 1})...)
		got := make(map[queue.SessionID]queue.Info)
		err := f.Backlog(context.Background(), queue.Up, func(s queue.SessionID, i queue.Info) bool {
			got[s] = i
			return true
		})
		if err != nil || len(got) != 2 {
			f.Fatalf("Backlog: %v, %v", got, err)
		}
		sameInfo(f, got[id(1)], queue.Info{Last: 2, Messages: 2, Bytes: 130, Oldest: f.now()})
		sameInfo(f, got[id(5)], queue.Info{Last: 3, Messages: 3, Failed: 1, Bytes: 195, Oldest: f.now()})
		calls := 0
		_ = f.Backlog(context.Background(), queue.Up, func(queue.SessionID, queue.Info) bool { calls++; return false })
		equal(f, "calls after false", calls, 1)
		f.pass(2 * time.Hour)
		_ = f.Backlog(context.Background(), queue.Up, func(s queue.SessionID, i queue.Info) bool {
			f.Errorf("session %x with messages that have expired: %+v", s, i)
			return true
		})
	},
	"Backlog/may use the store": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.must(up(1), 1, f.puts(1, 2)...)
		err := f.Backlog(context.Background(), queue.Up, func(s queue.SessionID, _ queue.Info) bool {
			f.own(s, 2)
			f.must(queue.Box{Session: s}, 2, queue.Op{Kind: queue.RemoveThrough, ID: 1})
			return true
		})
		if err != nil {
			f.Fatal(err)
		}
		f.wants(up(1), 2)
	},
	"List/filters": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.own(id(2), 1)
		f.must(up(1), 1, f.puts(1, 2)...)
		f.must(down(1), 1, append(f.puts(1, 2, 3), queue.Op{Kind: queue.Fail, ID: 2}, queue.Op{Kind: queue.Acknowledge, ID: 3})...)
		f.must(up(2), 1, f.puts(1)...)
		one, downwards, queued, failed := id(1), queue.Down, queue.Queued, queue.Failed
		tests := []struct {
			name   string
			filter queue.Filter
			want   int
		}{
			{"all", queue.Filter{}, 6},
			{"of a session", queue.Filter{Session: &one}, 5},
			{"of a direction", queue.Filter{Direction: &downwards}, 3},
			{"of a box", queue.Filter{Session: &one, Direction: &downwards}, 3},
			{"queued", queue.Filter{State: &queued}, 4},
			{"failed", queue.Filter{State: &failed}, 1},
			{"limited", queue.Filter{Limit: 4}, 4},
		}
		for _, tt := range tests {
			all := f.entries(tt.filter)
			if len(all) != tt.want {
				f.Errorf("%s: %d messages, want %d", tt.name, len(all), tt.want)
			}
			last := make(map[queue.Box]uint64)
			for _, e := range all {
				if e.Message.ID <= last[e.Box] {
					f.Errorf("%s: message %d of box %v comes after %d", tt.name, e.Message.ID, e.Box, last[e.Box])
				}
				last[e.Box] = e.Message.ID
			}
		}
	},
	"List/page by page": func(f *fixture) {
		f.open(queue.Bounds{})
		for n := range byte(9) {
			f.own(id(n), 1)
			f.must(up(n), 1, f.puts(1, 2, 3, 4)...)
			f.must(down(n), 1, append(f.puts(1, 2, 3), queue.Op{Kind: queue.Fail, ID: 2})...)
		}
		queued, downwards := queue.Queued, queue.Down
		for _, filter := range []queue.Filter{{}, {State: &queued}, {Direction: &downwards}, {Direction: &downwards, State: &queued}} {
			filter.Limit = 1000
			want := f.entries(filter)
			var got []queue.Entry
			for filter.Limit = 5; ; {
				page := f.entries(filter)
				got = append(got, page...)
				if len(page) < filter.Limit {
					break
				}
				last := page[len(page)-1]
				filter.After = &queue.Place{Box: last.Box, ID: last.Message.ID}
			}
			equal(f, "messages, page by page", places(got), places(want))
			if !slices.IsSortedFunc(places(want), queue.Place.Compare) {
				f.Errorf("not in order: %v", places(want))
			}
		}
		// What the last page has ended with is no more, and its place is.
		after := queue.Place{Box: down(3), ID: 1}
		f.must(down(3), 1, queue.Op{Kind: queue.Remove, ID: 1}, queue.Op{Kind: queue.Remove, ID: 2})
		equal(f, "behind what is gone", places(f.entries(queue.Filter{After: &after, Limit: 2})), []queue.Place{{Box: down(3), ID: 3}, {Box: up(4), ID: 1}})
	},
	"Stat": func(f *fixture) {
		f.open(queue.Bounds{})
		if st := f.Stat(); st.Messages != 0 || st.Bytes != 0 || !st.Oldest.IsZero() || st.Err != nil {
			f.Errorf("of an empty store: %+v", st)
		}
		f.own(id(1), 1)
		f.own(id(2), 1)
		f.must(up(1), 1, f.put(1, "one"), f.put(2, "two"))
		f.must(down(2), 1, f.put(1, "x"))
		st := f.Stat()
		equal(f, "messages and bytes", []any{st.Messages, st.Bytes}, []any{3, 199})
		if st.Commits == 0 || st.Batches < 2 || st.Failed != 0 || st.Err != nil {
			f.Errorf("%+v", st)
		}
		if age := f.now().Sub(st.Oldest); age < -time.Minute || age > time.Minute {
			f.Errorf("oldest %v, at %v", st.Oldest, f.now())
		}
	},
}

func places(entries []queue.Entry) (all []queue.Place) {
	for _, e := range entries {
		all = append(all, queue.Place{Box: e.Box, ID: e.Message.ID})
	}
	return all
}
