package gateway

import (
	"sync"
	"time"
)

// Quiet keeps a log readable under a storm: for each reason it lets one line pass a second, and counts the others. The zero value is ready. The
// reasons must be of bounded number.
type Quiet struct {
	mu   sync.Mutex
	last map[string]quiet
}

type quiet struct {
	at         time.Time
	suppressed int
}

// Pass says whether a line for the reason may be logged now, and how many were kept back since the last.
func (q *Quiet) Pass(reason string, now time.Time) (ok bool, suppressed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last, seen := q.last[reason]
	if seen && now.Sub(last.at) < time.Second {
		last.suppressed++
		q.last[reason] = last
		return false, 0
	}
	if q.last == nil {
		q.last = make(map[string]quiet)
	}
	q.last[reason] = quiet{at: now}
	return true, last.suppressed
}
