package upstream

import "time"

// Stat is what a group looks like at one moment.
type Stat struct {
	Waiting  int           // clients without a link
	Backends []BackendStat // in the order of the configuration
}

// BackendStat is what one backend looks like at one moment.
type BackendStat struct {
	Backend  string    // as in the configuration
	State    string    // disconnected, connecting, connected; after a failure, until a dial works: reconnecting, paused
	Links    int       // that are up
	Spare    int       // of these, without a client
	Dialing  int       // dials under way
	Failures int       // in a row
	NextDial time.Time // not before; zero: at once
	Error    string    // why it failed last; "": it never did

	Dials      uint64 // dials begun
	DialErrors uint64 // of these, failed
	Lost       uint64 // links that ended otherwise than with their client
}

// Stat returns a snapshot.
func (g *Group) Stat() Stat {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := Stat{Waiting: g.waiting.Len() + g.req.waiting.Len(), Backends: make([]BackendStat, 0, len(g.backends))}
	for _, b := range g.backends {
		bs := BackendStat{
			Backend: b.name, State: b.state(now, g.cfg.Reconnect.Attempts),
			Links: len(b.links), Spare: len(b.spare), Dialing: b.dialing, Failures: b.failures(now),
			Dials: b.dials, DialErrors: b.dialErrors, Lost: b.lost,
		}
		if at := b.notBefore; at.After(now) {
			bs.NextDial = at
		}
		if b.err != nil {
			bs.Error = b.err.Error()
		}
		s.Backends = append(s.Backends, bs)
	}
	return s
}
