package upstream

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// TimeBounds are the upper bounds of the buckets of [Times]: what is at most so long, and longer than the bound before. From a backend on the same machine (some
// 100 µs) to the longest default timeout, 30 s, in steps that a quantile can be read from.
var TimeBounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// Times is how long things took: a histogram at one moment.
type Times struct {
	Counts [len(TimeBounds) + 1]uint64 // one for each of TimeBounds, and what took longer
	Sum    time.Duration
}

// Count is how many there were.
func (t Times) Count() (n uint64) {
	for _, c := range t.Counts {
		n += c
	}
	return n
}

// Add adds another histogram's.
func (t *Times) Add(o Times) {
	for i, c := range o.Counts {
		t.Counts[i] += c
	}
	t.Sum += o.Sum
}

// Mean is the mean; 0 of nothing.
func (t Times) Mean() time.Duration {
	if n := t.Count(); n > 0 {
		return t.Sum / time.Duration(n)
	}
	return 0
}

// Quantile estimates how long the share q, from 0 to 1, took at most: exact to a bucket, and as if all were spread evenly within it. What took longer than the last
// bound counts as that. 0 of nothing.
func (t Times) Quantile(q float64) time.Duration {
	rank := q * float64(t.Count())
	var below float64
	var from time.Duration
	for i, to := range TimeBounds {
		n := float64(t.Counts[i])
		if n > 0 && below+n >= rank {
			return from + time.Duration(float64(to-from)*max(0, rank-below)/n)
		}
		below += n
		from = to
	}
	if below == rank { // of nothing, and nothing is above the last bound
		return 0
	}
	return from
}

// MarshalJSON gives what a person wants to know of it, in seconds.
func (t Times) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Count uint64  `json:"count"`
		Mean  float64 `json:"mean_seconds"`
		P50   float64 `json:"p50_seconds"`
		P99   float64 `json:"p99_seconds"`
	}{t.Count(), t.Mean().Seconds(), t.Quantile(0.5).Seconds(), t.Quantile(0.99).Seconds()})
}

// recorder is a histogram that any goroutine adds to, without a lock.
type recorder struct {
	counts [len(TimeBounds) + 1]atomic.Uint64
	sum    atomic.Int64
}

func (r *recorder) observe(d time.Duration) { r.add(bucket(d), 1, d) }

func (r *recorder) add(bucket int, n uint64, sum time.Duration) {
	r.counts[bucket].Add(n)
	r.sum.Add(int64(sum))
}

// times returns a snapshot.
func (r *recorder) times() (t Times) {
	for i := range r.counts {
		t.Counts[i] = r.counts[i].Load()
	}
	t.Sum = time.Duration(r.sum.Load())
	return t
}

// bucket is the index of the first bound that is not below d. It is sought from the shortest on: most are short.
func bucket(d time.Duration) int {
	for i, bound := range TimeBounds {
		if d <= bound {
			return i
		}
	}
	return len(TimeBounds)
}

// tally adds to a recorder for one goroutine: neighbours that fall into the same bucket, as answers that come together do, are added at once.
type tally struct {
	bucket int
	n      uint64
	sum    time.Duration
}

func (t *tally) observe(d time.Duration, to *recorder) {
	if b := bucket(d); b != t.bucket {
		t.flush(to)
		t.bucket = b
	}
	t.n++
	t.sum += d
}

func (t *tally) flush(to *recorder) {
	if t.n > 0 {
		to.add(t.bucket, t.n, t.sum)
		t.n, t.sum = 0, 0
	}
}
