package gateway

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// What a client connection is counted for beside its buffers: Caddy's part and this module's, its goroutine, its place in the books. Rounded up from what idle ones
// take that are served by goroutines (docs/performance.md); one on an event loop takes less.
const (
	plainCost = 10 << 10
	tlsCost   = 44 << 10
)

// memory is that of the process.
var memory account

// account is how much there is, and how much may be.
type account struct {
	fixed   atomic.Int64 // of the connections, beside their buffers
	ceiling atomic.Int64 // of the newest configuration that runs; 0: none

	mu      sync.Mutex // guards all below
	running []*App
}

// used is what all connections and links take, in bytes.
func (m *account) used() int64 { return transport.Held() + upstream.Held() + m.fixed.Load() }

// short says whether the ceiling is reached.
func (m *account) short() bool {
	ceiling := m.ceiling.Load()
	return ceiling > 0 && m.used() >= ceiling
}

// push has a configuration's ceiling hold, pop has the one before hold again: see logs.
func (m *account) push(a *App) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = append(m.running, a)
	m.ceiling.Store(int64(a.Memory))
}

func (m *account) pop(a *App) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = slices.DeleteFunc(m.running, func(r *App) bool { return r == a })
	if n := len(m.running); n > 0 {
		m.ceiling.Store(int64(m.running[n-1].Memory))
	} else {
		m.ceiling.Store(0)
	}
}

// guardEvery is how often it is looked at whether the ceiling is reached. What may come between is what the clients' lines carry in that time.
const guardEvery = 100 * time.Millisecond

// guard closes connections at the ceiling, until stop is closed.
func (m *account) guard(stop <-chan struct{}) {
	tick := time.NewTicker(guardEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if m.short() {
				m.relieve(time.Now())
			}
		case <-stop:
			return
		}
	}
}

// victim is a connection that may be closed to make room.
type victim struct {
	conn  Conn
	held  int
	heard time.Time // zero: it has never sent a frame
	idle  bool
}

// idleAfter is how long a client must be silent to be called idle when memory is short. One that does not read what it asked for is not read either, and so is silent.
const idleAfter = time.Second

// lump is how much more a connection must hold to go before another.
const lump = 64 << 10

// order sorts those that go first to the front: the idle before all others, and among those whoever holds more, who has never spoken, who has been silent for longest.
func order(a, b victim) int {
	first := func(a, b bool) int {
		switch {
		case a == b:
			return 0
		case a:
			return -1
		default:
			return 1
		}
	}
	if c := first(a.idle, b.idle); c != 0 {
		return c
	}
	if c := b.held/lump - a.held/lump; c != 0 {
		return c
	}
	if c := first(a.heard.IsZero(), b.heard.IsZero()); c != 0 {
		return c
	}
	return a.heard.Compare(b.heard)
}

// relieve closes connections until nine tenths of the ceiling are left, by what they are known to hold. Their memory is free a moment later.
func (m *account) relieve(now time.Time) {
	ceiling := m.ceiling.Load()
	over := m.used() - ceiling/10*9
	var all []victim
	lives.Range(func(_, v any) bool {
		for _, c := range v.(*Live).Conns() {
			held, heard := c.Weight()
			all = append(all, victim{c, held, heard, now.Sub(heard) >= idleAfter})
		}
		return true
	})
	slices.SortFunc(all, order)
	n := 0
	for _, v := range all {
		if over <= 0 {
			break
		}
		v.conn.End(RefusedMemory)
		over -= int64(v.held + plainCost)
		n++
	}
	if ok, suppressed := memoryQuiet.Pass(RefusedMemory, now); ok {
		Log.Warn("memory ceiling reached", "used", m.used(), "ceiling", ceiling, "closed", n, "suppressed", suppressed)
	}
}

var memoryQuiet Quiet
