package delivery

import (
	"testing"
	"time"
)

// TestWelcomeLost: a connection that dies before its client has said anything on it may have died before its WELCOME came. The token that was shown stays good, however often
// that happens, and pieces in which nothing is say nothing.
func TestWelcomeLost(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		first := w.hello("c", nil)
		first.must(publish(1, 1, "a"))
		for range 3 {
			d := w.hello("c", first)
			if !d.hello.Resumed {
				w.t.Fatal("not resumed")
			}
			d.s.Flush(d, time.Now())
			d.must()
			d.leave()
		}
		last := w.hello("c", first)
		last.s.Heard(last) // a heartbeat
		last.must()
		last.leave()
		if d := w.hello("c", last); !d.hello.Resumed {
			w.t.Fatal("not resumed by the last token")
		}
		if d := w.hello("c", first); d.hello.Resumed {
			w.t.Fatal("resumed by a token that is spent")
		}
	})
}
