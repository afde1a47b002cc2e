package upstream

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// Policy is how the backend for the next link is chosen among those that may be used.
type Policy string

// The policies.
const (
	RoundRobin Policy = "round_robin" // each in turn
	LeastConn  Policy = "least_conn"  // the one with the fewest clients
	Random     Policy = "random"      // of two taken at random, the one with fewer clients
	First      Policy = "first"       // the first in the order of the configuration
)

// policies choose one of the backends, of which there is at least one. The group's lock is held; turn counts the choices made.
var policies = map[Policy]func(of []*backend, turn uint64) *backend{
	RoundRobin: func(of []*backend, turn uint64) *backend { return of[turn%uint64(len(of))] },
	LeastConn: func(of []*backend, turn uint64) *backend {
		// Among equals each in turn, or the first would get every client of a quiet group.
		best := of[turn%uint64(len(of))]
		for _, b := range of {
			if b.load() < best.load() {
				best = b
			}
		}
		return best
	},
	Random: func(of []*backend, _ uint64) *backend {
		a, b := of[rand.IntN(len(of))], of[rand.IntN(len(of))]
		if b.load() < a.load() {
			return b
		}
		return a
	},
	First: func(of []*backend, _ uint64) *backend { return of[0] },
}

func policyNames() []string {
	names := make([]string, 0, len(policies))
	for _, p := range slices.Sorted(maps.Keys(policies)) {
		names = append(names, string(p))
	}
	return names
}
