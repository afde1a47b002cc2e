package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// An occurrence is what a subscriber was told of an event of ours.
type occurrence struct {
	Msg  string         `json:"msg"`
	Name string         `json:"name"`
	Data map[string]any `json:"data"`
	Live bool           `json:"live"`
}

// events returns what the subscriber events.handlers.witness was told, apart from Caddy's own.
func (l *log) events(t testing.TB) (all []occurrence) {
	t.Helper()
	for s := range strings.Lines(l.String()) {
		if !strings.HasSuffix(s, "\n") || !strings.Contains(s, `"event witnessed"`) {
			continue
		}
		var e occurrence
		if err := json.Unmarshal([]byte(s), &e); err != nil {
			t.Fatalf("log line %q: %v", s, err)
		}
		if strings.HasPrefix(e.Name, "gopr.") {
			all = append(all, e)
		}
	}
	return all
}

// TestEvents: a subscriber is told of a backend that comes and goes, in order; also after a reload, by the new configuration; and of one that was away before
// Caddy had started.
func TestEvents(t *testing.T) {
	b := newBackend(t, echoes)
	b.stop()
	conf := strings.Replace(config(`
		${gopr} {
			route {
				gopr devices {
					upstream ${backend} {
						reconnect {
							initial 100ms
							factor 1
							jitter 0
							attempts 0
						}
					}
				}
			}
		}`), "{\n", "{\n\tevents {\n\t\ton * witness\n\t}\n", 1)
	c := startBinary(t, ownBinary(t), conf, places{"backend": b.addr})

	// told waits for the event, and returns all there were since the last one so waited for.
	seen := 0
	told := func(name string) (before []occurrence) {
		t.Helper()
		eventually(t, name, func() bool {
			all := c.log.events(t)[seen:]
			i := slices.IndexFunc(all, func(e occurrence) bool { return e.Name == name })
			if i < 0 {
				return false
			}
			before = all[:i+1]
			return true
		})
		seen += len(before)
		return before
	}
	expect := func(e occurrence, up, failures float64, failed bool) {
		t.Helper()
		d := e.Data
		if d["handler"] != "devices" || d["upstream"] != "devices" || d["backend"] != b.addr || d["backends_up"] != up || d["failures"] != failures {
			t.Errorf("%s: %v, want %v backends up and %v failures", e.Name, d, up, failures)
		}
		if (d["error"] != nil) != failed || (d["next_dial"] != nil) != failed {
			t.Errorf("%s: %v", e.Name, d)
		}
		if !e.Live {
			t.Errorf("%s was emitted by a configuration that has ended", e.Name)
		}
	}
	cycle := func(what string) {
		t.Helper()
		first := told("gopr.upstream.down")
		if len(first) != 1 {
			t.Errorf("%s: before it was down: %v", what, first)
		}
		failures, _ := first[0].Data["failures"].(float64) // one that was back for a moment only has not begun anew
		expect(first[0], 0, max(1, failures), true)
		expect(told("gopr.breaker.open")[0], 0, failures, true)
		b.start(t)
		last := told("gopr.upstream.up")
		for _, e := range last[:len(last)-2] {
			failures++
			if e.Name != "gopr.breaker.open" {
				t.Errorf("%s: %s between down and up", what, e.Name)
			}
			expect(e, 0, failures, true)
		}
		if e := last[len(last)-2]; e.Name != "gopr.breaker.closed" {
			t.Errorf("%s: up after %s", what, e.Name)
		}
		expect(last[len(last)-1], 1, failures, false)
	}
	cycle("at the start")
	b.stop()
	cycle("in the course of things")
	check(t, c.load(strings.Replace(conf, "attempts 0", "attempts 0\n\t\t\t\t\t\t\tmax 29s", 1))) // another group
	check(t, dial(t, c.addr("gopr")).ask("are you there?"))
	if err := c.load(strings.Replace(conf, "upstream ${backend}", "upstream nonsense", 1)); err == nil {
		t.Error("a wrong configuration was taken")
	}
	b.stop()
	cycle("after a reload, and one that was rejected")
	if got := c.metrics()["caddy_gopr_events_dropped_total"]; got != 0 {
		t.Error(fmt.Sprint(got, " events were dropped"))
	}
	if c.log.contains("event handling stopped") {
		t.Error("an event was emitted by a configuration that had ended")
	}
}

// TestDrainEvents: a drain is told when it begins and when it is over, also that of the process's end.
func TestDrainEvents(t *testing.T) {
	b := newBackend(t, echoes)
	conf := strings.Replace(withDrain("0", "100ms", toBackend), "{\n", "{\n\tevents {\n\t\ton * witness\n\t}\n", 1)
	c := startBinary(t, ownBinary(t), conf, places{"backend": b.addr})
	expect := func(n int) {
		t.Helper()
		var all []occurrence
		eventually(t, "events of the drain", func() bool {
			all = slices.DeleteFunc(c.log.events(t), func(e occurrence) bool { return !strings.HasPrefix(e.Name, "gopr.drain.") })
			return len(all) >= n
		})
		if len(all) != n {
			t.Fatalf("%d events of drains, want %d: %v", len(all), n, all)
		}
		started, done := all[n-2], all[n-1]
		for _, e := range []occurrence{started, done} {
			if e.Data["handler"] != "devices" || e.Data["connections"] != 1. || !e.Live {
				t.Errorf("%s: %v, want one connection of devices", e.Name, e)
			}
		}
		if started.Name != "gopr.drain.started" || started.Data["grace"] != "0s" || started.Data["drain"] != "100ms" {
			t.Errorf("the first is %v", started)
		}
		if done.Name != "gopr.drain.done" || done.Data["duration"] == nil || done.Data["cut"] == nil {
			t.Errorf("the last is %v", done)
		}
	}
	d := dial(t, c.addr("gateway"))
	check(t, d.ask("before"))
	if status, answer, err := c.admin("POST", "/gopr/drain?handler=devices", ""); err != nil || status/100 != 2 {
		t.Fatalf("POST /gopr/drain: %d %s, %v", status, answer, err)
	}
	check(t, d.ended())
	expect(2)

	if status, answer, err := c.admin("DELETE", "/gopr/drain?handler=devices", ""); err != nil || status/100 != 2 {
		t.Fatalf("DELETE /gopr/drain: %d %s, %v", status, answer, err)
	}
	d = dial(t, c.addr("gateway"))
	check(t, d.ask("let in again"))
	if _, err := c.terminate(); err != nil {
		t.Error(err)
	}
	check(t, d.ended())
	expect(4)
}
