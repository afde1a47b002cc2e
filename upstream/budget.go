package upstream

import "time"

// RetryBudget bounds what is tried again, by what goes well: clients whose links die as soon as they have them may be given others only so often, or they would
// wear down backends that have trouble enough. The numbers are Finagle's.
type RetryBudget struct {
	// Percent is how many links may be given to such clients for each hundred that are given to others. 0: 20. Negative: none.
	Percent int
	// MinPerSecond is how many may be in any case. 0: 10. Negative: none, so Percent alone counts.
	MinPerSecond int
	// Off: there is no bound.
	Off bool
}

const (
	defaultRetryPercent = 20
	defaultRetryMin     = 10

	budgetTime = 10 // seconds that count
)

// budget is a RetryBudget at work: what happened in the last seconds. The group's lock guards it.
type budget struct {
	settings RetryBudget
	seconds  [budgetTime]given
}

// given is what happened in one second.
type given struct {
	at            int64 // the second, since the group began
	first, others int   // links given to clients for the first time or after a good one; and after one that died young
}

// spend says whether a client whose link died young may have another now, and if so counts it.
func (b *budget) spend(since time.Duration) bool {
	s := b.settings
	if s.Off {
		return true
	}
	now := int64(since / time.Second)
	first, others := 0, 0
	for i := range b.seconds {
		if sec := &b.seconds[i]; now-sec.at < budgetTime {
			first, others = first+sec.first, others+sec.others
		}
	}
	if others >= max(0, s.MinPerSecond)*budgetTime+first*max(0, s.Percent)/100 {
		return false
	}
	b.second(now).others++
	return true
}

// earn counts a client that got a link.
func (b *budget) earn(since time.Duration) { b.second(int64(since/time.Second)).first++ }

func (b *budget) second(now int64) *given {
	sec := &b.seconds[now%budgetTime]
	if sec.at != now {
		*sec = given{at: now}
	}
	return sec
}

func (r RetryBudget) withDefaults() RetryBudget {
	if r.Percent == 0 {
		r.Percent = defaultRetryPercent
	}
	if r.MinPerSecond == 0 {
		r.MinPerSecond = defaultRetryMin
	}
	return r
}
