package health

import "time"

// Ejection is an outlier's time aside: Base the first time, twice as long the second time in a row, and so on up to Max. The row ends when it has been back for as
// long as it was last put aside.
type Ejection struct {
	Base, Max time.Duration
	times     int
	last      time.Duration
	until     time.Time
}

// Eject puts the backend aside.
func (e *Ejection) Eject(now time.Time) (until time.Time) {
	if now.Sub(e.until) >= e.last {
		e.times = 0
	}
	e.times++
	e.last = min(e.Max, time.Duration(e.times)*e.Base)
	e.until = now.Add(e.last)
	return e.until
}

// End brings the backend back, and ends the row.
func (e *Ejection) End() { *e = Ejection{Base: e.Base, Max: e.Max} }

// Out says whether it is aside.
func (e *Ejection) Out(now time.Time) bool { return now.Before(e.until) }

// Until is when it comes back, or came back last; zero: it was never put aside.
func (e *Ejection) Until() time.Time { return e.until }

// Times is how often in a row it was put aside.
func (e *Ejection) Times() int { return e.times }
