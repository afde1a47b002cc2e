package upstream

import (
	"hash/fnv"
	"math"
)

// rendezvous is highest-random-weight hashing (Thaler and Ravishankar, 1998): each backend draws a number for the client, and the highest draw has it. So a backend that goes
// away moves its own clients alone, each to another, and when it comes back it gets them back; and nothing is remembered. The draws are weighted as by
// Schindelhauer and Schomaker (2005): a backend's part of the clients is its part of the shares.
func rendezvous[T candidate](of []T, c choice) int {
	best, highest := -1, 0.0
	for i := range of {
		s := of[i].standing()
		if d := draw(c.key, s.seed, s.share); (best < 0 || d > highest) && of[i].room(c.asks) {
			best, highest = i, d
		}
	}
	return best
}

// draw is -share/ln(u) with u between 0 and 1, as even as the hash is.
func draw(key, seed uint64, share int) float64 {
	u := (float64(mix(key^seed)>>11) + 0.5) / (1 << 53)
	return -float64(share) / math.Log(u)
}

// mix spreads each bit over all (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// hashOf is the same in every process, so gateways beside each other, and one before and after a restart, choose alike.
func hashOf(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return mix(h.Sum64())
}
