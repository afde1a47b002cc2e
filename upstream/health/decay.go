package health

import (
	"math"
	"time"
)

// fading is a count that loses half of its value in each half-life.
type fading struct {
	value float64
	at    time.Time
}

func (f *fading) now(now time.Time, half time.Duration) float64 {
	if f.value == 0 {
		return 0
	}
	return f.value * math.Exp2(-max(0, now.Sub(f.at).Seconds())/half.Seconds())
}

// add adds one, but lets it not become more than most.
func (f *fading) add(now time.Time, half time.Duration, most float64) {
	f.value, f.at = min(most, f.now(now, half)+1), now
}
