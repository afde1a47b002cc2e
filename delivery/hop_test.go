package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestExtendedBackend(t *testing.T) {
	inWorld(t, Settings{Extended: true}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"), publish(2, 2, "b"), publish(3, 0, "c"))
		wants(t, "client", d.got(), "ack 1", "rec 2")
		if got := w.backend.received(); len(got) != 3 {
			t.Fatalf("backend: %v", got)
		}
		if i := d.s.Info(); i.Up.Messages != 0 || i.Unproved != 0 {
			t.Fatalf("left over: %+v", i)
		}
		// The other way: the backend's ids are its own.
		w.backend.pushRaw(publish(70, 2, "x"), 1)
		synctest.Wait()
		wants(t, "client", d.got(), "1:x@2")
		w.backend.pushRaw(again(publish(70, 2, "x")), 1)
		synctest.Wait()
		wants(t, "client", d.got())
		d.must(ack(wire.CmdPubRec, 1), ack(wire.CmdPubComp, 1))
		if i := d.s.Info(); i.Down.Messages != 0 || i.Down.Seen != 70 {
			t.Fatalf("left over: %+v", i)
		}
	})
}

// Whatever is cut, an extended backend gets each message once, in order.
func TestExtendedBackendCut(t *testing.T) {
	inWorld(t, Settings{Extended: true}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		for id := uint32(1); id <= 200; id++ {
			d.must(publish(id, 2, string(rune('A'+id))))
			switch id % 10 {
			case 3:
				w.backend.mute.Store(true)
			case 5:
				w.backend.away()
				w.backend.mute.Store(false)
				w.backend.received() // what it read while it was mute it has forgotten
				clear(w.backend.seen)
			case 8:
				w.backend.back()
			case 9:
				d = w.hello("c", d)
			}
		}
		w.backend.back()
		time.Sleep(time.Minute)
		synctest.Wait()
		if i := d.s.Info(); i.Up.Messages != 0 {
			t.Fatalf("left over: %+v", i)
		}
		for text, n := range w.backend.seen {
			if n > 1 {
				t.Errorf("%q came %d times", text, n)
			}
		}
		if st := w.v.Stat(); st.Delivered[queue.Up] == 0 {
			t.Errorf("%+v", st)
		}
	})
}
