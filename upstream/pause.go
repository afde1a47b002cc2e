package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
)

// A pause of some minutes spares a backend that is gone, and its logs, as long as others do its work. Where there are none, it would keep clients waiting for a
// backend that may long be back. So while somebody waits and no backend can serve, a pause is no longer than the longest wait between dials.

// cutPauses makes it so. g.mu is held.
func (g *Group) cutPauses(now time.Time) {
	if g.waiting.Len() == 0 && g.req.waiting.Len() == 0 {
		return
	}
	for _, b := range g.backends {
		if g.open(b) && (len(b.links) > 0 || b.dialing > 0 || !now.Before(b.notBefore)) {
			return
		}
	}
	for _, b := range g.backends {
		if b.paused && b.notBefore.After(b.resume) {
			b.notBefore = b.resume
		}
	}
}

// latest returns when a backend that fails now is dialled at the latest where nobody else can serve.
func (b *backend) latest(now time.Time, r Reconnect) time.Time {
	return now.Add(keepalive.Jitter(r.Max, r.Jitter))
}
