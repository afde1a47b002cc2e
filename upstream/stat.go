package upstream

import (
	"maps"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// Stat is what a group looks like at one moment.
type Stat struct {
	Admin    Admin         `json:"admin"`    // what an operator wants of the group
	Pooling  Pooling       `json:"pooling"`  // how links are shared
	Waiting  int           `json:"waiting"`  // clients whose frames wait; under session pooling, clients without a link
	Backends []BackendStat `json:"backends"` // in the order of the configuration, then those that were discovered

	Discovery *DiscoveryStat `json:"discovery,omitempty"` // nil: there is none

	Waits Times `json:"waits"` // of those that got a link, or under request pooling, where they had to wait for it, room on one
}

// BackendStat is what one backend looks like at one moment.
type BackendStat struct {
	Backend  string    `json:"backend"`            // as in the configuration
	Admin    Admin     `json:"admin"`              // what an operator wants of it
	State    string    `json:"state"`              // disconnected, connecting, connected; after a failure, until a dial works: reconnecting, paused
	Breaker  Breaker   `json:"breaker"`            // whether it may be dialled
	Links    int       `json:"links"`              // that are up
	Spare    int       `json:"spare"`              // of these, without a client
	Renewing int       `json:"renewing"`           // of these, still to be renewed, as an operator said
	InFlight int       `json:"in_flight"`          // requests unanswered on its links
	Dialing  int       `json:"dialing"`            // dials under way
	Failures int       `json:"failures"`           // in a row
	NextDial time.Time `json:"next_dial,omitzero"` // not before; zero: at once, or where the breaker is open, when an operator says so
	Error    string    `json:"error,omitempty"`    // why it failed last; "": it never did

	Backup       bool          `json:"backup,omitempty"`        // it takes new work when none of the others can be expected to
	Weight       int           `json:"weight"`                  // as in the configuration
	Takes        bool          `json:"takes"`                   // whether new work goes to it
	Health       health.Report `json:"health"`                  // its score, and what that is made of
	EjectedUntil time.Time     `json:"ejected_until,omitzero"`  // while it is put aside as an outlier; zero: it is not
	Ejections    int           `json:"ejections,omitempty"`     // how often in a row it was
	ProbesFailed bool          `json:"probes_failed,omitempty"` // it is out until its probes succeed

	Dials      uint64 `json:"dials"`       // dials begun
	DialErrors uint64 `json:"dial_errors"` // of these, failed
	Lost       uint64 `json:"lost"`        // links that ended otherwise than with their client, or for an operator

	Ended           map[string]uint64 `json:"ended"`              // links that ended, by reason
	Unsolicited     uint64            `json:"unsolicited_frames"` // frames that answered nothing and so were nobody's, under request pooling
	Handshakes      uint64            `json:"handshakes"`         // with TLS: those that ended
	HandshakeErrors uint64            `json:"handshake_errors"`   // of these, failed

	Connections int `json:"connections,omitempty"` // under mux pooling: those that carry the links

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

// Breaker says whether a backend may be dialled.
type Breaker string

// What it may be.
const (
	BreakerClosed   Breaker = "closed"    // it may
	BreakerOpen     Breaker = "open"      // it failed, and is left alone until NextDial
	BreakerHalfOpen Breaker = "half_open" // it failed and that time is over: one dial at a time says whether it is back
)

// Stat returns a snapshot.
func (g *Group) Stat() Stat {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	s := Stat{Admin: g.admin, Pooling: g.cfg.Pooling, Waiting: g.waitingAll() + g.req.waiting.Len(), Backends: make([]BackendStat, 0, len(g.backends)), Waits: g.waits.times()}
	if g.cfg.Discovery != nil {
		found := g.discovered
		s.Discovery = &found
	}
	for _, b := range g.backends {
		bs := BackendStat{
			Backend: b.name, Admin: b.admin, State: b.state(now), Breaker: b.breaker(now),
			Links: len(b.links), Spare: len(b.spare), Renewing: len(b.old), InFlight: b.inFlight(), Dialing: b.dialing, Failures: b.failures(now),
			Dials: b.dials, DialErrors: b.dialErrors, Lost: b.lost, Ended: maps.Clone(b.ended), Unsolicited: b.unsolicited.Load(),
			Connections: g.connections(b), Handshakes: b.handshakes, HandshakeErrors: b.handshakeErrors,
			Requests: b.requests.times(), RTT: b.rtt.times(),
			HeartbeatsAnswered: b.beats.Load(), HeartbeatsMissed: b.missed.Load(),
		}
		bs.Used, bs.Capacity = bs.Links-bs.Spare, g.cfg.MaxLinks
		if g.cfg.Pooling == Request {
			bs.Used, bs.Capacity = b.inFlight(), g.cfg.MaxLinks*g.cfg.MaxInflight
		}
		if b.gone {
			bs.Admin = Removed
		}
		if at := b.notBefore; at.After(now) && g.cfg.Reconnect.Strategy != client.NoReconnect {
			bs.NextDial = at
		}
		g.describe(&b.fitness, &bs, now)
		if b.err != nil {
			bs.Error = b.err.Error()
		}
		s.Backends = append(s.Backends, bs)
	}
	return s
}
