package queuetest

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

var owners = map[string]func(*fixture){
	"fence/a later owner shuts the earlier one out": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 4)
		f.must(up(1), 4, f.puts(1, 2)...)
		info, _ := f.own(id(1), 5)
		sameInfo(f, info, queue.Info{Last: 2, Messages: 2, Bytes: 130, Oldest: f.now()})
		for _, ops := range [][]queue.Op{f.puts(3), {{Kind: queue.Remove, ID: 1}}, {{Kind: queue.RemoveThrough, ID: 2}}, {{Kind: queue.Seen, N: 9}}} {
			for _, b := range []queue.Box{up(1), down(1)} {
				if r := f.do(b, 4, ops...); !errors.Is(r.Err, queue.ErrFenced) {
					f.Errorf("%+v of the earlier owner: %v, want ErrFenced", ops[0], r.Err)
				}
			}
		}
		if _, _, err := f.Open(context.Background(), id(1), 4); !errors.Is(err, queue.ErrFenced) {
			f.Errorf("Open by the earlier owner: %v, want ErrFenced", err)
		}
		if err := f.Forget(context.Background(), id(1), 4); !errors.Is(err, queue.ErrFenced) {
			f.Errorf("Forget by the earlier owner: %v, want ErrFenced", err)
		}
		f.must(up(1), 5, f.puts(3)...)
		f.wants(up(1), 1, 2, 3)
	},
	"fence/the same owner again": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 4)
		f.must(down(1), 4, f.puts(1)...)
		_, info := f.own(id(1), 4)
		equal(f, "Last", info.Last, 1)
		f.must(down(1), 4, f.puts(2)...)
	},
	"fence/a box that nobody opened": func(f *fixture) {
		f.open(queue.Bounds{})
		if r := f.do(up(1), 1, f.puts(1)...); !errors.Is(r.Err, queue.ErrFenced) {
			f.Errorf("%v, want ErrFenced", r.Err)
		}
		f.own(id(1), 3)
		if r := f.do(up(1), 4, f.puts(1)...); !errors.Is(r.Err, queue.ErrFenced) {
			f.Errorf("a fence that nobody was given: %v, want ErrFenced", r.Err)
		}
	},
	"Forget/removes all": func(f *fixture) {
		f.open(queue.Bounds{})
		f.own(id(1), 1)
		f.own(id(2), 1)
		f.must(up(1), 1, f.puts(1, 2)...)
		f.must(down(1), 1, append(f.puts(1), queue.Op{Kind: queue.Seen, N: 5}, queue.Op{Kind: queue.Fail, ID: 1})...)
		f.must(up(2), 1, f.puts(1)...)
		if err := f.Forget(context.Background(), id(1), 1); err != nil {
			f.Fatal(err)
		}
		f.wants(up(1))
		f.wants(down(1))
		f.wants(up(2), 1)
		equal(f, "listed", len(f.entries(queue.Filter{})), 1)
		st := f.Stat()
		equal(f, "messages and bytes", []any{st.Messages, st.Bytes}, []any{1, 65})
		if r := f.do(up(1), 1, f.puts(3)...); !errors.Is(r.Err, queue.ErrFenced) {
			f.Errorf("a batch after Forget: %v, want ErrFenced", r.Err)
		}
		in, out := f.own(id(1), 2)
		sameInfo(f, in, queue.Info{})
		sameInfo(f, out, queue.Info{})
		f.must(up(1), 2, f.puts(1)...)
	},
	"Known/until it is forgotten": func(f *fixture) {
		f.open(queue.Bounds{})
		k, ok := f.Store.(queue.Knower)
		if !ok {
			f.Skip("the store forgets by itself")
		}
		known := func() map[queue.SessionID][2]queue.Info {
			all := make(map[queue.SessionID][2]queue.Info)
			if err := k.Known(func(s queue.SessionID, up, down queue.Info) bool { all[s] = [2]queue.Info{up, down}; return true }); err != nil {
				f.Fatal(err)
			}
			return all
		}
		f.own(id(1), 1)
		f.own(id(2), 1)
		f.must(down(2), 1, f.puts(1, 2)...)
		all := known()
		equal(f, "sessions", len(all), 2)
		sameInfo(f, all[id(1)][0], queue.Info{})
		sameInfo(f, all[id(2)][1], queue.Info{Last: 2, Messages: 2, Bytes: 130, Oldest: f.now()})
		f.pass(2 * time.Hour)
		sameInfo(f, known()[id(2)][1], queue.Info{Last: 2})
		err := k.Known(func(s queue.SessionID, _, _ queue.Info) bool {
			if err := f.Forget(context.Background(), s, 1); err != nil {
				f.Error(err)
			}
			return true
		})
		if err != nil {
			f.Fatal(err)
		}
		equal(f, "sessions", len(known()), 0)
	},
	"Forget/what was never there": func(f *fixture) {
		f.open(queue.Bounds{})
		if err := f.Forget(context.Background(), id(1), 1); err != nil {
			f.Errorf("Forget: %v", err)
		}
	},
}

// sharing is what two gateways ask of one place.
var sharing = map[string]func(*fixture){
	"shared/fence": func(f *fixture) {
		f.open(queue.Bounds{})
		other := f.another(queue.Bounds{})
		f.own(id(1), 1)
		f.must(down(1), 1, f.puts(1, 2, 3)...)
		_, info, err := other.Open(context.Background(), id(1), 2)
		if err != nil {
			f.Fatal(err)
		}
		sameInfo(f, info, queue.Info{Last: 3, Messages: 3, Bytes: 195, Oldest: f.now()})
		for _, ops := range [][]queue.Op{f.puts(4), {{Kind: queue.Remove, ID: 1}}, {{Kind: queue.RemoveThrough, ID: 3}}, {{Kind: queue.Fail, ID: 1}}} {
			if r := f.do(down(1), 1, ops...); !errors.Is(r.Err, queue.ErrFenced) {
				f.Errorf("%+v of the owner before: %v, want ErrFenced", ops[0], r.Err)
			}
		}
		if r := do(f.T, other, down(1), 2, f.puts(4)...); r.Err != nil {
			f.Error(r.Err)
		}
		f.wants(down(1), 1, 2, 3, 4)
		if err := f.Forget(context.Background(), id(1), 1); !errors.Is(err, queue.ErrFenced) {
			f.Errorf("Forget by the owner before: %v, want ErrFenced", err)
		}
		if err := other.Forget(context.Background(), id(1), 2); err != nil {
			f.Error(err)
		}
		// A paused owner, from even before, must not find the place free.
		if _, _, err := f.Open(context.Background(), id(1), 1); !errors.Is(err, queue.ErrFenced) {
			f.Errorf("Open after the later owner's Forget: %v, want ErrFenced", err)
		}
		if r := f.do(down(1), 1, f.puts(5)...); !errors.Is(r.Err, queue.ErrFenced) {
			f.Errorf("a batch after the later owner's Forget: %v, want ErrFenced", r.Err)
		}
	},
}
