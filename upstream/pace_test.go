package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		perSecond     int
		atOnce, later int // what may happen at the first moment, and in the second that follows
	}{
		{-1, 1000, 100_000},
		{1, 1, 1},
		{10, 10, 10},
		{100, 100, 100},
		{1000, 1000, 1000},
	} {
		now := time.Unix(1000, 0)
		p := newPace(tt.perSecond)
		takes := func(most int) (n int) {
			for ; n < most && p.ready(now); n++ {
				p.take(now)
			}
			return n
		}
		if got := takes(1000); got != tt.atOnce {
			t.Errorf("%d/s: %d at once, not %d", tt.perSecond, got, tt.atOnce)
		}
		got := 0
		for range 1000 {
			now = now.Add(time.Millisecond)
			got += takes(100)
		}
		if got != tt.later {
			t.Errorf("%d/s: %d in a second, not %d", tt.perSecond, got, tt.later)
		}
		now = now.Add(time.Hour)
		if got := takes(1000); got != tt.atOnce {
			t.Errorf("%d/s: %d at once after a rest, not %d", tt.perSecond, got, tt.atOnce)
		}
	}
}

// A thousand clients do not storm a backend that comes back: it is dialled by one, then by a few at a time, and never more often than the group may.
func TestComebackIsNoStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, rate = 1000, 100
		n := newNetwork("a:1")
		s := n["a:1"]
		s.stop()
		s.delay = 20 * ms
		g := n.group(t, Config{DialRate: rate, MinLinks: -1})
		for range clients {
			lease(t, g)
		}
		time.Sleep(3 * time.Second)
		s.start()
		time.Sleep(clients/rate*time.Second + 3*time.Second)
		synctest.Wait()
		if b := g.Stat(); b.Waiting != 0 || b.Backends[0].Links != clients {
			t.Fatalf("%d clients have no link: %+v", b.Waiting, b.Backends[0])
		}
		all := s.allDials()
		for i, d := range all {
			inSecond := 0
			for _, e := range all[i:] {
				if e.at.Sub(d.at) < time.Second {
					inSecond++
				}
			}
			if most := 2 * rate; inSecond > most { // what may come at once, and what is due since
				t.Fatalf("%d dials in a second, more than %d", inSecond, most)
			}
			if d.n > maxDialing {
				t.Errorf("%d dials at a time", d.n)
			}
		}
	})
}

// A backend's warm links wait for the pace as clients do, and come in the end.
func TestPacedSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		eachOf := newNetwork("a:1", "b:1")
		g := eachOf.group(t, Config{DialRate: 1, MinLinks: 3})
		time.Sleep(5 * time.Second)
		synctest.Wait()
		for _, b := range g.Stat().Backends {
			if b.Spare != 3 {
				t.Errorf("%+v", b)
			}
		}
	})
}
