package delivery

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// counts are what a service counts since it began. Those by direction have two places.
type counts struct {
	takeovers, fenced, refused, dropped, lost atomic.Uint64
	taken, delivered, redelivered, failed     [2]atomic.Uint64

	mu         sync.Mutex
	hellos     map[string]uint64
	violations map[string]uint64
}

func (c *counts) hello(outcome string) { c.tally(&c.hellos, outcome) }

func (c *counts) violated(reason string) { c.tally(&c.violations, reason) }

func (c *counts) tally(m *map[string]uint64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *m == nil {
		*m = make(map[string]uint64)
	}
	(*m)[key]++
}

// The stores, by number and by name.
const (
	sessionStore = iota
	queueStore
	stores
)

var storeNames = [stores]string{"sessions", "queue"}

// health is what is known of a store.
type health struct {
	down   atomic.Bool
	errors atomic.Uint64
}

// heard notes what a store has answered, and tells when it begins to fail, or works again.
func (v *Service) heard(store int, err error) {
	h := &v.health[store]
	if err == nil || known(err) || errors.Is(err, queue.ErrFenced) || errors.Is(err, queue.ErrOrder) {
		if h.down.Load() && h.down.CompareAndSwap(true, false) {
			v.cfg.Logger.Info("a store works again", "store", storeNames[store])
			v.tell(Event{Kind: StoreUp, Store: storeNames[store]})
		}
		return
	}
	if v.ctx.Err() != nil {
		return // it was we who went
	}
	h.errors.Add(1)
	if h.down.CompareAndSwap(false, true) {
		v.cfg.Logger.Error("a store does not work", "store", storeNames[store], "error", err)
		v.tell(Event{Kind: StoreDown, Store: storeNames[store], Err: err})
	}
}

// maxUntold is how many events may wait to be told.
const maxUntold = 1024

// tell has an event told.
func (v *Service) tell(e Event) {
	if v.cfg.Notify != nil {
		v.teller.offer(maxUntold, func() { v.cfg.Notify(e) })
	}
}

// Stat returns a snapshot.
func (v *Service) Stat() Stat {
	c := &v.count
	st := Stat{
		Takeovers: c.takeovers.Load(), Fenced: c.fenced.Load(), Refused: c.refused.Load(), Dropped: c.dropped.Load(), Lost: c.lost.Load(),
		StoreErrors: make(map[string]uint64), StoreDown: make(map[string]bool), Queue: v.cfg.Queue.Stat(),
	}
	for d := range 2 {
		st.Taken[d], st.Delivered[d] = c.taken[d].Load(), c.delivered[d].Load()
		st.Redelivered[d], st.Failed[d] = c.redelivered[d].Load(), c.failed[d].Load()
	}
	for i, name := range storeNames {
		st.StoreErrors[name] = v.health[i].errors.Load()
		st.StoreDown[name] = v.health[i].down.Load()
	}
	c.mu.Lock()
	st.Hellos, st.Violations = maps.Clone(c.hellos), maps.Clone(c.violations)
	c.mu.Unlock()
	for _, s := range v.all() {
		switch s.state() {
		case Attached:
			st.Attached++
		case Parked:
			st.Parked++
		case Orphan:
			st.Orphans++
		}
	}
	return st
}

func (s *Session) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stands()
}

// stands says where the session is. s.mu is held.
func (s *Session) stands() State {
	switch {
	case s.gone:
		return Away
	case s.cl != nil:
		return Attached
	case s.parkAt != 0:
		return Parked
	}
	return Orphan
}
