package upstream

import "time"

// Backups take new work when no other backend can be expected to, and no more of it in a second than BackupRate: what comes beyond that waits, as it would
// without a backend. So a group that lost its backends does not fell the one that helps it out.

// afford says whether a backend may be given so much new work now. If not, whoever waits is looked at again when it may. g.mu is held.
func (g *Group) afford(b *backend, now time.Time) bool {
	if !b.backup {
		return true
	}
	wait := g.ration.Take(now, 1)
	if wait > 0 {
		g.rationAt = now.Add(wait)
	}
	return wait == 0
}

// free says whether a link that was dialled for nobody may go to who waits for it. Who is to have one from a backup waits for a dial that was afforded, or has been
// sent to its queue; a link that goes to him otherwise would be paid twice, or not at all. g.mu is held.
func (g *Group) free(b *backend) bool { return g.cfg.Policy.keyed() || b.takes && !b.backup }

// affordRequests is afford for requests, by who does not hold the lock.
func (g *Group) affordRequests(now time.Time, asks int) bool {
	wait := g.ration.Take(now, max(1, asks)) // frames that ask nothing are work, too
	if wait > 0 && g.req.refilling.CompareAndSwap(false, true) {
		time.AfterFunc(wait, g.refill)
	}
	return wait == 0
}

// refill serves those that waited for the rate.
func (g *Group) refill() {
	g.req.refilling.Store(false)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	g.mu.Unlock()
	defer g.wg.Done()
	g.serveWaiting()
}
