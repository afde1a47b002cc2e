package upstream

import "time"

// EventKind is what happened to a backend. Only changes are told, not how things are when a group begins.
type EventKind string

// The kinds.
const (
	BackendDown  EventKind = "upstream.down"  // it failed, and had not before or had come back
	BackendUp    EventKind = "upstream.up"    // a dial worked again
	BreakerOpens EventKind = "breaker.open"   // it failed, once more or for the first time, and is left alone until NextDial
	BreakerShuts EventKind = "breaker.closed" // it may be dialled as any other again
)

// Event is a change of a backend.
type Event struct {
	Kind     EventKind
	Backend  string    // as in the configuration
	Up       int       // how many backends of the group are not failing
	Failures int       // in a row
	Err      error     // why it failed; nil: it did not
	NextDial time.Time // not before; zero: at once
}

// down notes that a backend failed, for the first time in a row or again. g.mu is held.
func (g *Group) down(b *backend, first bool, err error) {
	if first {
		g.event(BackendDown, b, err)
	}
	g.event(BreakerOpens, b, err)
}

// up notes that a backend is back. g.mu is held.
func (g *Group) up(b *backend) {
	g.event(BreakerShuts, b, nil)
	g.event(BackendUp, b, nil)
}

// event has a change told. g.mu is held.
func (g *Group) event(kind EventKind, b *backend, err error) {
	if g.cfg.Notify == nil {
		return
	}
	e := Event{Kind: kind, Backend: b.name, Failures: b.retry.Failures(), Err: err, NextDial: b.notBefore}
	for _, b := range g.backends {
		if !b.failing() {
			e.Up++
		}
	}
	g.events = append(g.events, e)
}

// tell tells what has changed, in the order in which it did, whichever goroutine comes first. It is called without a lock.
func (g *Group) tell() {
	g.telling.Lock()
	defer g.telling.Unlock()
	g.mu.Lock()
	events := g.events
	g.events = nil
	g.mu.Unlock()
	for _, e := range events {
		g.cfg.Notify(e)
	}
}
