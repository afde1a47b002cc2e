package gateway

import (
	"iter"
	"time"
)

// chosen is a live connection that a filter takes, as it was at that moment.
type chosen struct {
	Info
	handler string
	conn    Conn
}

// live yields the live connections that the filter takes and whose ids are after the given one, in their order.
func (f *filter) live(after ConnID) iter.Seq[chosen] {
	return func(yield func(chosen) bool) {
		all := allLives()
		if f.handler != "" {
			all = nil
			if l := liveOf(f.handler); l != nil {
				all = []*Live{l}
			}
		}
		now := time.Now()
		var p pace
		for e := range walk(all, after) {
			p.rest()
			i := e.conn.Info()
			if f.matches(e.live.Name, &i, now) && !yield(chosen{i, e.live.Name, e.conn}) {
				return
			}
		}
	}
}

func liveOf(name string) *Live {
	for _, l := range allLives() {
		if l.Name == name {
			return l
		}
	}
	return nil
}
