package gateway

import (
	"cmp"
	"slices"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/delivery"
)

// services are the sessions that are kept, of all handlers: what the admin API and the metrics show. What was counted goes on where a service ends and another of the
// handler's takes its place, as a reload with other stores does.
var services = serviceLedger{ended: make(map[string]delivery.Stat)}

// serviceLedger has the services that run, and the counts of those that have ended.
type serviceLedger struct {
	mu    sync.Mutex // guards all below
	alive []service
	ended map[string]delivery.Stat // by handler
}

// service is what has the sessions of one handler, in one place.
type service struct {
	handler string
	*delivery.Service
}

// begin adds a service that has started.
func (l *serviceLedger) begin(handler string, v *delivery.Service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive = append(l.alive, service{handler, v})
	slices.SortStableFunc(l.alive, func(a, b service) int { return cmp.Compare(a.handler, b.handler) })
}

// end takes a service away that is closed, and keeps its counts. Its stores must still be open.
func (l *serviceLedger) end(handler string, v *delivery.Service) {
	last := v.Stat()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive = slices.DeleteFunc(l.alive, func(s service) bool { return s.Service == v })
	kept := l.ended[handler]
	addCounts(&kept, &last)
	l.ended[handler] = kept
}

// of returns the services of a handler; "": of all, by handler.
func (l *serviceLedger) of(handler string) []service {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.alive), func(s service) bool { return handler != "" && s.handler != handler })
}

// handlers are the names of those that keep sessions.
func (l *serviceLedger) handlers() (names []string) {
	for _, s := range l.of("") {
		names = append(names, s.handler)
	}
	return slices.Compact(names)
}

// snapshot returns what the services look like, added up by handler: those that run, and the counts of those that have ended.
func (l *serviceLedger) snapshot() map[string]delivery.Stat {
	l.mu.Lock()
	all := make(map[string]delivery.Stat)
	for handler, kept := range l.ended {
		var s delivery.Stat
		addCounts(&s, &kept) // a copy: its maps are not the ledger's
		all[handler] = s
	}
	alive := slices.Clone(l.alive)
	l.mu.Unlock()
	for _, v := range alive { // one that ends meanwhile still tells its last counts, and is not among the ended
		sum, s := all[v.handler], v.Stat()
		addCounts(&sum, &s)
		addNow(&sum, &s)
		all[v.handler] = sum
	}
	return all
}

// addCounts adds what only grows.
func addCounts(to, s *delivery.Stat) {
	to.Takeovers, to.Fenced, to.Refused, to.Dropped, to.Lost = to.Takeovers+s.Takeovers, to.Fenced+s.Fenced, to.Refused+s.Refused, to.Dropped+s.Dropped, to.Lost+s.Lost
	for d := range to.Taken {
		to.Taken[d], to.Delivered[d] = to.Taken[d]+s.Taken[d], to.Delivered[d]+s.Delivered[d]
		to.Redelivered[d], to.Failed[d] = to.Redelivered[d]+s.Redelivered[d], to.Failed[d]+s.Failed[d]
	}
	for _, m := range []struct {
		to   *map[string]uint64
		from map[string]uint64
	}{{&to.Hellos, s.Hellos}, {&to.Violations, s.Violations}, {&to.StoreErrors, s.StoreErrors}} {
		if *m.to == nil {
			*m.to = make(map[string]uint64)
		}
		for name, n := range m.from {
			(*m.to)[name] += n
		}
	}
	q, from := &to.Queue, &s.Queue
	q.Commits, q.Batches, q.Waited = q.Commits+from.Commits, q.Batches+from.Batches, q.Waited+from.Waited
	q.Refused, q.Dropped, q.Expired, q.Failed = q.Refused+from.Refused, q.Dropped+from.Dropped, q.Expired+from.Expired, q.Failed+from.Failed
}

// addNow adds what there is.
func addNow(to, s *delivery.Stat) {
	to.Attached, to.Parked, to.Orphans = to.Attached+s.Attached, to.Parked+s.Parked, to.Orphans+s.Orphans
	q, from := &to.Queue, &s.Queue
	q.Messages, q.Bytes = q.Messages+from.Messages, q.Bytes+from.Bytes
	if !from.Oldest.IsZero() && (q.Oldest.IsZero() || from.Oldest.Before(q.Oldest)) {
		q.Oldest = from.Oldest
	}
	if to.StoreDown == nil {
		to.StoreDown = make(map[string]bool)
	}
	for name, down := range s.StoreDown {
		to.StoreDown[name] = to.StoreDown[name] || down
	}
}
