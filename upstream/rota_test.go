package upstream

import (
	"fmt"
	"testing"
)

func TestRota(t *testing.T) {
	for _, tt := range []struct {
		shares []int
		want   string
	}{
		{[]int{1}, "[0]"},
		{[]int{7}, "[0]"},
		{[]int{1, 1, 1}, "[0 1 2]"},
		{[]int{4, 4}, "[0 1]"},
		{[]int{5, 1, 1}, "[0 0 1 0 2 0 0]"}, // the example of nginx's own commit
		{[]int{10, 2, 2}, "[0 0 1 0 2 0 0]"},
		{[]int{1, 2}, "[1 0 1]"},
	} {
		if got := fmt.Sprint(newRota(tt.shares)); got != tt.want {
			t.Errorf("shares %v: %s, want %s", tt.shares, got, tt.want)
		}
	}
}

// However far the shares are apart, a round is short, and nobody is left out.
func TestRotaIsBounded(t *testing.T) {
	shares := make([]int, 300)
	for i := range shares {
		shares[i] = 1 + i*7919%(maxWeight*20)
	}
	round := newRota(shares)
	if len(round) > maxRota+len(shares) {
		t.Errorf("a round of %d", len(round))
	}
	turns := make(map[uint16]int)
	for _, i := range round {
		turns[i]++
	}
	if len(turns) != len(shares) {
		t.Errorf("%d of %d have a turn", len(turns), len(shares))
	}
}

func TestRotas(t *testing.T) {
	var r rotas
	first := r.of([]int{1, 2})
	if again := r.of([]int{1, 2}); &again[0] != &first[0] {
		t.Error("the round is made anew for the same shares")
	}
	if other := r.of([]int{2, 1}); fmt.Sprint(other) != "[0 1 0]" {
		t.Errorf("the round of other shares is %v", other)
	}
}
