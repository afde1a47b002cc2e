package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// witness is one configuration's subscriber to all events that begin with gopr.
type witness struct {
	*subscribers
	stop func()            // ends the configuration's context
	do   func(caddy.Event) // what it does with each event

	mu  sync.Mutex
	got []string
}

func (l *witness) Handle(_ context.Context, e caddy.Event) error {
	l.mu.Lock()
	l.got = append(l.got, fmt.Sprint(e.Name(), " ", e.Data["n"]))
	l.mu.Unlock()
	if l.do != nil {
		l.do(e)
	}
	return nil
}

func (l *witness) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.got, want) {
		t.Errorf("%s: got %q, want %q", what, l.got, want)
	}
	l.got = nil
}

func subscriber(t *testing.T) *witness {
	t.Helper()
	ctx, stop := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(stop)
	app := new(caddyevents.App)
	l := &witness{subscribers: &subscribers{app: app, ctx: ctx}, stop: stop}
	if err := errors.Join(app.Provision(ctx), app.On("", l), app.Start()); err != nil {
		t.Fatal(err)
	}
	return l
}

func put(o *outbox, all ...int) {
	for _, n := range all {
		o.put(event{"gopr.it", map[string]any{"n": n}})
	}
}

// TestEventsGoToTheNewestThatStarted: what happens before a configuration has started waits for it; in a reload it is the new one that is told.
func TestEventsGoToTheNewestThatStarted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		old, rejected, next := subscriber(t), subscriber(t), subscriber(t)
		put(&o, 1, 2)
		synctest.Wait()
		old.expect(t, "before it has started")
		o.started(old.subscribers)
		put(&o, 3)
		synctest.Wait()
		old.expect(t, "when it has", "gopr.it 1", "gopr.it 2", "gopr.it 3")

		o.stopped(rejected.subscribers) // of a configuration that never started
		o.stopped(nil)                  // and of one that was not even provisioned
		put(&o, 4)
		synctest.Wait()
		old.expect(t, "after a rejected one", "gopr.it 4")

		o.started(next.subscribers)
		put(&o, 5)
		synctest.Wait()
		o.stopped(old.subscribers)
		old.stop()
		put(&o, 6)
		synctest.Wait()
		old.expect(t, "the old one")
		next.expect(t, "the new one", "gopr.it 5", "gopr.it 6")

		o.stopped(next.subscribers)
		put(&o, 7)
		synctest.Wait()
		next.expect(t, "after the last")
	})
}

// TestSlowSubscriber: what a subscriber holds up is bounded, and never the gateway.
func TestSlowSubscriber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		l := subscriber(t)
		l.do = func(caddy.Event) { time.Sleep(time.Second) }
		o.started(l.subscribers)
		put(&o, 0)
		synctest.Wait()
		before := counted(eventsDropped)
		for n := range maxEvents + 3 {
			put(&o, n)
		}
		if got := counted(eventsDropped) - before; got != 3 {
			t.Errorf("%v events were dropped, want 3", got)
		}
		began := time.Now()
		o.stopped(l.subscribers) // does not wait for all of them
		if d := time.Since(began); d != goodbye {
			t.Errorf("the last configuration took %v to stop, want %v", d, goodbye)
		}
		time.Sleep(time.Minute)
	})
}

// TestLastEvents: those of the end of the last configuration are waited for.
func TestLastEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		l := subscriber(t)
		l.do = func(caddy.Event) { time.Sleep(300 * time.Millisecond) }
		o.started(l.subscribers)
		put(&o, 1, 2)
		o.stopped(l.subscribers)
		l.expect(t, "when it has stopped", "gopr.it 1", "gopr.it 2")
	})
}

// TestSubscriberThatPanics: the next event is told none the less.
func TestSubscriberThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o outbox
		l := subscriber(t)
		l.do = func(caddy.Event) { panic("a subscriber's fault") }
		o.started(l.subscribers)
		put(&o, 1, 2)
		synctest.Wait()
		l.expect(t, "both", "gopr.it 1", "gopr.it 2")
		o.stopped(l.subscribers)
	})
}

// TestEventOfABackend: what subscribers are told of it.
func TestEventOfABackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := subscriber(t)
		var got map[string]any
		l.do = func(e caddy.Event) { got = e.Data }
		events.started(l.subscribers)
		g := &Group{key: groupKey{handler: "h", name: "h:0x10"}}
		g.notify(upstream.Event{Kind: upstream.BackendDown, Backend: "a:1", Up: 1, Failures: 2, Err: errors.New("refused"), NextDial: time.Unix(0, 0).UTC()})
		want := map[string]any{
			"handler": "h", "upstream": "h:0x10", "backend": "a:1", "backends_up": 1, "failures": 2, "error": "refused", "next_dial": "1970-01-01T00:00:00Z",
		}
		events.stopped(l.subscribers)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func counted(c prometheus.Counter) float64 {
	var m dto.Metric
	_ = c.Write(&m)
	return m.GetCounter().GetValue()
}
