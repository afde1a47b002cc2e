package upstream

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Policy is how the backend for the next link is chosen among those that may be used; under request pooling, for the next run of requests.
type Policy string

// The policies. The load of a backend is its clients, or under request pooling its unanswered requests; each but first goes by the weights.
const (
	RoundRobin Policy = "round_robin" // each in turn, as often as its weight says
	LeastConn  Policy = "least_conn"  // the one with the least load for its weight
	Random     Policy = "random"      // of two taken at random, the one with the lesser load for its weight
	First      Policy = "first"       // the first in the order of the configuration
	IPHash     Policy = "ip_hash"     // always the same one for an address; see Client
	Health     Policy = "health"      // the one with the least load for its weight and health score
	ClientHash Policy = "client_hash" // always the same one for a client, by its certificate or else its address; see Client
)

var policies = []Policy{ClientHash, First, Health, IPHash, LeastConn, Random, RoundRobin}

func (p Policy) validate() error {
	if slices.Contains(policies, p) {
		return nil
	}
	names := make([]string, 0, len(policies))
	for _, p := range policies {
		names = append(names, string(p))
	}
	return fmt.Errorf("unknown policy %q: one of %s", p, strings.Join(names, ", "))
}

// keyed says whether it matters who the client is.
func (p Policy) keyed() bool { return p == IPHash || p == ClientHash }

// candidate is what policies choose from: backends for a link, or the links of backends for requests.
type candidate interface {
	room(asks int) bool // it can take that much more
	load() int64
	standing() standing
}

// standing is what stands for a backend when one is chosen, apart from its load.
type standing struct {
	share int    // of the traffic, in relation to the others'; above 0
	seed  uint64 // what the hashes know it by
}

// choice is one question to a policy.
type choice struct {
	turn uint64 // counts the choices made
	key  uint64 // who the client is, where the policy is keyed
	asks int    // room needed
	rota rota   // of the candidates
}

// choose returns which of the candidates is next; -1: none has room.
func choose[T candidate](p Policy, of []T, c choice) int {
	n := len(of)
	if n == 0 {
		return -1
	}
	switch p {
	case LeastConn, Health: // among equals each in turn, or the first would get every client of a quiet group
		return leastLoaded(of, c)
	case Random:
		i, j := rand.IntN(len(c.rota)), rand.IntN(len(c.rota))
		i, j = int(c.rota[i]), int(c.rota[j])
		if lighter(of[j], of[i]) {
			i = j
		}
		return firstWithRoom(of, c.asks, i)
	case First:
		return firstWithRoom(of, c.asks, 0)
	case IPHash, ClientHash:
		return rendezvous(of, c)
	default:
		return firstWithRoom(of, c.asks, int(c.rota[c.turn%uint64(len(c.rota))]))
	}
}

// firstWithRoom looks from the given place on, and then from the start.
func firstWithRoom[T candidate](of []T, asks, from int) int {
	for i := range of {
		if i = (from + i) % len(of); of[i].room(asks) {
			return i
		}
	}
	return -1
}

func leastLoaded[T candidate](of []T, c choice) int {
	best, from := -1, int(c.turn%uint64(len(of)))
	for i := range of {
		i = (from + i) % len(of)
		if (best < 0 || lighter(of[i], of[best])) && of[i].room(c.asks) {
			best = i
		}
	}
	return best
}

// lighter says whether a has less load for its share than b.
func lighter[T candidate](a, b T) bool {
	return a.load()*int64(b.standing().share) < b.load()*int64(a.standing().share)
}
