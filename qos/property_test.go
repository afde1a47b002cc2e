package qos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

var decoder = func() *wire.Decoder {
	d, err := wire.GOPR.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err)
	}
	return d
}()

// Two peers send to each other over a link that may be cut behind any byte, while either may be killed at any moment, its store be slow, or full: each message arrives once,
// at QoS 1 as at QoS 2, and in its order. One that was given up may not arrive, but not twice either.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if err := simulate(rand.New(rand.NewPCG(seed, 7)), 150); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func FuzzNothingIsLost(f *testing.F) {
	f.Add(uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		if err := simulate(rand.New(rand.NewPCG(a, b)), 60); err != nil {
			t.Fatal(err)
		}
	})
}

func simulate(r *rand.Rand, messages uint64) error {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limits := Limits{Window: 1 + r.IntN(8), AckTimeout: 3 * time.Second, MaxRetries: uint8(r.IntN(4))}
	var first uint64
	if r.IntN(2) == 0 { // where the wire's ids come round
		first = 5<<32 - 1 - uint64(r.IntN(50))
	}
	a := &peer{rand: r, limits: limits, disk: &disk{last: first, received: first}, now: now}
	b := &peer{rand: r, limits: limits, disk: &disk{last: first, received: first}, now: now}
	a.start()
	b.start()
	published := [2]uint64{}
	trouble := func(chance int) bool {
		return published[0]+published[1] < 2*messages && r.IntN(chance) == 0
	}
	for range 200_000 {
		if a.err != nil || b.err != nil {
			return fmt.Errorf("after %d messages: %v, %v", published, a.err, b.err)
		}
		if published[0]+published[1] == 2*messages && a.idle() && b.idle() {
			return compare(a, b, published)
		}
		now = now.Add(time.Duration(r.IntN(400)) * time.Millisecond)
		for i, p := range []*peer{a, b} {
			p.now = now
			if published[i] < messages && r.IntN(3) == 0 {
				published[i]++
				p.publish(published[i], uint8(1+r.IntN(2)))
			}
			p.step()
		}
		carry(r, a, b)
		carry(r, b, a)
		switch {
		case a.up != b.up, trouble(40):
			a.disconnect()
			b.disconnect()
		case !a.up && r.IntN(3) == 0:
			a.connect()
			b.connect()
		case trouble(150):
			dead := []*peer{a, b}[r.IntN(2)]
			dead.start()
			a.disconnect()
			b.disconnect()
		}
	}
	return fmt.Errorf("no end is in sight: %d published, %d and %d left", published, len(a.disk.outbox), len(b.disk.outbox))
}

// carry takes some bytes over.
func carry(r *rand.Rand, from, to *peer) {
	if from.up && to.up && len(from.out) > 0 {
		n := r.IntN(len(from.out) + 1)
		to.in = append(to.in, from.out[:n]...)
		from.out = from.out[n:]
	}
}

// compare holds what has arrived to what was sent.
func compare(a, b *peer, published [2]uint64) error {
	for i, way := range []struct{ from, to *disk }{{a.disk, b.disk}, {b.disk, a.disk}} {
		got, failed := way.to.inbox, way.from.failed
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			return fmt.Errorf("disordered or doubled: %d", got)
		}
		for n := uint64(1); n <= published[i]; n++ {
			if _, ok := slices.BinarySearch(got, n); !ok && !slices.Contains(failed, n) {
				return fmt.Errorf("%d of %d is lost", n, published[i])
			}
		}
	}
	return nil
}
