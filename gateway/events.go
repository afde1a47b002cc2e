package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// maxEvents is how many events may wait for subscribers that are slow. More are dropped, and counted: a subscriber must never hold up the gateway.
const maxEvents = 1024

// goodbye is how long the last configuration waits, when it stops, for the subscribers to the events of its end.
const goodbye = 2 * time.Second

// event is what happened, once.
type event struct {
	name string
	data map[string]any
}

// Emit has an event emitted by Caddy's events app, soon and by another goroutine. It never blocks. Events come to subscribers in the order of the calls. data must
// not be changed any more.
func Emit(name string, data map[string]any) { events.put(event{name, data}) }

// events are on their way to the subscribers of the newest configuration that has started. Those of one that has not (a backend that fails while it starts)
// wait for it: before that, Caddy does not know its subscribers.
var events outbox

// outbox is a bounded queue, and a goroutine while there is something in it.
type outbox struct {
	mu      sync.Mutex
	queue   []event
	running []*subscribers // of the configurations that have started, the newest last
	busy    bool           // the goroutine is there
	idle    chan struct{}  // closed when it has gone
}

// subscribers are one configuration's.
type subscribers struct {
	app *caddyevents.App
	ctx caddy.Context
}

func (o *outbox) put(e event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= maxEvents {
		eventsDropped.Inc()
		return
	}
	o.queue = append(o.queue, e)
	o.work()
}

// work starts the goroutine, if there is need for one. o.mu is held.
func (o *outbox) work() {
	if !o.busy && len(o.queue) > 0 && len(o.running) > 0 {
		o.busy, o.idle = true, make(chan struct{})
		go o.deliver()
	}
}

// deliver empties the queue.
func (o *outbox) deliver() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 && len(o.running) > 0 {
		e, to := o.queue[0], o.running[len(o.running)-1]
		o.queue = o.queue[1:]
		o.mu.Unlock()
		to.emit(e)
		o.mu.Lock()
	}
	o.busy = false
	close(o.idle)
}

// emit has the subscribers told, whose faults are not the gateway's.
func (s *subscribers) emit(e event) {
	defer func() {
		if r := recover(); r != nil {
			Log.Error("panic in a subscriber to an event", "event", e.name, "panic", r)
		}
	}()
	s.app.Emit(s.ctx, e.name, e.data)
}

// started is told when a configuration runs.
func (o *outbox) started(s *subscribers) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = append(o.running, s)
	o.work()
}

// stopped is told when it does no more. The last one waits a while for its subscribers; after that there is nobody to tell.
func (o *outbox) stopped(s *subscribers) {
	o.mu.Lock()
	defer o.mu.Unlock()
	last := len(o.running) == 1 && o.running[0] == s
	if last && o.busy {
		idle := o.idle
		o.mu.Unlock()
		select {
		case <-idle:
		case <-time.After(goodbye):
		}
		o.mu.Lock()
	}
	o.running = slices.DeleteFunc(o.running, func(r *subscribers) bool { return r == s })
	if len(o.running) == 0 {
		o.queue = nil
	}
}

// whenStarted is a subscriber to Caddy's own event of that name. It is no func: Caddy writes subscribers to its debug log, as JSON.
type whenStarted struct{ do func() }

// Handle implements caddyevents.Handler.
func (f whenStarted) Handle(context.Context, caddy.Event) error {
	f.do()
	return nil
}

// subscribe prepares the way to the subscribers of a configuration that is being loaded.
func subscribe(ctx caddy.Context) (*subscribers, error) {
	mod, err := ctx.App("events")
	if err != nil {
		return nil, err
	}
	s := &subscribers{app: mod.(*caddyevents.App), ctx: ctx}
	return s, s.app.On("started", whenStarted{func() { events.started(s) }})
}

// notify tells of a change of one of the group's backends.
func (g *Group) notify(e upstream.Event) {
	data := map[string]any{
		"handler": g.key.handler, "upstream": g.key.name, "backend": e.Backend, "backends_up": e.Up, "failures": e.Failures,
	}
	if e.Err != nil {
		data["error"] = e.Err.Error()
	}
	if !e.NextDial.IsZero() {
		data["next_dial"] = e.NextDial.Format(time.RFC3339Nano)
	}
	Emit("gopr."+string(e.Kind), data)
}
