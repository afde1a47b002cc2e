package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// budgetRest is how long a client that the retry budget has no link for waits, give or take a half, until it is asked again.
const budgetRest = time.Second

// enqueue has the lease wait for a link; first: before all others.
func (g *Group) enqueue(l *session, first bool) {
	if !g.admit(l) {
		return
	}
	now := time.Now()
	if first {
		l.elem, l.in = g.waiting.PushFront(l), g.waiting
	} else {
		l.elem, l.in = g.waiting.PushBack(l), g.waiting
		l.queued = now
	}
	g.unlock(g.pump(now))
}

// rest has the lease wait for a link after the given time.
func (g *Group) rest(l *session, wait time.Duration) {
	if !g.admit(l) {
		return
	}
	g.resting[l] = time.AfterFunc(wait, func() { g.rested(l) })
	g.mu.Unlock()
}

func (g *Group) rested(l *session) {
	g.mu.Lock()
	if _, ok := g.resting[l]; !ok { // it has ended, or the group has
		g.mu.Unlock()
		return
	}
	now := time.Now()
	if !g.budget.spend(now.Sub(g.began)) {
		g.resting[l].Reset(keepalive.Jitter(budgetRest, 0.5))
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	defer g.wg.Done()
	delete(g.resting, l)
	l.again = true
	l.elem, l.in = g.waiting.PushBack(l), g.waiting
	l.queued = now
	g.unlock(g.pump(now))
}

// admit takes the group's lock and returns true, or false, without it, when the lease or the group is no more.
func (g *Group) admit(l *session) bool {
	g.mu.Lock()
	switch {
	case g.closed:
		g.mu.Unlock()
		l.end(ErrGroupClosed)
		return false
	case l.ended.Load(): // if it ends only now, leave will find it
		g.mu.Unlock()
		return false
	}
	return true
}

// leave takes a lease that has ended out of the queue.
func (g *Group) leave(l *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l.elem != nil {
		l.in.Remove(l.elem)
		l.elem = nil
	}
	if t, ok := g.resting[l]; ok {
		t.Stop()
		delete(g.resting, l)
	}
}

// next takes the lease that has waited longest out of the queue. g.mu is held.
func (g *Group) next() *session {
	l := g.waiting.Remove(g.waiting.Front()).(*session)
	l.elem = nil
	return l
}
