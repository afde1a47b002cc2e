package delivery

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// TestForgotten: what the queue remembers of a session goes with the session, also where its client does not come back; and not before.
func TestForgotten(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		known := func() (n int) {
			err := w.queue.(queue.Knower).Known(func(queue.SessionID, queue.Info, queue.Info) bool { n++; return true })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		gone, stays := w.hello("gone", nil), w.hello("stays", nil)
		gone.must(publish(1, 1, "a"))
		stays.must(publish(1, 1, "b"))
		gone.leave()
		time.Sleep(50 * time.Minute) // of the hour that it lasts
		synctest.Wait()
		if n := known(); n != 2 {
			t.Fatalf("the queue knows %d sessions, want 2", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := known(); n != 1 {
			t.Errorf("the queue knows %d sessions, want that of the client that stayed", n)
		}
		stays.must(publish(2, 1, "c"))
		stays.leave()
		time.Sleep(30 * time.Minute)
		if back := w.hello("stays", stays); !back.hello.Resumed || back.hello.LastID != 2 {
			t.Errorf("welcome: %+v", back.hello)
		}
	})
}
