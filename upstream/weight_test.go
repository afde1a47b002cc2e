package upstream

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// Each policy that goes by weights gives each backend its part, of clients and of requests.
func TestWeights(t *testing.T) {
	for _, tt := range []struct {
		policy Policy
		within int // of 200 on each
	}{{RoundRobin, 0}, {LeastConn, 1}, {Random, 20}, {ClientHash, 30}} {
		t.Run(string(tt.policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newNetwork("a:1", "b:1", "c:1").group(t, Config{Policy: tt.policy, Weights: map[string]int{"b:1": 3, "c:1": 4}})
				synctest.Wait()
				for i := range 200 {
					from(t, g, ipOf(i))
					synctest.Wait()
				}
				for addr, want := range map[string]int{"a:1": 25, "b:1": 75, "c:1": 100} {
					if got := clients(g, addr); got < want-tt.within || got > want+tt.within {
						t.Errorf("%d clients on %s, want %d ± %d", got, addr, want, tt.within)
					}
				}
			})
		})
		t.Run(string(tt.policy)+" of requests", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1", "c:1")
				for _, s := range n {
					s.behave = (*visit).swallow // so that all are in flight at the end
				}
				g := n.group(t, Config{Policy: tt.policy, Pooling: Request, Weights: map[string]int{"b:1": 3, "c:1": 4}})
				synctest.Wait()
				for i := range 200 {
					from(t, g, ipOf(i)).ask("x")
					synctest.Wait()
				}
				for addr, want := range map[string]int{"a:1": 25, "b:1": 75, "c:1": 100} {
					if got := len(n[addr].got()); got < want-tt.within-1 || got > want+tt.within+1 {
						t.Errorf("%d requests on %s, want %d ± %d", got, addr, want, tt.within)
					}
				}
			})
		})
	}
}

// ipOf returns one of many addresses.
func ipOf(i int) string { return fmt.Sprintf("10.2.%d.%d", i/250, i%250) }
