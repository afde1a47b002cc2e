package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A liveConfig is a configuration that reloads change. The zero value is where they begin.
type liveConfig struct {
	second   bool   // listens on a second port, too
	max      int    // over 1000, of payloads
	backends string // placeholders; "": ${first}
	idle     string // "": 1h
	mistake  string // in the handler
}

func (l liveConfig) String() string {
	listen := "gopr/${gateway}"
	if l.second {
		listen += " gopr/${second}"
	}
	if l.backends == "" {
		l.backends = "${first}"
	}
	if l.idle == "" {
		l.idle = "1h"
	}
	return config(fmt.Sprintf("\n\t\t%s {\n\t\t\troute {\n\t\t\t\tgopr devices {\n\t\t\t\t\tidle_timeout %s\n\t\t\t\t\tmax_payload %d\n\t\t\t\t\tupstream %s\n\t\t\t\t\t%s\n\t\t\t\t}\n\t\t\t}\n\t\t}\n",
		listen, l.idle, 1000+l.max, l.backends, l.mistake))
}

// busy is a fleet of clients that ask again and again, each on one connection.
type busy struct {
	wg       sync.WaitGroup
	stopping atomic.Bool
	asked    atomic.Int64
	worst    atomic.Int64 // nanoseconds
	failed   chan error
	devices  []*device
}

func newBusy(t *testing.T, addr string, n int, pause time.Duration) *busy {
	t.Helper()
	b := &busy{failed: make(chan error, n)}
	for i := range n {
		d := dial(t, addr)
		b.devices = append(b.devices, d)
		b.wg.Go(func() {
			time.Sleep(pause * time.Duration(i) / time.Duration(n))
			for j := 0; !b.stopping.Load(); j++ {
				began := time.Now()
				if err := d.ask(fmt.Sprintf("request %d of device %d", j, i)); err != nil {
					b.failed <- fmt.Errorf("device %d, request %d: %w", i, j, err)
					return
				}
				b.asked.Add(1)
				for took := int64(time.Since(began)); ; {
					worst := b.worst.Load()
					if took <= worst || b.worst.CompareAndSwap(worst, took) {
						break
					}
				}
				time.Sleep(pause)
			}
		})
	}
	t.Cleanup(func() { b.stop(t) })
	return b
}

func (b *busy) stop(t *testing.T) {
	t.Helper()
	b.stopping.Store(true)
	b.wg.Wait()
	for len(b.failed) > 0 {
		t.Error(<-b.failed)
	}
}

// goroutines is how many the process has.
func (c *caddy) goroutines() int {
	c.t.Helper()
	status, body, err := c.admin(http.MethodGet, "/debug/pprof/goroutine?debug=1", "")
	if err != nil || status != http.StatusOK {
		c.t.Fatalf("GET /debug/pprof/goroutine: %d, %v", status, err)
	}
	line, _, _ := strings.Cut(body, "\n")
	n, err := strconv.Atoi(line[strings.LastIndexByte(line, ' ')+1:])
	check(c.t, err)
	return n
}

// heap is how much memory is in use after garbage was collected.
func (c *caddy) heap() int64 {
	c.t.Helper()
	c.collect()
	return int64(c.metrics()["go_memstats_heap_inuse_bytes"])
}

// TestReloadUnderTraffic: live connections with traffic go through reloads of every kind, and nobody notices; nothing is left over; and they have the settings of the
// last. GOPR_FULL=1 has a thousand of them go through a hundred.
func TestReloadUnderTraffic(t *testing.T) {
	clients, rounds := scale(1000, 100), scale(20, 3)
	first, second := newBackend(t, echoes), newBackend(t, echoes)
	c := start(t, liveConfig{}.String(), places{"first": first.addr, "other": second.addr})
	fleet := newBusy(t, c.addr("gateway"), clients, time.Duration(scale(200, 20))*time.Millisecond)
	round := func() {
		at := fleet.asked.Load()
		eventually(t, "more answers", func() bool { return fleet.asked.Load() > at+int64(clients)/2 || len(fleet.failed) > 0 })
	}
	round()

	var connects atomic.Int64
	var coming sync.WaitGroup
	refused := make(chan error, 2)
	gateway := c.addr("gateway")
	for range 2 {
		coming.Go(func() {
			for !fleet.stopping.Load() {
				if err := comeAndGo(gateway); err != nil {
					refused <- err
					return
				}
				connects.Add(1)
				time.Sleep(time.Millisecond)
			}
		})
	}
	round()
	goroutines, heap := c.goroutines(), c.heap()

	count := map[string]int{}
	load := func(kind string, l liveConfig) {
		t.Helper()
		count[kind]++
		err := c.load(l.String())
		if rejected := l.mistake != ""; rejected != (err != nil) {
			t.Fatalf("%s: %v", kind, err)
		}
		round()
	}
	began := time.Now()
	for i := range rounds {
		now := liveConfig{}
		if i%2 == 1 {
			now.backends = "${first} ${other}"
		}
		load("a port more", liveConfig{second: true, max: i, backends: now.backends})
		load("other limits", liveConfig{max: 100 + i, idle: fmt.Sprintf("%dm", 10+i), backends: now.backends})
		load("rejected", liveConfig{max: -999, idle: "1ms", backends: "${nowhere}", mistake: "respond echo"})
		next := "${other}"
		if i%2 == 1 {
			next = "${first}"
		}
		load("other backends", liveConfig{max: 100 + i, backends: next})
		load("as before", liveConfig{})
	}
	took := time.Since(began)

	eventually(t, "all are with the first backend again", func() bool {
		all := c.metrics()
		return all[series("upstream_links", "devices", "backend", first.addr, "state", "leased", "upstream", "devices")] >= float64(clients) &&
			all[series("upstream_links", "devices", "backend", second.addr, "state", "leased", "upstream", "devices")] == 0
	})
	if !strings.Contains(t.Name(), "/") && t.Failed() {
		return
	}
	eventually(t, fmt.Sprintf("as many goroutines as before, %d and a few", goroutines), func() bool { return c.goroutines() <= goroutines+20 })
	after := c.heap()
	if limit := heap + heap/4 + 16<<20; after > limit {
		t.Errorf("the heap is %d KiB, was %d KiB", after>>10, heap>>10)
	}
	t.Logf("%d live connections asked %d times, the slowest answer took %v, and %d others came and went, in %v with reloads of each kind: %v", clients, fleet.asked.Load(),
		time.Duration(fleet.worst.Load()).Round(time.Millisecond), connects.Load(), took.Round(time.Millisecond), count)
	t.Logf("goroutines: %d before, %d after; heap: %d KiB before, %d KiB after", goroutines, c.goroutines(), heap>>10, after>>10)

	fleet.stop(t)
	coming.Wait()
	for len(refused) > 0 {
		t.Errorf("a client that came was let down: %v", <-refused)
	}
	if n := c.metric("connections", "devices"); n != float64(clients) {
		t.Errorf("%v connections are live, want the %d of before the reloads", n, clients)
	}
	check(t, c.load(liveConfig{idle: "200ms"}.String()))
	for _, d := range fleet.devices {
		check(t, d.ended())
	}
	c.closed("devices", "idle_timeout", clients)
}
