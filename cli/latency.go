package cli

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latencies is a distribution of times: an HDR histogram, with what it only has roughly kept exactly
// beside it. The zero value is not usable.
type latencies struct {
	hist     *hdrhistogram.Histogram // nanoseconds
	min, max time.Duration
	sum      time.Duration
	n        int64
}

// longest is the longest time the histogram tells apart; longer ones count as it. Three digits from 1 ns
// to 1 h take 270 KiB.
const longest = time.Hour

func newLatencies() *latencies {
	return &latencies{hist: hdrhistogram.New(1, int64(longest), 3), min: math.MaxInt64}
}

func (l *latencies) record(d time.Duration) {
	_ = l.hist.RecordValue(int64(min(max(d, 0), longest))) // in range
	l.min, l.max = min(l.min, d), max(l.max, d)
	l.sum += d
	l.n++
}

// add adds what another has recorded.
func (l *latencies) add(other *latencies) {
	if other.n == 0 {
		return
	}
	l.hist.Merge(other.hist)
	l.min, l.max = min(l.min, other.min), max(l.max, other.max)
	l.sum += other.sum
	l.n += other.n
}

func (l *latencies) reset() {
	l.hist.Reset()
	*l = latencies{hist: l.hist, min: math.MaxInt64}
}

// mean is 0 where nothing was recorded, and so are the others.
func (l *latencies) mean() time.Duration {
	if l.n == 0 {
		return 0
	}
	return l.sum / time.Duration(l.n)
}

func (l *latencies) shortest() time.Duration {
	if l.n == 0 {
		return 0
	}
	return l.min
}

// percentile is the time within which p per cent of the times lie, to three digits.
func (l *latencies) percentile(p float64) time.Duration {
	d := time.Duration(l.hist.ValueAtPercentile(p))
	return min(max(d, l.shortest()), l.max) // the histogram rounds
}
