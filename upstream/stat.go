package upstream

import "time"

// Stat is what a group looks like at one moment.
type Stat struct {
	Waiting  int           // clients without a link
	Backends []BackendStat // in the order of the configuration

	Waits Times `json:"waits"` // of those that got a link, or under request pooling, where they had to wait for it, room on one
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

	Used     int `json:"used"`     // links that clients have; under request pooling, requests in flight
	Capacity int `json:"capacity"` // how many Used may become; 0: without a bound

	// Requests is how long answers took, from when the request went to the link. Under request pooling, all of them; under session pooling, those to requests that
	// found no other of their client unanswered, of formats that say which frames answer.
	Requests Times `json:"requests"`
	// RTT is the round trips of the heartbeat, those that were measured.
	RTT Times `json:"rtt"`

	HeartbeatsAnswered uint64 `json:"heartbeats_answered"` // pings that were answered
	HeartbeatsMissed   uint64 `json:"heartbeats_missed"`   // pings that were not in time, which ended their link
}

// Stat returns a snapshot.
func (g *Group) Stat() Stat {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := Stat{Waiting: g.waiting.Len() + g.req.waiting.Len(), Backends: make([]BackendStat, 0, len(g.backends)), Waits: g.waits.times()}
	for _, b := range g.backends {
		bs := BackendStat{
			Backend: b.name, State: b.state(now, g.cfg.Reconnect.Attempts),
			Links: len(b.links), Spare: len(b.spare), Dialing: b.dialing, Failures: b.failures(now),
			Dials: b.dials, DialErrors: b.dialErrors, Lost: b.lost,
			Requests: b.requests.times(), RTT: b.rtt.times(),
			HeartbeatsAnswered: b.beats.Load(), HeartbeatsMissed: b.missed.Load(),
		}
		bs.Used, bs.Capacity = bs.Links-bs.Spare, g.cfg.MaxLinks
		if g.cfg.Pooling == Request {
			bs.Used, bs.Capacity = b.inFlight(), g.cfg.MaxLinks*g.cfg.MaxInflight
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
