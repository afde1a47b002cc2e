package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// A backend without a link is found down before a client meets it, and up before its time.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{MinLinks: -1, Probe: new(Probe)})
		time.Sleep(time.Minute)
		if a := g.state(t, "a:1"); !a.Takes || a.ProbesFailed || n["a:1"].visited() < 4 {
			t.Errorf("while all is well, after %d probes: %+v", n["a:1"].visited(), a)
		}
		n["a:1"].stop()
		time.Sleep(34 * time.Second)
		if a := g.state(t, "a:1"); a.Takes || !a.ProbesFailed || a.Error != "probe: connection refused" {
			t.Errorf("after three probes: %+v", a)
		}
		dials := len(n["a:1"].allDials())
		for range 10 {
			p := lease(t, g)
			synctest.Wait()
			if at := p.lease.Backend(); at != "b:1" {
				t.Errorf("served by %q", at)
			}
		}
		if got := len(n["a:1"].allDials()); got != dials {
			t.Errorf("clients dialled it %d times", got-dials)
		}
		n["a:1"].start()
		time.Sleep(23 * time.Second)
		if a := g.state(t, "a:1"); !a.Takes || a.ProbesFailed {
			t.Errorf("after two good probes: %+v", a)
		}
	})
}

// Probes that succeed end a pause.
func TestProbeEndsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{Probe: &Probe{Interval: 2 * time.Second}})
		n["a:1"].stop()
		time.Sleep(2 * time.Minute)
		n["a:1"].start()
		time.Sleep(7 * time.Second)
		if a := g.state(t, "a:1"); a.Links == 0 || !a.Takes {
			t.Errorf("%+v", a)
		}
	})
}

// To accept is not enough.
func TestProbeWantsAnAnswer(t *testing.T) {
	for _, tt := range []struct {
		name      string
		behave    func(*visit)
		heartbeat time.Duration
		up        bool
	}{
		{"it answers", (*visit).echo, 0, true},
		{"it hangs up", (*visit).hangUp, 0, false},
		{"it says nothing", (*visit).mute, 0, false},
		{"it says nothing, and need not", (*visit).mute, -1, true},
		{"it hangs up, without heartbeats", (*visit).hangUp, -1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = tt.behave
				g := n.group(t, Config{
					MinLinks: -1, Probe: &Probe{Interval: time.Second, Fall: 1, Rise: 1}, Panic: -1, DialTimeout: 2 * time.Second,
					Heartbeat: &keepalive.Heartbeat{Interval: tt.heartbeat, Timeout: time.Second},
				})
				time.Sleep(10 * time.Second)
				if a := g.state(t, "a:1"); a.ProbesFailed == tt.up {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

// A group that is closed waits for its probes, and they end.
func TestCloseEndsProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = (*visit).mute
		g := n.group(t, Config{MinLinks: -1, Probe: &Probe{Interval: time.Second}, DialTimeout: time.Hour})
		time.Sleep(5 * time.Second)
		begin := time.Now()
		g.Close()
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// An outlier is put aside, longer each time, and never more of them than may be.
func TestOutliers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1", "c:1")
		g := n.group(t, Config{Outlier: &Outlier{Share: 0.4}, Panic: -1})
		time.Sleep(time.Minute)
		n["a:1"].set(func(s *server) { s.behave = (*visit).hangUp })
		n["b:1"].set(func(s *server) { s.behave = (*visit).hangUp })
		for _, addr := range []string{"a:1", "b:1"} {
			n[addr].visit(0).nc.Close()
		}
		time.Sleep(4 * time.Second) // three failures each
		a, b := g.state(t, "a:1"), g.state(t, "b:1")
		if a.EjectedUntil.IsZero() == b.EjectedUntil.IsZero() {
			t.Errorf("put aside until %v and %v, want one of them", a.EjectedUntil, b.EjectedUntil)
		}
		who := a
		if who.EjectedUntil.IsZero() {
			who = b
		}
		if who.Takes || who.Ejections != 1 {
			t.Errorf("put aside: %+v", who)
		}
		if err := g.Do(VerbResume, who.Backend); err != nil {
			t.Fatal(err)
		}
		if s := g.state(t, who.Backend); !s.EjectedUntil.IsZero() {
			t.Errorf("after an operator said so: %+v", s)
		}
		if c := g.state(t, "c:1"); !c.Takes || c.Health.State != health.Fit {
			t.Errorf("the one that is well: %+v", c)
		}
	})
}
