package handler

import "sync/atomic"

// generation is what a connection shows of its settings. It may be read from any goroutine.
type generation struct {
	id atomic.Uint64 // of the configuration that they are of

	// What of the settings in force the connection has not adopted.
	otherFormat, otherUpstream, otherSessions atomic.Bool
}

// differs names what of the settings in force the connection has not adopted.
func (g *generation) differs() (all []string) {
	if g.otherFormat.Load() {
		all = append(all, "format")
	}
	if g.otherUpstream.Load() {
		all = append(all, "upstream")
	}
	if g.otherSessions.Load() {
		all = append(all, "sessions")
	}
	return all
}
