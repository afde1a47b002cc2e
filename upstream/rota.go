package upstream

import "slices"

// rota is one round of round_robin: places of candidates, each as often as its share says, and those of one as far apart as can be.
type rota []uint16

// maxRota bounds a round; shares are made smaller to fit in, but none less than 1.
const maxRota = 1024

// newRota makes the round for shares, each above 0. It is the smooth weighted round robin that nginx made known: in each step all gain their share, and who
// has gained most is next and pays what all gained. Equal shares give one turn to each, in order.
func newRota(shares []int) rota {
	if len(shares) == 0 {
		return nil
	}
	shares, sum := reduced(shares)
	gained := make([]int, len(shares))
	round := make(rota, sum)
	for step := range round {
		next := 0
		for i, share := range shares {
			gained[i] += share
			if gained[i] > gained[next] {
				next = i
			}
		}
		gained[next] -= sum
		round[step] = uint16(next)
	}
	return round
}

// reduced returns the same relations in the smallest numbers, and their sum.
func reduced(shares []int) (out []int, sum int) {
	divisor := 0
	for _, s := range shares {
		divisor = gcd(divisor, s)
		sum += s
	}
	out = make([]int, len(shares))
	total := 0
	for i, s := range shares {
		out[i] = s / divisor
		if sum/divisor > maxRota {
			out[i] = max(1, int(int64(s)*maxRota/int64(sum)))
		}
		total += out[i]
	}
	return out, total
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// rotas keeps the round that was used last, for shares that are asked for again and again.
type rotas struct {
	shares []int
	round  rota
}

func (r *rotas) of(shares []int) rota {
	if r.round == nil || !slices.Equal(r.shares, shares) {
		r.shares, r.round = slices.Clone(shares), newRota(shares)
	}
	return r.round
}
