package upstream

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestPolicies(t *testing.T) {
	for _, tt := range []struct {
		policy  Policy
		down    string
		clients int
		want    map[string]int // clients on each backend
	}{
		{RoundRobin, "", 9, map[string]int{"a:1": 3, "b:1": 3, "c:1": 3}},
		{RoundRobin, "b:1", 8, map[string]int{"a:1": 4, "c:1": 4}},
		{LeastConn, "", 9, map[string]int{"a:1": 3, "b:1": 3, "c:1": 3}},
		{LeastConn, "c:1", 8, map[string]int{"a:1": 4, "b:1": 4}},
		{First, "", 9, map[string]int{"a:1": 9}},
		{First, "a:1", 9, map[string]int{"b:1": 9}},
	} {
		for _, warm := range []int{-1, 1, 20} {
			t.Run(fmt.Sprintf("%s without %q, %d spares", tt.policy, tt.down, warm), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork("a:1", "b:1", "c:1")
					if tt.down != "" {
						n[tt.down].stop()
					}
					g := n.group(t, Config{Policy: tt.policy, MinLinks: warm})
					if warm < 0 && tt.down != "" { // or it is not known to be down
						var all []*peer
						for range 3 {
							all = append(all, lease(t, g))
						}
						synctest.Wait()
						for _, p := range all {
							p.lease.Close()
						}
					}
					synctest.Wait()
					g.turn = 0
					for range tt.clients {
						lease(t, g)
						synctest.Wait()
					}
					for a := range n {
						if got := clients(g, a); got != tt.want[a] {
							t.Errorf("%d clients on %s, not %d", got, a, tt.want[a])
						}
					}
				})
			})
		}
	}
}

// clients is how many links of a backend are a client's.
func clients(g *Group, addr string) int {
	for _, b := range g.Stat().Backends {
		if b.Backend == addr {
			return b.Links - b.Spare
		}
	}
	return -1
}

// least_conn fills what others have left.
func TestLeastConnFillsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1", "c:1")
		g := n.group(t, Config{Policy: LeastConn})
		var all []*peer
		for range 30 {
			all = append(all, lease(t, g))
			synctest.Wait()
		}
		for _, p := range all {
			if p.lease.Backend() == "b:1" {
				p.lease.Close()
			}
		}
		synctest.Wait()
		for range 10 {
			if p := lease(t, g); p.lease.Backend() != "b:1" {
				t.Errorf("the next client went to %s", p.lease.Backend())
			}
			synctest.Wait()
		}
	})
}

// Among backends with as few clients, each has its turn: or the first one would get all clients of a quiet group.
func TestLeastConnTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1", "b:1", "c:1").group(t, Config{Policy: LeastConn})
		synctest.Wait()
		served := make(map[string]int)
		for range 9 {
			p := lease(t, g)
			served[p.lease.Backend()]++
			p.lease.Close()
			synctest.Wait()
		}
		if served["a:1"] != 3 || served["b:1"] != 3 || served["c:1"] != 3 {
			t.Errorf("served: %v", served)
		}
	})
}

// Clients that are on their way count, spares that are do not.
func TestLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].delay, n["b:1"].delay = time.Second, time.Second
		g := n.group(t, Config{Policy: LeastConn, MinLinks: 5})
		a := g.backends[0]
		for _, tt := range []struct {
			leases int
			after  time.Duration
			load   int
		}{{0, 0, 0}, {4, 0, 2}, {2, 0, 3}, {0, 10 * time.Second, 3}} {
			for range tt.leases {
				lease(t, g)
			}
			time.Sleep(tt.after)
			g.mu.Lock()
			if got := a.load() + g.backends[1].load(); got != int64(2*tt.load) {
				t.Errorf("the load is %d, not %d", got, 2*tt.load)
			}
			if got := a.load(); tt.after == 0 && got != int64(tt.load) { // later, who waits has what came first
				t.Errorf("the load of one is %d, not %d", got, tt.load)
			}
			g.mu.Unlock()
		}
	})
}

// random takes the better of two, so it is more even than chance, and never leaves one out.
func TestRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1", "c:1", "d:1")
		n["d:1"].stop()
		g := n.group(t, Config{Policy: Random})
		time.Sleep(time.Second / 2)
		for range 300 {
			lease(t, g)
			synctest.Wait()
		}
		for _, a := range []string{"a:1", "b:1", "c:1"} {
			if got := clients(g, a); got < 80 || got > 120 {
				t.Errorf("%d of 300 clients on %s", got, a)
			}
		}
		if got := clients(g, "d:1"); got != 0 {
			t.Errorf("%d clients on the one that is down", got)
		}
	})
}

// A backend that fails is left out at once, and taken in again when it is back.
func TestUnfitBackendsAreSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{})
		time.Sleep(time.Minute)
		n["a:1"].stop()
		synctest.Wait()
		for range 4 {
			p := lease(t, g)
			synctest.Wait()
			if at := p.lease.Backend(); at != "b:1" {
				t.Errorf("served by %q", at)
			}
		}
		n["a:1"].start()
		time.Sleep(2 * time.Second)
		for range 4 {
			lease(t, g)
			synctest.Wait()
		}
		if a, b := clients(g, "a:1"), clients(g, "b:1"); a != 2 || b != 6 {
			t.Errorf("%d clients on one, %d on the other", a, b)
		}
	})
}

// To choose costs no allocation, whatever the policy: under request pooling it is done for each run of requests.
func TestPickDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range policies {
			g := newNetwork("a:1", "b:1", "c:1").group(t, Config{Policy: policy, Pooling: Request})
			synctest.Wait()
			l := &pooled{g: g, key: 1}
			now := time.Now()
			if g.pick(l, 1, now) == nil {
				t.Fatalf("%s: there is no link", policy)
			}
			if n := testing.AllocsPerRun(100, func() { g.pick(l, 1, now) }); n > 0 {
				t.Errorf("%s: %v allocations", policy, n)
			}
			g.Close()
		}
	})
}
