package gateway

import (
	"net/netip"
	"time"
)

// Flapping bounds how often one address may connect.
type Flapping struct {
	// Connects is how many connections an address may open within Within; one more has it banned for Ban. 0: any number.
	Connects int
	Within   time.Duration
	Ban      time.Duration
}

// maxFlappers is how many addresses are remembered at a time; beyond it the one that has not connected for longest is forgotten. An address takes some 120 bytes.
const maxFlappers = 100_000

// flappers remembers how often addresses have connected, and which are banned. It is a list by time of the last connect, the newest at its head, so what is
// forgotten is always at the tail; its user guards it.
type flappers struct {
	byAddr     map[netip.Addr]*flapper
	head, tail *flapper
}

// flapper is one address. Its connects are counted in windows of Flapping.Within; the estimate over a sliding one is this window's count and the share of the
// one before that still lies within.
type flapper struct {
	addr         netip.Addr
	newer, older *flapper
	last         time.Time // the last connect
	began        time.Time // of the window
	now, before  int       // connects in the window, and in the one before
	banned       time.Time // until then; zero: it is not
}

// connect notes a connect, and says whether the address is banned. A connect during a ban does not prolong it.
func (f *flappers) connect(addr netip.Addr, rule *Flapping, now time.Time) (banned bool) {
	f.sweep(rule, now)
	e := f.byAddr[addr]
	switch {
	case e == nil:
		if f.byAddr == nil {
			f.byAddr = make(map[netip.Addr]*flapper)
		}
		if len(f.byAddr) >= maxFlappers {
			f.forget(f.tail)
		}
		e = &flapper{addr: addr, began: now}
		f.byAddr[addr] = e
	default:
		f.unlink(e)
	}
	f.push(e)
	e.last = now
	return e.connect(rule, now)
}

func (e *flapper) connect(rule *Flapping, now time.Time) (banned bool) {
	if now.Before(e.banned) {
		return true
	}
	if !e.banned.IsZero() { // it has been: all is forgiven
		e.banned, e.began, e.now, e.before = time.Time{}, now, 0, 0
	}
	switch gone := now.Sub(e.began); {
	case gone >= 2*rule.Within:
		e.began, e.now, e.before = now, 0, 0
	case gone >= rule.Within:
		e.began, e.now, e.before = e.began.Add(rule.Within), 0, e.now
	}
	e.now++
	left := 1 - float64(now.Sub(e.began))/float64(rule.Within)
	if float64(e.now)+left*float64(e.before) <= float64(rule.Connects) {
		return false
	}
	e.banned = now.Add(rule.Ban)
	return true
}

// banned says whether the address is banned, without noting anything.
func (f *flappers) banned(addr netip.Addr, now time.Time) bool {
	e := f.byAddr[addr]
	return e != nil && now.Before(e.banned)
}

// sweep forgets, with each connect, up to two addresses of which nothing is left to know. So the list shrinks faster than it grows.
func (f *flappers) sweep(rule *Flapping, now time.Time) {
	for range 2 {
		e := f.tail
		if e == nil || now.Before(e.banned) || now.Sub(e.last) < 2*rule.Within {
			return
		}
		f.forget(e)
	}
}

func (f *flappers) forget(e *flapper) {
	f.unlink(e)
	delete(f.byAddr, e.addr)
}

func (f *flappers) push(e *flapper) {
	e.older = f.head
	if f.head != nil {
		f.head.newer = e
	}
	f.head = e
	if f.tail == nil {
		f.tail = e
	}
}

func (f *flappers) unlink(e *flapper) {
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		f.head = e.older
	}
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		f.tail = e.newer
	}
	e.newer, e.older = nil, nil
}
