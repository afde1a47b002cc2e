package gateway

import (
	"maps"
	"slices"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// totals keep what was counted of backends over reloads: where a group ends, and another of its name has the same backend, then or later, that goes on where the
// first has ended.
var totals = ledger{alive: make(map[*Group]struct{}), ended: make(map[endedKey]*upstream.BackendStat), waits: make(map[groupKey]upstream.Times)}

// ledger has the groups that run, and the counts of those that have ended.
type ledger struct {
	mu    sync.Mutex // guards all below; taken after a Group's
	alive map[*Group]struct{}
	ended map[endedKey]*upstream.BackendStat
	order []endedKey                  // the same, the one that was new first
	waits map[groupKey]upstream.Times // of names that are in ended
}

type endedKey struct {
	of      groupKey // without settings
	backend string
}

// maxEnded is how many backends of ended groups are remembered. Beyond that the oldest is forgotten: its counts begin anew if it is ever back.
const maxEnded = 4096

// name is the key of all groups of the same name.
func (k groupKey) byName() groupKey { return groupKey{handler: k.handler, name: k.name} }

// begin adds a group that has started.
func (l *ledger) begin(g *Group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alive[g] = struct{}{}
}

// end takes a group away that is closed, and keeps its counts.
func (l *ledger) end(g *Group, last upstream.Stat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.alive, g)
	of := g.key.byName()
	waits := l.waits[of]
	waits.Add(last.Waits)
	l.waits[of] = waits
	for _, b := range last.Backends {
		key := endedKey{of, b.Backend}
		kept := l.ended[key]
		if kept == nil {
			kept = &upstream.BackendStat{Ended: make(map[string]uint64)}
			l.ended[key] = kept
			l.order = append(l.order, key)
		}
		b.Dials -= uint64(b.Dialing) // of which nothing is known any more
		addTotals(kept, &b)
	}
	for len(l.order) > maxEnded {
		l.forget(l.order[0])
		l.order = slices.Delete(l.order, 0, 1)
	}
}

// forget drops the counts of a backend, and those of its group's name with the last. mu is held.
func (l *ledger) forget(key endedKey) {
	delete(l.ended, key)
	for other := range l.ended {
		if other.of == key.of {
			return
		}
	}
	delete(l.waits, key.of)
}

// snapshot returns what the groups look like, by handler and name. After a reload with other backends an old and a new group of one name are there at the same
// time: they are added up, and with them the counts of those that have ended.
func (l *ledger) snapshot() map[groupKey]upstream.Stat {
	l.mu.Lock()
	alive := slices.Collect(maps.Keys(l.alive))
	ended := make(map[endedKey]upstream.BackendStat)
	waits := make(map[groupKey]upstream.Times)
	for _, g := range alive {
		of := g.key.byName()
		waits[of] = l.waits[of]
		for _, backend := range slices.Concat(g.cfg.Backends, g.cfg.Backups) {
			if kept := l.ended[endedKey{of, backend}]; kept != nil {
				b := *kept
				b.Ended = maps.Clone(kept.Ended)
				ended[endedKey{of, backend}] = b
			}
		}
	}
	l.mu.Unlock()
	all := make(map[groupKey]upstream.Stat)
	for _, g := range alive { // a group that ends meanwhile still tells its last counts, and is not among the ended
		if s, ok := g.stat(); ok {
			of := g.key.byName()
			all[of] = add(all[of], s)
		}
	}
	for of, s := range all {
		s.Waits.Add(waits[of])
		for i := range s.Backends {
			if b, ok := ended[endedKey{of, s.Backends[i].Backend}]; ok {
				addTotals(&s.Backends[i], &b)
			}
		}
		all[of] = s
	}
	return all
}

// addTotals adds what only grows.
func addTotals(to, b *upstream.BackendStat) {
	to.Dials, to.DialErrors, to.Lost = to.Dials+b.Dials, to.DialErrors+b.DialErrors, to.Lost+b.Lost
	if to.Ended == nil {
		to.Ended = make(map[string]uint64)
	}
	for reason, n := range b.Ended {
		to.Ended[reason] += n
	}
	to.Unsolicited += b.Unsolicited
	to.Handshakes, to.HandshakeErrors = to.Handshakes+b.Handshakes, to.HandshakeErrors+b.HandshakeErrors
	to.Requests.Add(b.Requests)
	to.RTT.Add(b.RTT)
	to.HeartbeatsAnswered, to.HeartbeatsMissed = to.HeartbeatsAnswered+b.HeartbeatsAnswered, to.HeartbeatsMissed+b.HeartbeatsMissed
}
