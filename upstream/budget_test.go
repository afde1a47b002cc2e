package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	for _, tt := range []struct {
		name     string
		settings RetryBudget
		earned   int // in the first second
		want     int // spent at most, in the second after it
		later    int // and ten seconds later
	}{
		{"the least there is", RetryBudget{}, 0, 100, 100},
		{"a share of what goes well", RetryBudget{}, 1000, 300, 100},
		{"a share alone", RetryBudget{Percent: 10, MinPerSecond: -1}, 1000, 100, 0},
		{"no share", RetryBudget{Percent: -1, MinPerSecond: 2}, 1000, 20, 20},
		{"off", RetryBudget{Off: true}, 0, 5000, 5000},
	} {
		b := &budget{settings: tt.settings.withDefaults()}
		spends := func(at time.Duration) (n int) {
			for n < 5000 && b.spend(at) {
				n++
			}
			return n
		}
		for range tt.earned {
			b.earn(3600 * time.Second)
		}
		if got := spends(3601 * time.Second); got != tt.want {
			t.Errorf("%s: %d spent, not %d", tt.name, got, tt.want)
		}
		if got := spends(3612 * time.Second); got != tt.later {
			t.Errorf("%s: %d spent later, not %d", tt.name, got, tt.later)
		}
	}
}

// A backend that hangs up on each client as soon as it says something is not worn down by them: they are given other links at the budget's pace.
func TestClientsOfABadBackendArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 300
		n := newNetwork("a:1")
		g := n.group(t, Config{MinLinks: -1, RetryBudget: RetryBudget{Percent: -1, MinPerSecond: 1}, Reconnect: Reconnect{Jitter: -1, Attempts: -1}})
		var all []*peer
		for range clients {
			all = append(all, lease(t, g))
		}
		synctest.Wait()
		if got := n["a:1"].visited(); got != clients {
			t.Fatalf("%d links for %d clients", got, clients)
		}
		for i := range clients { // young links die
			n["a:1"].visit(i).nc.Close()
		}
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if again := n["a:1"].visited() - clients; again != 10 {
			t.Errorf("%d were given another link in the first seconds, not 10", again)
		}
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		if w := g.Stat().Waiting + len(g.resting); w != 0 {
			t.Errorf("%d clients still wait", w)
		}
		for _, p := range all {
			p.expect()
		}
	})
}
