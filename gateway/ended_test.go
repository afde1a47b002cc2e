package gateway

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

func newLedger() *ledger {
	return &ledger{alive: make(map[*Group]struct{}), ended: make(map[endedKey]*upstream.BackendStat), waits: make(map[groupKey]upstream.Times)}
}

// countsOf is what a group of one backend has counted.
func countsOf(backend string, n uint64) upstream.Stat {
	s := upstream.Stat{Backends: []upstream.BackendStat{{
		Backend: backend, State: "connected", Links: 3, Dials: 10 * n, DialErrors: n, Dialing: 1, Lost: 2 * n, Ended: map[string]uint64{"lost": n},
		HeartbeatsAnswered: n,
	}}}
	s.Waits.Counts[0], s.Backends[0].Requests.Counts[0], s.Backends[0].Requests.Sum = n, n, time.Duration(n)
	return s
}

// TestEndedTotals: what a group has counted is in what the next one of its name tells of the same backend, and in nothing else.
func TestEndedTotals(t *testing.T) {
	l := newLedger()
	group := func(name, settings string, backends ...string) *Group {
		g := AcquireGroup(t.Name(), name, settings, upstream.Config{Backends: backends, MinLinks: -1})
		t.Cleanup(func() { ReleaseGroup(g) })
		if _, err := g.Upstream(); err != nil {
			t.Fatal(err)
		}
		l.begin(g)
		return g
	}
	before := group("a", "before", "10.0.0.1:1")
	for range 2 { // twice of the same
		l.end(before, countsOf("10.0.0.1:1", 3))
	}
	if all := l.snapshot(); len(all) != 0 {
		t.Errorf("no group is there, and it tells %v", all)
	}
	group("a", "after", "10.0.0.2:1", "10.0.0.1:1")
	group("b", "after", "10.0.0.1:1")
	all := l.snapshot()
	a := all[groupKey{handler: t.Name(), name: "a"}]
	if len(a.Backends) != 2 || a.Backends[0].Dials != 0 || a.Waits.Counts[0] != 6 {
		t.Fatalf("group a tells %+v", a)
	}
	got := a.Backends[1]
	if got.Dials != 2*(30-1) || got.DialErrors != 6 || got.Lost != 12 || got.Ended["lost"] != 6 || got.HeartbeatsAnswered != 6 || got.Requests.Counts[0] != 6 || got.Requests.Sum != 6 {
		t.Errorf("of what was counted, it tells %+v", got)
	}
	if got.Links != 0 || got.State == "connected" {
		t.Errorf("it tells what was, as if it were now: %+v", got)
	}
	if b := all[groupKey{handler: t.Name(), name: "b"}]; len(b.Backends) != 1 || b.Backends[0].Dials != 0 || b.Waits.Counts[0] != 0 {
		t.Errorf("another group tells %+v", b)
	}
}

// TestEndedIsBounded: the oldest are forgotten.
func TestEndedIsBounded(t *testing.T) {
	l := newLedger()
	for i := range maxEnded + 10 {
		g := &Group{key: groupKey{handler: "h", name: fmt.Sprint(i / 2)}}
		l.end(g, countsOf(fmt.Sprint(i), 1))
	}
	if len(l.ended) != maxEnded || len(l.order) != maxEnded || len(l.waits) != maxEnded/2 {
		t.Errorf("%d backends of %d names are remembered, %d in order", len(l.ended), len(l.waits), len(l.order))
	}
	if l.ended[endedKey{groupKey{handler: "h", name: "5"}, "10"}] == nil || l.ended[endedKey{groupKey{handler: "h", name: "4"}, "9"}] != nil {
		t.Error("others than the oldest are forgotten")
	}
}
