package delivery

import (
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// TestSize holds an idle session to what it may take: docs/chaos.md says what that comes to with all that is beside it.
func TestSize(t *testing.T) {
	if n := unsafe.Sizeof(Session{}); n > 512 { // which is what the allocator gives; the next size is 576
		t.Errorf("a session takes %d bytes", n)
	}
	if n := unsafe.Sizeof(hold{}); n > 64 {
		t.Errorf("a lease takes %d bytes", n)
	}
}

// TestRare: a session that is well has nothing of what it seldom needs, also after it has needed it.
func TestRare(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		well := func(when string, s *Session) {
			t.Helper()
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.rare != nil {
				t.Errorf("%s: %+v", when, *s.rare)
			}
		}
		d := w.hello("a", nil)
		well("after WELCOME", d.s)
		w.plug.lossy.Store(true)
		d.must(publish(1, 1, "x"))
		time.Sleep(time.Minute)
		w.plug.lossy.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		well("after the store was away", d.s)
		for range 3 {
			w.v.Renew()
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		well("after other backends", d.s)
		d.leave()
		d = w.hello("a", d)
		well("after it came back", d.s)
		if i := d.s.Info(); i.Up != (queue.Info{Last: 1}) {
			t.Errorf("what is kept: %+v", i.Up)
		}
	})
}

// TestFrom: backends are told whom a lease is for, also while its client is away.
func TestFrom(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		d := w.hello("a", nil)
		for _, when := range []string{"there", "away"} {
			for range 2 {
				all := w.backend.all()
				if len(all) != 1 || all[0].from.Source != d {
					t.Errorf("%s: %d leases, for %v", when, len(all), all)
				}
				w.v.Renew()
				synctest.Wait()
			}
			d.leave()
		}
		if i := d.s.Info(); i.Remote != nil || i.State != Parked {
			t.Errorf("away, its client is at %v, and it is %s", i.Remote, i.State)
		}
	})
}
