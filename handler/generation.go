package handler

import "sync/atomic"

// generation is what a connection shows of its settings. It may be read from any goroutine.
type generation struct {
	id    atomic.Uint64 // of the configuration that they are of
	other atomic.Uint32 // what of the settings in force the connection has not adopted: the bits below
}

const (
	otherFormat uint32 = 1 << iota
	otherUpstream
	otherSessions
)

// set says whether the connection has something else than the settings in force.
func (g *generation) set(what uint32, other bool) {
	if other {
		g.other.Or(what)
	} else {
		g.other.And(^what)
	}
}

// differs names what of the settings in force the connection has not adopted.
func (g *generation) differs() (all []string) {
	other := g.other.Load()
	if other&otherFormat != 0 {
		all = append(all, "format")
	}
	if other&otherUpstream != 0 {
		all = append(all, "upstream")
	}
	if other&otherSessions != 0 {
		all = append(all, "sessions")
	}
	return all
}
