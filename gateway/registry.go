package gateway

import (
	"cmp"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync"
)

// registry lists connections in the order of their ids, for listings that take as long as they take and hold up nobody: no lock is held for longer than it takes to
// copy a few pointers, or to close a gap in one shard.
type registry struct{ shards [32]shard }

type shard struct {
	mu    sync.Mutex
	conns []Conn // ascending
}

func byID(c Conn, id ConnID) int { return cmp.Compare(c.ID(), id) }

func (r *registry) shard(id ConnID) *shard { return &r.shards[id%ConnID(len(r.shards))] }

func (r *registry) add(c Conn) {
	id := c.ID()
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	// At the end, but for one that was given its id just before another and comes just after.
	if at, found := slices.BinarySearchFunc(s.conns, id, byID); !found {
		s.conns = slices.Insert(s.conns, at, c)
	}
}

func (r *registry) remove(id ConnID) {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := slices.BinarySearchFunc(s.conns, id, byID)
	if !found {
		return
	}
	s.conns = slices.Delete(s.conns, at, at+1)
	if len(s.conns) < cap(s.conns)/4 { // a fleet that has gone leaves nothing behind
		s.conns = slices.Clip(slices.Clone(s.conns))
	}
}

func (r *registry) get(id ConnID) Conn {
	s := r.shard(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, found := slices.BinarySearchFunc(s.conns, id, byID); found {
		return s.conns[at]
	}
	return nil
}

// batch is how many connections a walk takes from a shard at once.
const batch = 32

// after appends the next connections of a shard. more: there are others behind them.
func (s *shard) after(id ConnID, of *Live, to []entry) (_ []entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := slices.BinarySearchFunc(s.conns, id, byID)
	if found {
		at++
	}
	next := s.conns[at:]
	more = len(next) > batch
	for _, c := range next[:min(batch, len(next))] {
		to = append(to, entry{c.ID(), of, c})
	}
	return to, more
}

// entry is a connection with its handler.
type entry struct {
	id   ConnID
	live *Live
	conn Conn
}

// walk yields the connections of the handlers with ids after the given one, in order. What comes or goes meanwhile may be yielded or not; every other is, once.
func walk(of []*Live, after ConnID) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		var all []entry
		for {
			all = all[:0]
			horizon := ConnID(math.MaxUint64) // up to here, all has all that there is
			for _, l := range of {
				for i := range l.conns.shards {
					var more bool
					if all, more = l.conns.shards[i].after(after, l, all); more {
						horizon = min(horizon, all[len(all)-1].id)
					}
				}
			}
			slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.id, b.id) })
			for _, e := range all {
				if e.id <= horizon && !yield(e) {
					return
				}
			}
			if horizon == math.MaxUint64 {
				return
			}
			after = horizon
			runtime.Gosched() // the traffic first
		}
	}
}
