package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestByeIsTheEnd: who comes back with the token of a session that it has ended gets a new one, also before the store has forgotten the old one.
func TestByeIsTheEnd(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		d.got()
		for range 20 {
			var f wire.Frame
			if _, err := decoder.Next(wire.AppendFrame(nil, wire.CmdBye, 0, nil), &f); err != nil {
				t.Fatal(err)
			}
			if err := d.s.Take(d, time.Now(), &f); !errors.Is(err, ErrBye) {
				t.Fatalf("BYE is %v", err)
			}
			d.s.Detach(d)
			e := w.hello("c", d)
			if e.hello.Resumed || e.hello.LastID != 0 {
				t.Fatalf("welcome: %+v", e.hello)
			}
			d = e
		}
	})
}
