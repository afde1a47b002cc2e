package upstream

import (
	"container/list"
	"time"
)

// Where the policy says that a client has a backend of its own, a link that was dialled is not for whoever has waited longest: each client waits for a link to its own backend.
// Group.waiting then holds those that have none, because no backend could take them.

// assign sends those that wait to their backends: a spare link is theirs at once, else they queue there for one that is dialled. g.mu is held.
func (g *Group) assign(now time.Time) (given []match) {
	for _, b := range g.backends {
		if !g.takes(b, now) {
			g.giveBack(b)
		}
	}
	for g.waiting.Len() > 0 {
		b := g.choose(g.waiting.Front().Value.(*session).key, func(b *backend) bool { return g.takes(b, now) && g.hasPlace(b) })
		if b == nil || !g.afford(b, now) {
			break
		}
		l := g.next()
		if len(b.spare) > 0 {
			given = append(given, g.give(l, b.takeSpare(), now))
			continue
		}
		l.elem, l.in = b.queue.PushBack(l), &b.queue
	}
	for _, b := range g.backends {
		for b.queue.Len() > b.awaited && b.fit(now, g.cfg.MaxLinks) {
			g.dial(b, true, now)
		}
	}
	return given
}

// takes says whether clients may wait for a link to the backend. That as many dials are under way as may be is no reason to go elsewhere. g.mu is held.
func (g *Group) takes(b *backend, now time.Time) bool {
	return g.open(b) && b.takes && (len(b.spare) > 0 || !now.Before(b.notBefore))
}

// hasPlace says whether there is, or will be, a link for one client more than those in the queue. g.mu is held.
func (g *Group) hasPlace(b *backend) bool {
	return len(b.spare) > 0 || g.cfg.MaxLinks == 0 || len(b.links)+max(b.dialing, b.queue.Len()) < g.cfg.MaxLinks
}

// giveBack has those who waited for one backend choose again, before all others. g.mu is held.
func (g *Group) giveBack(b *backend) {
	for e := b.queue.Back(); e != nil; e = b.queue.Back() {
		l := b.queue.Remove(e).(*session)
		l.elem, l.in = g.waiting.PushFront(l), g.waiting
	}
}

// claimed says whether a client waits for a link to the backend. g.mu is held.
func (g *Group) claimed(b *backend) bool {
	return b.queue.Len() > 0 || !g.cfg.Policy.keyed() && g.waiting.Len() > 0
}

// claimant takes the client out of the queue that has waited longest for a link to the backend. g.mu is held.
func (g *Group) claimant(b *backend) *session {
	if !g.cfg.Policy.keyed() {
		return g.next()
	}
	l := b.queue.Remove(b.queue.Front()).(*session)
	l.elem = nil
	return l
}

// everyWaiting yields the clients that wait for a link, to whichever backend. g.mu is held.
func (g *Group) everyWaiting(yield func(*session) bool) {
	each := func(of *list.List) bool {
		for e := of.Front(); e != nil; e = e.Next() {
			if !yield(e.Value.(*session)) {
				return false
			}
		}
		return true
	}
	for _, b := range g.backends {
		if !each(&b.queue) {
			return
		}
	}
	each(g.waiting)
}

// waitingAll is how many they are. g.mu is held.
func (g *Group) waitingAll() int {
	n := g.waiting.Len()
	for _, b := range g.backends {
		n += b.queue.Len()
	}
	return n
}
