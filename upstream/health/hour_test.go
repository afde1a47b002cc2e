package health

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// An hour of a backend that has a bad day, judged as a group judges it: pinged every 500 ms, dialled again when it was lost. It is what docs/img/health.svg shows.

// trouble is a time in which something is wrong.
type trouble struct {
	name     string
	from, to time.Duration
}

var (
	slowWay   = trouble{"the way is slow", at(8, 0), at(13, 0)}
	lostDial  = trouble{"one dial fails", at(18, 0), at(18, 1)}
	crash     = trouble{"down", at(24, 0), at(26, 0)}
	wrongCert = trouble{"wrong certificate", at(34, 0), at(37, 0)}
	hangs     = trouble{"hangs", at(45, 0), at(45, 30)}
	flaps     = trouble{"accepts and hangs up", at(51, 0), at(53, 0)}
	troubles  = []trouble{slowWay, lostDial, crash, wrongCert, hangs, flaps}
)

func at(minutes, seconds int) time.Duration {
	return time.Duration(minutes)*time.Minute + time.Duration(seconds)*time.Second
}

func (t trouble) is(at time.Duration) bool { return t.from <= at && at < t.to }

// hour returns the judgements, one for each second.
func hour() (reports []Report) {
	const tick, redial = 500 * time.Millisecond, 5 * time.Second
	r, chance := NewRecord(Settings{}), rand.New(rand.NewPCG(1, 2))
	linked := true
	for t := time.Duration(0); t < time.Hour; t += tick {
		now := begin.Add(t)
		noise := time.Duration(chance.IntN(8000)) * time.Microsecond
		switch refused := crash.is(t) || lostDial.is(t); {
		case hangs.is(t):
			r.Asked(now)
		case crash.is(t) && linked, wrongCert.is(t) && linked, flaps.is(t) && linked:
			r.Failed(now) // its links end
			r.Unasked()
			linked = false
		case linked && !lostDial.is(t):
			r.Asked(now)
			r.Answered(now, 20*time.Millisecond+noise+slowBy(t))
		case t%redial != 0: // not yet
		case refused:
			r.Failed(now)
		case wrongCert.is(t):
			r.Handshake(now, false)
			r.Failed(now)
		case flaps.is(t):
			r.Handshake(now, true)
			r.Up(now)
			r.Failed(now)
		default:
			r.Handshake(now, true)
			r.Up(now)
			linked = true
		}
		if rep, _ := r.Judge(now); t%time.Second == 0 {
			reports = append(reports, rep)
		}
	}
	return reports
}

// slowBy is what the slow way adds: it comes and goes as a hill does.
func slowBy(t time.Duration) time.Duration {
	if !slowWay.is(t) {
		return 0
	}
	part := float64(t-slowWay.from) / float64(slowWay.to-slowWay.from)
	return time.Duration(250 * math.Sin(math.Pi*part) * float64(time.Millisecond))
}

// What the page says of the plot is what happens in it.
func TestBadHour(t *testing.T) {
	reports := hour()
	first := func(tr trouble, is State) time.Duration {
		for s := int(tr.from / time.Second); s < len(reports); s++ {
			if reports[s].State == is {
				return time.Duration(s)*time.Second - tr.from
			}
		}
		t.Fatalf("%s: never %s", tr.name, is)
		return 0
	}
	back := func(tr trouble) time.Duration {
		for s := int(tr.to / time.Second); s < len(reports); s++ {
			if reports[s].State == Fit {
				return time.Duration(s)*time.Second - tr.to
			}
		}
		t.Fatalf("%s: it does not recover", tr.name)
		return 0
	}
	for _, tt := range []struct {
		of         trouble
		state      State
		seen, over time.Duration // at the most
	}{
		{slowWay, Warming, at(1, 15), at(0, 11)}, // from when it begins to become slow, which it does slowly
		{crash, Failing, 5 * time.Second, at(1, 0)},
		{wrongCert, Failing, 5 * time.Second, at(2, 10)},
		{hangs, Warming, time.Second, 2 * time.Second},
		{flaps, Failing, 5 * time.Second, at(1, 0)},
	} {
		seen, over := first(tt.of, tt.state), back(tt.of)
		t.Logf("%s: %s after %v, fit %v after its end", tt.of.name, tt.state, seen, over)
		if seen > tt.seen || over > tt.over {
			t.Errorf("%s: %s after %v, want %v at the most; fit %v after its end, want %v", tt.of.name, tt.state, seen, tt.seen, over, tt.over)
		}
	}
	for s := int(lostDial.from / time.Second); s < int(at(20, 0)/time.Second); s++ {
		if reports[s].State != Fit {
			t.Errorf("one failure makes it %s after %d s", reports[s].State, s)
			break
		}
	}
}
