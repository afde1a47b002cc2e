package upstream

import "time"

// outdate has each of the backend's links renewed. g.mu is held.
func (b *backend) outdate() {
	b.old = append(b.old[:0], b.spare...) // nobody misses those
	for l := range b.links {
		if l.lease.Load() != nil || l.shared != nil {
			b.old = append(b.old, l)
		}
	}
}

// renewNext goes on with the renewal of a backend's links, one at a time. A shared link is replaced before it goes, if the bound on links allows it; a client's goes
// while the backend can be dialled, and a spare, if there is one, takes its place. g.mu is held.
func (g *Group) renewNext(b *backend, now time.Time) {
	for len(b.old) > 0 && g.open(b) && !now.Before(b.notBefore) && g.pace.ready(now) {
		if _, there := b.links[b.renewing]; there || b.replacing || b.dialing > 0 && b.dialled() <= b.renewed {
			return // the last one has not gone, or what takes its place has not come
		}
		l := b.nextOld()
		_, there := b.links[l]
		switch {
		case !there || l.shared != nil && l.shared.over() || l.leaving.Load() || g.bindsHolder(l):
			b.dropOld(l) // it has gone, is about to, or can't be taken from its client
		case l.shared != nil && !b.replaced && b.mayGrow(g.cfg.MaxLinks):
			b.replacing = true
			g.dial(b, false, now)
		default:
			b.replaced, b.renewing, b.renewed = false, l, b.dials
			b.dropOld(l)
			g.retire(l, now)
			if l.shared != nil {
				g.publish()
			}
		}
	}
	if len(b.old) == 0 {
		b.old, b.replaced = nil, false
	}
}

// dialled is how many dials have come to an end.
func (b *backend) dialled() uint64 { return b.dials - uint64(b.dialing) }

// maxLooked is how many links are looked at to find one that is not busy.
const maxLooked = 64

// nextOld returns the link to renew next: rather one that can go at once.
func (b *backend) nextOld() *link {
	for _, l := range b.old[:min(len(b.old), maxLooked)] {
		if lease := l.lease.Load(); lease == nil || lease.asked.Load() == 0 {
			return l
		}
	}
	return b.old[0]
}

func (b *backend) dropOld(l *link) {
	for i := range b.old {
		if b.old[i] == l {
			last := len(b.old) - 1
			b.old[i], b.old[last] = b.old[last], nil
			b.old = b.old[:last]
			return
		}
	}
}
