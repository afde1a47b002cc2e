package upstream

import (
	"log/slog"
	"net"
	"slices"
	"time"
)

// setFound brings the discovered backends in line with a good answer: new ones are added, those that are gone take nothing new and are emptied. It returns the
// leases whose frames need no longer be held. g.mu is held.
func (g *Group) setFound(all []Found, now time.Time) (freed []*session) {
	weights := make(map[string]int, len(all))
	for _, f := range all {
		weights[f.Addr] = max(1, f.Weight)
	}
	for _, b := range g.backends {
		weight, there := weights[b.name]
		delete(weights, b.name)
		switch {
		case !b.found: // configured, whatever DNS says
		case !there && !b.gone:
			b.gone = true
			g.note(slog.LevelInfo, "backend is gone from discovery", slog.String("backend", b.name))
		case there:
			b.gone, b.weight, b.stand.share = false, weight, weight
		}
	}
	for _, f := range all {
		weight, isNew := weights[f.Addr]
		if !isNew {
			continue
		}
		b, err := newBackend(f.Addr, &g.cfg, false)
		if err != nil {
			continue // find has looked at it
		}
		b.pace, b.found, b.weight, b.stand.share = g.pace, true, weight, weight
		if d := g.cfg.Discovery; d.Records == RecordsA {
			b.server = d.Name
		}
		g.backends = append(g.backends, b)
		g.note(slog.LevelInfo, "backend discovered", slog.String("backend", b.name))
	}
	freed = g.govern(now)
	g.judge(now)
	return freed
}

// reap forgets backends that are gone and have no link left. g.mu is held.
func (g *Group) reap() {
	g.backends = slices.DeleteFunc(g.backends, func(b *backend) bool {
		return b.gone && len(b.links) == 0 && b.dialing == 0 && b.queue.Len() == 0
	})
}

// loopback says whether a discovered backend turned out to be on the gateway's own loopback, where it must not be.
func (g *Group) loopback(b *backend, nc net.Conn) bool {
	if !b.found || g.cfg.Discovery.AllowLoopback {
		return false
	}
	tcp, ok := nc.RemoteAddr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
