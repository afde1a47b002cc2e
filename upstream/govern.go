package upstream

import "time"

// What operators want is kept with the group and with each backend; govern makes it so. A backend that is held is sent nothing new: its clients' frames wait
// where they are. A backend that is emptied loses its links, each when it has nothing unanswered.

// open says whether a backend may get new clients, work and links. g.mu is held.
func (g *Group) open(b *backend) bool { return g.admin == Enabled && b.admin == Enabled && !b.gone }

// keeps says whether the group is to hold its clients however long it takes. g.mu is held.
func (g *Group) keeps() bool { return g.admin == Paused || g.admin == Drained }

// emptied says whether a backend's links are to go. g.mu is held.
func (g *Group) emptied(b *backend) bool {
	return b.gone || g.admin == Drained || g.admin == Disabled || b.admin == Drained || b.admin == Disabled
}

// bound says whether a client ends with its link, and so must not lose it to a verb.
func (g *Group) bound() bool { return g.cfg.Pooling != Request && g.cfg.OnLoss == Close }

// bindsHolder says whether a link has a client that ends with it. One that is told of its links does not.
func (g *Group) bindsHolder(l *link) bool {
	lease := l.lease.Load()
	return lease != nil && g.bound() && lease.linkPeer() == nil
}

// govern brings all backends in line with what operators want. It returns the leases whose frames need no longer be held. g.mu is held.
func (g *Group) govern(now time.Time) (freed []*session) {
	for _, b := range g.backends {
		emptied := g.emptied(b)
		held := !g.open(b) && !(emptied && g.bound())
		if b.held.Swap(held) && !held {
			for l := range b.links {
				if lease := l.lease.Load(); lease != nil {
					freed = append(freed, lease)
				}
			}
		}
		if emptied {
			for l := range b.links {
				g.retire(l, now)
			}
		}
	}
	if g.cfg.Pooling == Request {
		g.publish()
	}
	return freed
}

// retire takes a link out of use; it ends when it has nothing unanswered, and Config.RequestTimeout from now at the latest. g.mu is held.
func (g *Group) retire(l *link, now time.Time) {
	lease := l.lease.Load()
	switch {
	case l.shared != nil:
		l.shared.retire(now)
	case g.bindsHolder(l):
	case l.b.dropSpare(l):
		l.conn.Close(errRetired)
	case l.leaving.CompareAndSwap(false, true):
		l.limit = time.AfterFunc(g.cfg.RequestTimeout, func() { l.conn.Close(ErrRequestTimeout) })
		if lease != nil { // else it is on the way to one, which will find it so
			lease.part(l)
		}
	}
}

// waitAnew has the time that clients may wait begin now. g.mu is held.
func (g *Group) waitAnew(now time.Time) {
	for l := range g.everyWaiting {
		l.waitAnew(now)
	}
	for l := range g.resting {
		l.waitAnew(now)
	}
	for e := g.req.waiting.Front(); e != nil; e = e.Next() {
		e.Value.(*pooled).waitAnew(now)
	}
}

// holds says whether what its client sends is not to be sent on.
func (l *link) holds() bool { return l.leaving.Load() || l.b.held.Load() }

// part gives back a link that is to go, when all that was asked over it is answered.
func (l *session) part(link *link) {
	l.mu.Lock()
	if l.link != link || l.asked.Load() > 0 {
		l.mu.Unlock()
		return
	}
	l.link = nil
	l.mu.Unlock()
	link.conn.Close(errRetired)
}

// release sends what was held while its backend was.
func (l *session) release() {
	l.mu.Lock()
	link := l.link
	if link == nil || l.ended.Load() || link.holds() {
		l.mu.Unlock()
		return
	}
	room := l.sendHeld(link) && l.regain()
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
}

func (l *session) waitAnew(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = now
}

func (l *pooled) waitAnew(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since = now
}
