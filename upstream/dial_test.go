package upstream

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

const ms = time.Millisecond

// backoff is when a backend is dialled under steady when each dial fails at once: 1 s, 1.5 s, 2.25 s, 3.375 s, a pause of 5 min, and on.
var backoff = []time.Duration{0, 1000 * ms, 2500 * ms, 4750 * ms, 8125 * ms, 308_125 * ms, 313_187500 * time.Microsecond}

// urgent is the same while clients wait and nobody else could serve them: the pause is no longer than the longest wait, 30 s.
var urgent = []time.Duration{0, 1000 * ms, 2500 * ms, 4750 * ms, 8125 * ms, 38_125 * ms, 43_187500 * time.Microsecond}

// A backend that fails is dialled ever more seldom, whatever its way to fail and whoever wants it.
func TestBackoff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		up     bool
		behave func(*visit)
	}{
		{"refuses", false, nil},
		{"hangs up on spares", true, (*visit).hangUp},
		{"sends garbage on spares", true, func(v *visit) { _, _ = v.nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n")) }},
	} {
		for _, minLinks := range []int{1, 2, 8} {
			for _, clients := range []int{0, 3} {
				if tt.up && clients > 0 {
					continue // a link that a client has says nothing of the backend
				}
				t.Run(fmt.Sprintf("%s, %d spares, %d clients", tt.name, minLinks, clients), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNetwork("a:1")
						s := n["a:1"]
						s.up, s.behave = tt.up, tt.behave
						begin := time.Now()
						g := n.group(t, Config{MinLinks: minLinks})
						for range clients {
							lease(t, g)
						}
						want := backoff
						if clients > 0 {
							want = urgent
						}
						time.Sleep(want[len(want)-1])
						synctest.Wait()
						// All that is begun together at first fails together, and is one failure. A dial that works lets the next ones follow at once.
						times, seen := s.dialTimes(begin), []time.Duration(nil)
						for i, at := range times {
							if i == 0 || at != times[i-1] {
								seen = append(seen, at)
							}
						}
						equal(t, "it was dialled at", seen, want)
						if most := max(minLinks, 1)*3*len(want) + clients; len(times) > most {
							t.Errorf("it was dialled %d times, more than %d", len(times), most)
						}
						if minLinks == 1 && clients == 0 {
							equal(t, "it was dialled at", times, backoff)
						}
					})
				})
			}
		}
	}
}

// A dial that was under way when its backend failed takes nothing back of the wait that follows.
func TestSlowDialsDoNotShortenTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		s := n["a:1"]
		// Dials take 10 ms, and links end after 5 ms: while a link ends, the dial of another one is always under way.
		s.delay, s.behave = 10*ms, deaf(5*ms)
		n.group(t, Config{MinLinks: 2})
		time.Sleep(time.Minute)
		if got := s.visited(); got > 4*len(backoff) {
			t.Errorf("%d dials in a minute", got)
		}
	})
}

// A backend that was up for long starts the waits over: the first failure is the first again, and the fifth leads to the pause.
func TestStableBackendStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		s := n["a:1"]
		s.stop()
		g := n.group(t, Config{})
		time.Sleep(3 * time.Second) // three failures
		s.start()
		time.Sleep(2 * time.Second)
		if b := g.Stat().Backends[0]; b.State != "connected" || b.Failures != 3 {
			t.Errorf("as soon as it is back: %+v", b)
		}
		time.Sleep(10 * time.Second)
		if b := g.Stat().Backends[0]; b.State != "connected" || b.Failures != 0 {
			t.Errorf("after it was up for long: %+v", b)
		}
		before := len(s.dialTimes(time.Now()))
		s.stop()
		stopped := time.Now()
		time.Sleep(5 * time.Minute)
		equal(t, "dialled at", s.dialTimes(stopped)[before:], backoff[:5])
		if b := g.Stat().Backends[0]; b.State != "paused" || b.Failures != 5 || !b.NextDial.Equal(stopped.Add(backoff[5])) {
			t.Errorf("after five failures: %+v", b)
		}
	})
}

// A thousand clients at once: no more than 64 dials to a backend are under way, and each client gets its own link.
func TestManyLeasesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 1000
		n := newNetwork("a:1")
		n["a:1"].delay = 10 * ms
		g := n.group(t, Config{})
		var all []*peer
		for i := range clients {
			all = append(all, lease(t, g))
			all[i].ask(fmt.Sprint(i))
		}
		time.Sleep(time.Second)
		for i, p := range all {
			p.expect(fmt.Sprint(i))
		}
		most := 0
		for _, d := range n["a:1"].allDials() {
			most = max(most, d.n)
		}
		if most != maxDialing {
			t.Errorf("%d dials at once, not %d", most, maxDialing)
		}
		if b := g.Stat().Backends[0]; b.Links != clients+1 || b.Spare != 1 || b.Dials != clients+1 {
			t.Errorf("%+v", b)
		}
		for _, p := range all {
			p.lease.Close()
		}
		synctest.Wait()
		if b := g.Stat().Backends[0]; b.Links != 1 || b.Spare != 1 || b.Lost != 0 {
			t.Errorf("left behind: %+v", b)
		}
	})
}

// After a failure one dial is under way at a time; two, four and more follow when it works.
func TestSlowStartAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		s := n["a:1"]
		s.stop()
		g := n.group(t, Config{})
		for range 500 {
			lease(t, g)
		}
		time.Sleep(time.Second / 2)
		s.set(func(s *server) { s.up, s.dials, s.delay = true, nil, 10*ms })
		time.Sleep(time.Second)
		most := make(map[time.Time]int) // dials under way, by the moment at which the last of them began
		var order []int
		for _, d := range s.allDials() {
			if most[d.at] == 0 {
				order = append(order, 0)
			}
			most[d.at] = max(most[d.at], d.n)
			order[len(order)-1] = most[d.at]
		}
		equal(t, "dials at once", order[:4], []int{1, 2, 8, 64})
		for _, n := range order {
			if n > maxDialing {
				t.Errorf("%d dials at once", n)
			}
		}
		if s := g.Stat(); s.Waiting != 0 || s.Backends[0].Links != 501 {
			t.Errorf("%+v", s)
		}
	})
}

// A link that was dialled for a client that has gone serves the next one.
func TestLinkOfAClientThatHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].delay = time.Second
		g := n.group(t, Config{MinLinks: -1})
		first := lease(t, g)
		time.Sleep(time.Second / 2)
		first.lease.Close()
		second := lease(t, g)
		second.ask("1")
		time.Sleep(time.Second / 2)
		synctest.Wait()
		second.expect("1")
		if got := len(n["a:1"].allDials()); got != 1 {
			t.Errorf("%d dials", got)
		}
	})
}

// A dial that takes too long is given up, and a client that waited for it goes elsewhere.
func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].delay = time.Hour
		g := n.group(t, Config{MinLinks: -1, Policy: First, DialTimeout: 2 * time.Second})
		p := lease(t, g)
		p.ask("1")
		time.Sleep(2*time.Second - time.Nanosecond)
		p.expect()
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		p.expect("1")
		if b := g.Stat().Backends[0]; !strings.Contains(b.Error, context.DeadlineExceeded.Error()) || b.DialErrors != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// No more than MaxLinks are up or dialled, spares included; who comes too late waits until one ends.
func TestMaxLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{MinLinks: 2, MaxLinks: 5})
		var all []*peer
		for range 12 {
			all = append(all, lease(t, g))
		}
		synctest.Wait()
		s := g.Stat()
		if s.Waiting != 2 || s.Backends[0].Links != 5 || s.Backends[1].Links != 5 {
			t.Errorf("%+v", s)
		}
		all[11].ask("11")
		for _, p := range all[:2] {
			p.lease.Close()
		}
		synctest.Wait()
		all[11].expect("11")
		if s := g.Stat(); s.Waiting != 0 || s.Backends[0].Links+s.Backends[1].Links != 10 {
			t.Errorf("%+v", s)
		}
	})
}

// A Logger is called without the group's lock: here it looks at the group.
func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		var group atomic.Pointer[Group]
		text := slog.NewTextHandler(&buf, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		n := newNetwork("a:1")
		n["a:1"].stop()
		n["a:1"].delay = ms // so that group is set
		group.Store(n.group(t, Config{Logger: slog.New(handler{text, func() { group.Load().Stat() }})}))
		time.Sleep(2 * time.Second)
		n["a:1"].start()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		const want = `level=WARN msg="backend failed" backend=a:1 error="connection refused" failures=1 next_dial_in=1s
level=WARN msg="backend failed" backend=a:1 error="connection refused" failures=2 next_dial_in=1.5s
level=INFO msg="backend is back" backend=a:1
`
		if got := buf.String(); got != want {
			t.Errorf("logged:\n%s\nnot:\n%s", got, want)
		}
	})
}

type handler struct {
	slog.Handler
	called func()
}

func (h handler) Enabled(context.Context, slog.Level) bool { return true }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	h.called()
	return h.Handler.Handle(ctx, r)
}

// With strategy none a backend that failed is left alone until an operator says that it is back.
func TestNoReconnect(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		s := n["a:1"]
		s.stop()
		g := n.group(t, Config{Pooling: pooling, Reconnect: Reconnect{Strategy: client.NoReconnect}})
		time.Sleep(10 * time.Hour)
		if b := g.Stat().Backends[0]; len(s.allDials()) != 1 || b.State != "paused" || b.Breaker != BreakerOpen || !b.NextDial.IsZero() {
			t.Errorf("%d dials, %+v", len(s.allDials()), b)
		}
		s.start()
		do(t, g, VerbReconnect, "")
		synctest.Wait()
		if b := g.Stat().Backends[0]; b.State != "connected" {
			t.Errorf("%+v", b)
		}
	})
}
