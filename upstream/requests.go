package upstream

import (
	"container/list"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// requests is what a group needs for request pooling.
type requests struct {
	links     atomic.Pointer[pool] // nil: none yet
	waiting   list.List            // of *pooled, the one that has waited longest first; guarded by the group's lock
	waiters   atomic.Int64         // its length: clients whose frames wait for room
	turn      atomic.Uint64
	serving   sync.Mutex  // held by who serves those that wait
	again     atomic.Bool // there may be room that he has not seen
	refilling atomic.Bool // somebody waits for BackupRate, and will be looked at again
	sweeper   *time.Timer
}

// sharedBuffer is how many bytes a shared link may have unsent, at least, before it has no room.
const sharedBuffer = 1 << 20

// all returns those that wait. The group's lock is held.
func (r *requests) all() []*pooled {
	var all []*pooled
	for e := r.waiting.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*pooled))
	}
	return all
}

// sweepEvery is how often links and clients are looked at for what time alone brings about.
const sweepEvery = time.Second

// maxServed is how many of those that wait are tried when there is room.
const maxServed = 32

// pick returns the link for a run of requests: of the backend that the policy chooses among those with room, the one with the fewest in flight. nil: there is no
// room now. It asks for another link where the one it returns is half full.
func (g *Group) pick(l *pooled, asks int, now time.Time) *shared {
	links := g.req.links.Load()
	if links == nil {
		return nil
	}
	if links.backups && !g.affordRequests(now, asks) {
		return nil
	}
	best := links.pick(g.cfg.Policy, choice{turn: g.req.turn.Add(1), key: l.key, asks: asks})
	if best != nil && int(best.inflight.Load())+asks > g.cfg.MaxInflight/2 && best.b.growing.CompareAndSwap(false, true) {
		g.grow(best.b)
	}
	return best
}

// grow dials one more link to a backend, if it may have one. Its callers may hold a lease's lock, which is taken after the group's: so it does not wait for that, and
// the next one that finds the link half full tries again.
func (g *Group) grow(b *backend) {
	if !g.mu.TryLock() {
		b.growing.Store(false)
		return
	}
	now := time.Now()
	if !g.closed && g.open(b) && b.dialing == 0 && b.fit(now, g.cfg.MaxLinks) {
		g.dial(b, false, now)
	}
	g.mu.Unlock() // where it may not grow now, sweep lets it ask again
}

// publish makes the links in use known to pick. g.mu is held.
func (g *Group) publish() {
	var all []useable
	for _, b := range g.backends {
		if b.held.Load() || !b.takes {
			continue
		}
		u := useable{b: b, stand: b.stand}
		for l := range b.links {
			if !l.shared.over() {
				u.links = append(u.links, l.shared)
			}
		}
		if len(u.links) > 0 {
			slices.SortFunc(u.links, func(x, y *shared) int { return x.up.Compare(y.up) })
			all = append(all, u)
		}
	}
	g.req.links.Store(newPool(all, g.backups))
}

// await has a lease wait for room.
func (g *Group) await(l *pooled) {
	g.mu.Lock()
	switch {
	case g.closed:
		g.mu.Unlock()
		l.end(ErrGroupClosed)
		return
	case l.ended.Load() || l.elem != nil:
		g.mu.Unlock()
		return
	case g.req.waiting.Len() >= g.cfg.MaxWaiting && !g.keeps():
		g.mu.Unlock()
		l.end(ErrBusy)
		return
	}
	l.elem = g.req.waiting.PushBack(l)
	g.req.waiters.Add(1)
	g.unlock(g.pump(time.Now()))
	g.serveWaiting() // room that came before it waited was not offered to it
}

// forget takes a lease out of the queue.
func (g *Group) forget(l *pooled) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.elem != nil {
		g.req.waiting.Remove(l.elem)
		l.elem = nil
		g.req.waiters.Add(-1)
	}
}

// serveWaiting gives room to those that wait for it, the one that has waited longest first.
func (g *Group) serveWaiting() {
	for g.req.waiters.Load() > 0 {
		g.req.again.Store(true)
		if !g.req.serving.TryLock() {
			return // he who serves will look again
		}
		g.req.again.Store(false)
		more := g.serveOnce()
		g.req.serving.Unlock()
		if !more && !g.req.again.Load() {
			return
		}
	}
}

// serveOnce tries the first of those that wait. more: there are others, and there may still be room.
func (g *Group) serveOnce() (more bool) {
	var some [maxServed]*pooled
	g.mu.Lock()
	n := 0
	for e := g.req.waiting.Front(); e != nil && n < len(some); e = e.Next() {
		if l := e.Value.(*pooled); !l.stuck() {
			some[n] = l
			n++
		}
	}
	g.mu.Unlock()
	now := time.Now()
	served := 0
	for _, l := range some[:n] {
		if l.flush(now) {
			g.served(l)
			served++
		}
	}
	return n == len(some) && served == n
}

// served takes a lease out of the queue, unless frames wait again.
func (g *Group) served(l *pooled) {
	g.mu.Lock()
	l.mu.Lock()
	done := len(l.runs) == 0
	l.mu.Unlock()
	if done && l.elem != nil {
		g.req.waiting.Remove(l.elem)
		l.elem = nil
		g.req.waiters.Add(-1)
	}
	g.mu.Unlock()
}

// sweep does what time alone brings about: waits and requests that took too long, links that are too old or not needed.
func (g *Group) sweep() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	defer g.wg.Done()
	now := time.Now()
	tired := g.tired(now)
	var unanswered []*pooled
	if g.cfg.Pooling == Request {
		for _, b := range g.backends {
			b.growing.Store(false)
			unanswered = append(unanswered, g.sweepLinks(b, now)...)
		}
		g.publish()
	}
	g.unlock(g.pump(now))
	for _, l := range tired {
		l.end(ErrWait)
	}
	for _, l := range unanswered {
		l.end(ErrRequestTimeout)
	}
	g.mu.Lock()
	if !g.closed {
		g.req.sweeper.Reset(sweepEvery)
	}
	g.mu.Unlock()
}

// sharedEnded is called when a shared link is no more: those it owes an answer end, all others go on over other links.
func (g *Group) sharedEnded(s *shared, err error) {
	orphans := s.orphans(err)
	b := s.b
	g.mu.Lock()
	now := time.Now()
	delete(b.links, s.link)
	g.noteEnd(b, err, now)
	if !g.closed && !errors.Is(err, errRetired) {
		b.lost++
		if s.answers.Load() == 0 && now.Sub(s.up) < g.cfg.Reconnect.Stable {
			g.failure(b, now, s.began, err) // it was never of use
		}
		for l := range orphans {
			g.accuse(b, s.up, now, l.client)
		}
	}
	g.publish()
	g.unlock(g.pump(now))
	for l, n := range orphans {
		l.lost(b.name, n, err)
	}
	g.serveWaiting()
}

// sweepLinks retires links and returns the clients whose answers are late. g.mu is held.
func (g *Group) sweepLinks(b *backend, now time.Time) (late []*pooled) {
	inUse := 0
	for l := range b.links {
		if !l.shared.over() {
			inUse++
		}
	}
	for l := range b.links {
		s := l.shared
		who := s.late(now.Add(-g.cfg.RequestTimeout))
		late = append(late, who...)
		for _, l := range who {
			g.accuse(b, s.up, now, l.client)
		}
		switch {
		case len(who) > 0 && !s.over():
			s.retire(now) // its order can't be trusted
		case s.retiredBefore(now.Add(-g.cfg.RequestTimeout)):
			s.conn.Close(ErrRequestTimeout)
		case g.cfg.MaxAge > 0 && !s.over() && now.After(l.renew):
			s.retire(now)
		case inUse > g.minShared() && s.idleSince(now.Add(-g.cfg.Idle)):
			inUse--
			s.retire(now)
		}
	}
	return late
}

// tired returns the leases whose frames have waited for too long. g.mu is held.
func (g *Group) tired(now time.Time) (all []interface{ end(error) }) {
	if g.keeps() {
		return nil
	}
	before := now.Add(-g.cfg.Wait)
	look := func(l *session) {
		if l.waitsSince(before) {
			all = append(all, l)
		}
	}
	for l := range g.everyWaiting {
		look(l)
	}
	for l := range g.resting {
		look(l)
	}
	for e := g.req.waiting.Front(); e != nil; e = e.Next() {
		if l := e.Value.(*pooled); l.waitsSince(before) {
			all = append(all, l)
		}
	}
	return all
}

func (l *pooled) waitsSince(before time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs) > 0 && l.since.Before(before)
}

func (l *session) waitsSince(before time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0 && !l.linked && l.since.Before(before)
}

func (s *shared) retiredBefore(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.retired.IsZero() && s.retired.Before(t)
}

func (s *shared) idleSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.dead && s.retired.IsZero() && s.ledger.open() == 0 && s.idle.Before(t)
}
