package gateway

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Generation is what a handler's name means from one configuration to the next. It is never changed: connections look at the newest one of their handler's name at
// each frame boundary, and adopt it.
type Generation struct {
	ID       uint64    // of its configuration; see App.Generation
	Since    time.Time // when it came into force
	Settings any       // the handler's own: immutable, and of one type
}

// Enforced are settings that are told when they come into force.
type Enforced interface{ InForce() }

// Current returns the generation in force; nil: none is, or not yet.
func (l *Live) Current() *Generation { return l.current.Load() }

var configurationsSeen atomic.Uint64

// Generation numbers the configuration: each that this process is given has the next number, also one that it rejects. A nil App has 0.
func (a *App) Generation() uint64 {
	if a == nil {
		return 0
	}
	return a.id
}

// Offer says what a handler of this configuration has for its name. It comes into force with the configuration.
func (a *App) Offer(l *Live, settings any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.offers = append(a.offers, offer{l, settings})
}

type offer struct {
	live     *Live
	settings any
}

// inForce are the configurations that run.
var inForce configurations

// configurations are those that have started and not stopped, the oldest first. In a reload there are two for a moment: the new one starts before the old one stops.
// Caddy stops the old one when every app of the new one has started, and the new one where one of them has not. So a configuration comes into force, where there was
// one before, when that is stopped: one that is rejected never does, not for a moment.
type configurations struct {
	mu      sync.Mutex
	running []*App
	newest  *App // the one in force
}

// start adds a configuration.
func (c *configurations) start(a *App) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = append(c.running, a)
	if len(c.running) == 1 {
		c.adopt(a)
	}
}

// stop takes a configuration away, and puts the newest that is left into force: next. It returns the handlers that no configuration has any more.
func (c *configurations) stop(a *App) (gone []*Live, next *App) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = slices.DeleteFunc(c.running, func(r *App) bool { return r == a })
	if n := len(c.running); n > 0 {
		next = c.running[n-1]
		if next != c.newest {
			c.adopt(next)
		}
	}
	for _, o := range a.offers {
		if !c.has(o.live) {
			gone = append(gone, o.live)
		}
	}
	return gone, next
}

// schedule is how the configuration in force has handlers drain.
func (c *configurations) schedule() Schedule {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) == 0 {
		return new(Draining).schedule()
	}
	return c.newest.schedule()
}

// has says whether a running configuration has the handler.
func (c *configurations) has(l *Live) bool {
	return slices.ContainsFunc(c.running, func(a *App) bool {
		return slices.ContainsFunc(a.offers, func(o offer) bool { return o.live == l })
	})
}

// adopt puts a configuration into force.
func (c *configurations) adopt(a *App) {
	c.newest = a
	now := time.Now()
	for _, o := range a.offers {
		o.live.adopt(&Generation{ID: a.id, Since: now, Settings: o.settings})
	}
}

// Connections that are idle are woken to adopt new settings, so many at a time: a reload is no storm.
const (
	wakeAtOnce = 256
	wakeEvery  = 5 * time.Millisecond
)

// adopt puts a generation into force, and has all connections look at it.
func (l *Live) adopt(g *Generation) {
	l.endDrain(drainGone)
	l.current.Store(g)
	if s, ok := g.Settings.(Enforced); ok {
		s.InForce()
	}
	if l.Open() == 0 {
		return
	}
	AcquireLive(l.Name) // until all are woken
	go func() {
		defer ReleaseLive(l)
		for i, c := range l.Conns() {
			if i > 0 && i%wakeAtOnce == 0 {
				time.Sleep(wakeEvery)
			}
			if l.current.Load() != g {
				return // there is a newer one, whose turn it is
			}
			c.Renew()
		}
	}()
}
