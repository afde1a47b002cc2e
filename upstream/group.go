package upstream

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Group is a set of backends and the links to them. Its methods may be called from any goroutine.
type Group struct {
	cfg    Config // with defaults
	conn   client.ConnConfig
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup // every goroutine of the group

	// mu guards all below, and all of each backend. Nothing slow runs under it: no I/O, no callback. It is taken before a lease's lock, never after.
	mu       sync.Mutex
	closed   bool
	backends []*backend
	fits     []*backend // scratch of choose
	waiting  *list.List // of *Lease, the one that has waited longest first
	dialing  int        // dials under way for those that wait
	turn     uint64
	timer    *time.Timer // the next moment at which a dial may be made that may not be made now
	timerAt  time.Time
}

// NewGroup starts a group: it dials its warm links. Close ends it.
func NewGroup(c Config) (*Group, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	dec, err := c.Format.NewDecoder(wire.Rules{})
	if err != nil {
		return nil, err
	}
	g := &Group{cfg: c, waiting: list.New()}
	g.conn = client.ConnConfig{
		Decoder:   dec,
		Limits:    &keepalive.Limits{Frame: max(c.FrameTimeout, 0)},
		Transport: &transport.Options{WriteTimeout: c.WriteTimeout, High: c.Buffer},
	}
	if c.Heartbeat.Interval > 0 {
		g.conn.Heartbeat = c.Heartbeat
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	for _, name := range c.Backends {
		b := &backend{name: name, links: make(map[*link]struct{}), retry: client.NewRetry(c.Reconnect), window: maxDialing}
		b.network, b.addr, err = splitBackend(name)
		if err != nil {
			return nil, err
		}
		g.backends = append(g.backends, b)
	}
	g.mu.Lock()
	g.pump(time.Now())
	g.mu.Unlock()
	return g, nil
}

// Close ends all links and leases, and waits for every goroutine of the group. Peers are told ErrGroupClosed.
func (g *Group) Close() error {
	g.mu.Lock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
	var orphans []*Lease
	for e := g.waiting.Front(); e != nil; e = g.waiting.Front() {
		orphans = append(orphans, g.waiting.Remove(e).(*Lease))
	}
	g.mu.Unlock()
	g.cancel(ErrGroupClosed)
	for _, l := range orphans {
		l.end(ErrGroupClosed)
	}
	g.wg.Wait()
	return nil
}

// Lease takes a hold on the group for one client. It returns at once; frames that are sent before there is a link wait for it. The caller must
// close the lease.
func (g *Group) Lease(p Peer) *Lease {
	l := &Lease{g: g, peer: p}
	g.enqueue(l)
	return l
}

// enqueue has the lease wait for a link.
func (g *Group) enqueue(l *Lease) {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		l.end(ErrGroupClosed)
		return
	}
	if l.over() {
		g.mu.Unlock()
		return
	}
	l.elem = g.waiting.PushBack(l)
	given := g.pump(time.Now())
	g.mu.Unlock()
	hand(given)
}

// leave takes a lease that has ended out of the queue.
func (g *Group) leave(l *Lease) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.elem != nil {
		g.waiting.Remove(l.elem)
		l.elem = nil
	}
}

// match is a link for a lease, to be handed over when the group's lock is given up.
type match struct {
	lease *Lease
	link  *link
}

func hand(given []match) {
	for _, m := range given {
		m.lease.take(m.link)
	}
}

// pump does what can be done now: gives links to those that wait, starts dials for the others and for the warm spares, and sets the timer for what must wait.
// It is called after everything that may change the answer. g.mu is held; the caller hands over what is returned after giving it up.
func (g *Group) pump(now time.Time) (given []match) {
	if g.closed {
		return nil
	}
	for g.waiting.Len() > g.dialing {
		b := g.choose(now)
		if b == nil {
			break
		}
		if len(b.spare) > 0 {
			given = append(given, match{g.next(), b.takeSpare()})
			continue
		}
		g.dialing++
		g.dial(b, true, now)
	}
	for _, b := range g.backends {
		for len(b.spare)+b.dialing < g.cfg.MinLinks && b.fit(now, g.cfg.MaxLinks) {
			g.dial(b, false, now)
		}
	}
	g.setTimer(now)
	return given
}

// next takes the lease that has waited longest out of the queue. g.mu is held.
func (g *Group) next() *Lease {
	l := g.waiting.Remove(g.waiting.Front()).(*Lease)
	l.elem = nil
	return l
}

// choose returns the backend for the next client: one with a spare link, or one that may be dialled; nil: none now. g.mu is held.
func (g *Group) choose(now time.Time) *backend {
	g.fits = g.fits[:0]
	for _, b := range g.backends {
		if len(b.spare) > 0 || b.fit(now, g.cfg.MaxLinks) {
			g.fits = append(g.fits, b)
		}
	}
	if len(g.fits) == 0 {
		return nil
	}
	b := policies[g.cfg.Policy](g.fits, g.turn)
	g.turn++
	return b
}

// setTimer has pump called when the next backend may be dialled, if anything waits for that. g.mu is held.
func (g *Group) setTimer(now time.Time) {
	var at time.Time
	for _, b := range g.backends {
		wanted := g.waiting.Len() > g.dialing || len(b.spare)+b.dialing < g.cfg.MinLinks
		if due := b.retry.NextAt(); wanted && due.After(now) {
			at = keepalive.Earliest(at, due)
		}
	}
	if at.IsZero() || at.Equal(g.timerAt) {
		return
	}
	g.timerAt = at
	if g.timer == nil {
		g.timer = time.AfterFunc(at.Sub(now), g.wake)
		return
	}
	g.timer.Reset(at.Sub(now))
}

func (g *Group) wake() {
	g.mu.Lock()
	g.timerAt = time.Time{}
	given := g.pump(time.Now())
	g.mu.Unlock()
	hand(given)
}
