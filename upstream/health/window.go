package health

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	slots      = 10 // of a window; one more is kept, as the newest is not over
	perSlot    = 32 // samples kept of each
	percentile = 95
)

// window is the round trips of the last while. Where there are many, it keeps some of each tenth of that time, each with the same chance (reservoir sampling): so what it takes
// is bounded, and a busy moment does not push out the others.
type window struct {
	slot [slots + 1]slot
}

type slot struct {
	number int64 // counted in slots since 1970
	seen   int
	took   [perSlot]time.Duration
}

func (w *window) add(now time.Time, length, rtt time.Duration) {
	n := number(now, length)
	s := &w.slot[n%(slots+1)]
	if s.number != n {
		*s = slot{number: n}
	}
	i := s.seen
	if i >= perSlot {
		i = rand.IntN(s.seen + 1)
	}
	if i < perSlot {
		s.took[i] = rtt
	}
	s.seen++
}

// p95 returns what 95 % of the samples took at most (nearest rank), and how many samples it is the judgement of. One that is awaited for longer than that is one
// of them, too: it takes at least so long. 0: there are none.
func (w *window) p95(now time.Time, length, awaited time.Duration) (d time.Duration, samples int) {
	var all [(slots + 1) * perSlot]time.Duration
	last := number(now, length)
	for i := range w.slot {
		if s := &w.slot[i]; s.number >= last-slots && s.number <= last {
			samples += copy(all[samples:], s.took[:min(s.seen, perSlot)])
		}
	}
	if samples > 0 {
		slices.Sort(all[:samples])
		d = all[(percentile*samples+99)/100-1]
	}
	if awaited > d {
		return awaited, samples + 1
	}
	return d, samples
}

func number(now time.Time, length time.Duration) int64 { return now.UnixNano() / int64(length/slots) }
