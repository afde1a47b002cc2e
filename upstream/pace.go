package upstream

import "time"

// pace bounds how many things may happen in a second: so many, at even distances, and after a rest a second's worth at once. The group's lock guards it.
type pace struct {
	every time.Duration // the distance; 0: no bound
	slack time.Duration // how far ahead of it
	next  time.Time     // when the next would be due without slack
}

// newPace returns a pace of so many in a second; 0 or less: without a bound.
func newPace(perSecond int) *pace {
	if perSecond <= 0 {
		return new(pace)
	}
	every := time.Second / time.Duration(perSecond)
	return &pace{every: every, slack: time.Second - every}
}

// due is when the next may happen.
func (p *pace) due() time.Time {
	if p.every == 0 {
		return time.Time{}
	}
	return p.next.Add(-p.slack)
}

func (p *pace) ready(now time.Time) bool { return !now.Before(p.due()) }

// take notes that one happens.
func (p *pace) take(now time.Time) {
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
}
