package upstream

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// heard is what a Config.Notify was told.
type heard struct {
	mu  sync.Mutex
	all []Event
}

func (h *heard) notify(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, e)
}

// expect checks what was told since it was last asked.
func (h *heard) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var got []string
	for _, e := range h.all {
		got = append(got, fmt.Sprintf("%s %s, %d up, %d failures, error %v", e.Kind, e.Backend, e.Up, e.Failures, e.Err != nil))
		if (e.Err == nil) != e.NextDial.IsZero() {
			t.Errorf("%s: %s: error %v and next dial at %v", when, e.Kind, e.Err, e.NextDial)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: told\n%q, want\n%q", when, got, want)
	}
	h.all = nil
}

// A change is told once, in the order in which things happen, and nothing is told while nothing changes.
func TestEvents(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		t.Run(string(pooling), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h heard
				n := newNetwork("a:1", "b:1")
				n.group(t, Config{Pooling: pooling, Notify: h.notify})
				time.Sleep(time.Minute)
				h.expect(t, "all is well")

				n["a:1"].stop()
				time.Sleep(500 * ms)
				h.expect(t, "a has ended", "upstream.down a:1, 1 up, 1 failures, error true", "breaker.open a:1, 1 up, 1 failures, error true")
				time.Sleep(1250 * ms) // so that b's dials are not due with a's
				h.expect(t, "it is still away", "breaker.open a:1, 1 up, 2 failures, error true")
				n["b:1"].stop()
				time.Sleep(500 * ms)
				h.expect(t, "b, too", "upstream.down b:1, 0 up, 1 failures, error true", "breaker.open b:1, 0 up, 1 failures, error true")

				n["a:1"].start()
				time.Sleep(400 * ms)
				h.expect(t, "a is back", "breaker.closed a:1, 1 up, 2 failures, error false", "upstream.up a:1, 1 up, 2 failures, error false")
				n["b:1"].start()
				time.Sleep(time.Minute)
				h.expect(t, "and b", "breaker.closed b:1, 2 up, 1 failures, error false", "upstream.up b:1, 2 up, 1 failures, error false")
			})
		})
	}
}

// A backend that is away from the beginning is told, too; and a group that ends is no backend that fails.
func TestEventsOfABackendThatNeverWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h heard
		n := newNetwork("a:1", "b:1")
		n["a:1"].stop()
		g := n.group(t, Config{Notify: h.notify})
		synctest.Wait()
		h.expect(t, "at the beginning", "upstream.down a:1, 1 up, 1 failures, error true", "breaker.open a:1, 1 up, 1 failures, error true")
		g.Close()
		h.expect(t, "after the end")
	})
}

// Changes are told one after the other, also where the one who is told takes his time, and many have news.
func TestEventsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		told := make(map[string]EventKind)
		inside := false
		n := newNetwork("a:1", "b:1", "c:1", "d:1")
		n.group(t, Config{Reconnect: Reconnect{Initial: 10 * ms, Factor: 1, Max: 10 * ms, Jitter: -1, Attempts: -1}, Notify: func(e Event) {
			mu.Lock()
			if inside {
				t.Error("told of two at a time")
			}
			inside = true
			mu.Unlock()
			runtime.Gosched() // and not Sleep: who waits for a mutex stops the clock
			mu.Lock()
			defer mu.Unlock()
			inside = false
			if e.Kind != BreakerOpens && told[e.Backend] == e.Kind {
				t.Errorf("%s twice: %s", e.Backend, e.Kind)
			}
			if e.Kind == BackendUp && e.Err != nil || e.Kind == BackendDown && e.Err == nil {
				t.Errorf("%s: %v", e.Kind, e.Err)
			}
			if e.Kind == BackendUp || e.Kind == BackendDown {
				told[e.Backend] = e.Kind
			}
		}})
		for range 20 {
			for _, s := range n {
				s.stop()
			}
			time.Sleep(50 * ms)
			for _, s := range n {
				s.start()
			}
			time.Sleep(50 * ms)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		for backend, kind := range told {
			if kind != BackendUp {
				t.Errorf("%s: the last that was told is %s", backend, kind)
			}
		}
		if len(told) != len(n) {
			t.Errorf("told of %v alone", told)
		}
	})
}
