package upstream

import (
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// What a snapshot says is what has happened.
func TestStat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		s := n["a:1"]
		s.delay = time.Second
		begin := time.Now()
		at := func(d time.Duration) time.Time { return begin.Add(d) }
		sleepTo := func(d time.Duration) {
			time.Sleep(time.Until(at(d)))
			synctest.Wait()
		}
		g := n.group(t, Config{})
		expect := func(waiting int, want BackendStat) {
			t.Helper()
			want.Backend, want.Used, want.Admin, want.Breaker = "a:1", want.Links-want.Spare, Enabled, BreakerClosed
			switch {
			case !want.NextDial.IsZero():
				want.Breaker = BreakerOpen
			case want.State == "reconnecting":
				want.Breaker = BreakerHalfOpen
			}
			got := g.Stat()
			got.Backends[0].Weight, got.Backends[0].Takes, got.Backends[0].Health = 0, false, health.Report{} // these have tests of their own
			got.Backends[0].Ended = nil                                                                       // looked at by TestBadBackends
			if got.Waiting != waiting || len(got.Backends) != 1 || !reflect.DeepEqual(got.Backends[0], want) {
				t.Errorf("after %v:\ngot  %d wait, %+v\nwant %d wait, %+v", time.Since(begin), got.Waiting, got.Backends, waiting, want)
			}
		}
		const refused = "connection refused"

		expect(0, BackendStat{State: "connecting", Dialing: 1, Dials: 1})
		sleepTo(1 * time.Second)
		expect(0, BackendStat{State: "connected", Links: 1, Spare: 1, Dials: 1})
		p := lease(t, g)
		expect(0, BackendStat{State: "connected", Links: 1, Dialing: 1, Dials: 2})
		sleepTo(2 * time.Second)
		expect(0, BackendStat{State: "connected", Links: 2, Spare: 1, Dials: 2})

		sleepTo(20 * time.Second)
		s.set(func(s *server) { s.up = false })
		for _, v := range []int{1, 0} { // the spare link first, or it might be the client's for a moment
			s.visit(v).nc.Close()
			synctest.Wait()
		}
		expect(1, BackendStat{State: "connecting", Dialing: 2, Dials: 4, Lost: 2})
		sleepTo(21 * time.Second) // both fail, which is one failure
		expect(1, BackendStat{State: "reconnecting", Failures: 1, NextDial: at(22 * time.Second), Error: refused, Dials: 4, DialErrors: 2, Lost: 2})
		sleepTo(22 * time.Second)
		expect(1, BackendStat{State: "reconnecting", Dialing: 1, Failures: 1, Error: refused, Dials: 5, DialErrors: 2, Lost: 2})
		sleepTo(23 * time.Second)
		expect(1, BackendStat{State: "reconnecting", Failures: 2, NextDial: at(24500 * ms), Error: refused, Dials: 5, DialErrors: 3, Lost: 2})
		sleepTo(34 * time.Second)
		expect(1, BackendStat{State: "paused", Failures: 5, NextDial: at(63_125 * ms), Error: refused, Dials: 8, DialErrors: 6, Lost: 2})

		s.start() // the pause is cut short, as a client waits and nobody else is there
		sleepTo(64 * time.Second)
		expect(1, BackendStat{State: "reconnecting", Dialing: 1, Failures: 5, Error: refused, Dials: 9, DialErrors: 6, Lost: 2})
		sleepTo(65 * time.Second)
		expect(0, BackendStat{State: "connected", Links: 1, Dialing: 1, Failures: 5, Error: refused, Dials: 10, DialErrors: 6, Lost: 2})
		sleepTo(66 * time.Second)
		expect(0, BackendStat{State: "connected", Links: 2, Spare: 1, Failures: 5, Error: refused, Dials: 10, DialErrors: 6, Lost: 2})
		sleepTo(75 * time.Second)
		expect(0, BackendStat{State: "connected", Links: 2, Spare: 1, Error: refused, Dials: 10, DialErrors: 6, Lost: 2})
		p.lease.Close()
		synctest.Wait()
		expect(0, BackendStat{State: "connected", Links: 1, Spare: 1, Error: refused, Dials: 10, DialErrors: 6, Lost: 2})
		g.Close()
		expect(0, BackendStat{State: "disconnected", Error: refused, Dials: 10, DialErrors: 6, Lost: 2})
	})
}

// A group that nobody uses and that keeps no spares dials nobody, and says so.
func TestStatOfAnIdleGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{MinLinks: -1})
		time.Sleep(time.Hour)
		for i, b := range g.Stat().Backends {
			if want := (BackendStat{Backend: n.addrs()[i], Admin: Enabled, Breaker: BreakerClosed, State: "disconnected", Ended: map[string]uint64{}, Weight: 1, Takes: true, Health: health.NewRecord(health.Settings{}).Report(time.Now())}); !reflect.DeepEqual(b, want) {
				t.Errorf("%+v", b)
			}
		}
	})
}

// The states are client.State's words.
func TestStatesAreTheClients(t *testing.T) {
	known := make(map[string]bool)
	for s := client.Disconnected; s < client.Closed; s++ {
		known[s.String()] = true
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].delay = time.Millisecond
		g := n.group(t, Config{MinLinks: -1})
		seen := make(map[string]bool)
		see := func() { seen[g.Stat().Backends[0].State] = true }
		see()
		p := lease(t, g)
		see()
		time.Sleep(time.Second)
		see()
		n["a:1"].stop()
		p.lease.Close()
		lease(t, g)
		for range 10 {
			time.Sleep(time.Second)
			see()
		}
		for s := range seen {
			if !known[s] {
				t.Errorf("%q is no client.State", s)
			}
		}
		if len(seen) != len(known) {
			t.Errorf("saw only %v", seen)
		}
	})
}
