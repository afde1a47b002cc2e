package delivery

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestUplink(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"), publish(2, 2, "b"), publish(3, 1, "c"))
		wants(t, "client", d.got(), "ack 1", "rec 2", "ack 3")
		wants(t, "backend", w.backend.received(), "a@0", "b@0", "c@0")
		d.must(ack(wire.CmdPubRel, 2))
		wants(t, "client", d.got(), "comp 2")
		if i := d.s.Info(); i.Up.Messages != 0 || i.Unproved != 0 {
			t.Fatalf("left over: %+v", i)
		}
		// What comes again is acknowledged again, and not delivered.
		d.must(again(publish(1, 1, "a")), again(publish(2, 2, "b")))
		wants(t, "client", d.got(), "ack 1", "rec 2")
		wants(t, "backend", w.backend.received())
	})
}

func TestDownlink(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		w.backend.push(0, "a", "b")
		w.backend.push(wire.FlagQoS2, "c")
		synctest.Wait()
		wants(t, "client", d.got(), "1:a@1", "2:b@1", "3:c@2")
		d.must(ack(wire.CmdPubAck, 1), ack(wire.CmdPubAck, 2), ack(wire.CmdPubRec, 3))
		wants(t, "client", d.got(), "rel 3")
		d.must(ack(wire.CmdPubComp, 3))
		if i := d.s.Info(); i.Down.Messages != 0 || i.InFlight != 0 {
			t.Fatalf("left over: %+v", i)
		}
	})
}

func TestRequests(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		req := func(id uint32, qos uint8, text string) []byte {
			b, _ := wire.AppendExt(nil, app, &wire.Ext{QoS: qos, Flag: wire.FlagReq, ID: id, Payload: []byte(text)})
			return b
		}
		d.must(req(7, 0, "x"), req(8, 0, "y"), req(1, 1, "z"))
		got := d.got()
		slices.Sort(got)
		wants(t, "client, in any order", got, "1:re z@0!", "7:re x@0!", "8:re y@0!", "ack 1")
		w.backend.mute.Store(true)
		d.must(req(9, 0, "x"), req(2, 1, "y"))
		wants(t, "client", d.got(), "ack 2")
		w.backend.mute.Store(false)
		w.backend.away()
		synctest.Wait()
		wants(t, "client", d.got(), "error 5 9") // the other is sent again
		w.backend.back()
		synctest.Wait()
		wants(t, "client", d.got(), "2:re y@0!")
	})
}

// A lost answer to a request without an id would have the next one taken for it: the connection ends, as a plain one does.
func TestRequestWithoutAnIDIsLost(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		w.backend.mute.Store(true)
		nameless, _ := wire.AppendExt(nil, app, &wire.Ext{Flag: wire.FlagReq, Payload: []byte("x")})
		named, _ := wire.AppendExt(nil, app, &wire.Ext{Flag: wire.FlagReq, ID: 9, Payload: []byte("y")})
		d.must(nameless, named, publish(1, 1, "z"))
		wants(t, "client", d.got(), "ack 1")
		w.backend.mute.Store(false)
		w.backend.away()
		synctest.Wait()
		wants(t, "client", d.got(), "error 5 9")
		if v := (*Violation)(nil); !errors.As(d.endedFor(), &v) || v.Code != wire.ErrorLost {
			t.Errorf("ended for %v", d.endedFor())
		}
		w.backend.back()
		d = w.hello("c", d)
		d.must(named)
		wants(t, "client", d.got(), "9:re y@0!")
	})
}

func TestBackendAway(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		w.backend.mute.Store(true)
		d.must(publish(1, 1, "a"), publish(2, 1, "b"))
		wants(t, "backend", w.backend.received(), "a@0", "b@0")
		w.backend.mute.Store(false)
		w.backend.away()
		d.must(publish(3, 1, "c"))
		wants(t, "client", d.got(), "ack 1", "ack 2", "ack 3")
		time.Sleep(time.Minute)
		w.backend.back()
		synctest.Wait()
		wants(t, "backend", w.backend.received(), "a@0", "b@0", "c@0")
		if st := w.v.Stat(); st.Redelivered[queue.Up] != 2 || st.Delivered[queue.Up] != 3 {
			t.Fatalf("redelivered %v, delivered %v, want 2 and 3", st.Redelivered, st.Delivered)
		}
	})
}

func TestPark(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		d.got()
		w.backend.push(0, "x")
		synctest.Wait()
		wants(t, "client", d.got(), "1:x@1")
		d.leave()
		time.Sleep(20 * time.Second)
		w.backend.push(0, "y") // over the link that is kept
		synctest.Wait()
		e := w.hello("c", d)
		if !e.hello.Resumed || e.hello.LastID != 1 {
			t.Fatalf("welcome: %+v", e.hello)
		}
		wants(t, "client", e.got(), "1:x@1 dup", "2:y@1")
		e.must(ack(wire.CmdPubAck, 1), ack(wire.CmdPubAck, 2))
		e.leave()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if live := w.backend.all(); len(live) != 0 {
			t.Fatalf("%d links after the parking time", len(live))
		}
		if n := len(w.v.all()); n != 0 {
			t.Fatalf("%d sessions in memory after the parking time", n)
		}
		f := w.hello("c", e)
		if !f.hello.Resumed || f.hello.LastID != 1 {
			t.Fatalf("welcome: %+v", f.hello)
		}
		wants(t, "client", f.got())
	})
}

func TestTakeover(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		e := w.hello("c", d)
		if err := d.endedFor(); !errors.Is(err, ErrTaken) {
			t.Fatalf("the first connection ended for %v", err)
		}
		if err := d.say(publish(2, 1, "b")); !errors.Is(err, ErrTaken) {
			t.Fatalf("Take after the end: %v", err)
		}
		e.must(publish(2, 1, "b"))
		wants(t, "client", e.got(), "ack 2")
		wants(t, "backend", w.backend.received(), "a@0", "b@0")
		if st := w.v.Stat(); st.Takeovers != 1 || st.Attached != 1 {
			t.Fatalf("%+v", st)
		}
	})
}

// A gateway that dies without a word: what it acknowledged arrives all the same, whether its client comes back or not.
func TestCrash(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.backend.away()
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"), publish(2, 2, "b"))
		wants(t, "client", d.got(), "ack 1", "rec 2")
		w.crash()
		w.backend.back()
		time.Sleep(time.Minute)
		synctest.Wait()
		wants(t, "backend", w.backend.received(), "a@0", "b@0")
		e := w.hello("c", d)
		if !e.hello.Resumed || e.hello.LastID != 2 {
			t.Fatalf("welcome: %+v", e.hello)
		}
		e.must(again(publish(2, 2, "b")), publish(3, 1, "c"))
		wants(t, "client", e.got(), "rec 2", "ack 3")
		wants(t, "backend", w.backend.received(), "c@0")
	})
}

// A client that has lost its token gets another session: what the first has taken arrives before the first ends.
func TestReplaced(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.backend.away()
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		e := w.hello("c", nil)
		if e.hello.Resumed || e.s.ID() == d.s.ID() {
			t.Fatal("resumed without a token")
		}
		w.backend.back()
		synctest.Wait()
		time.Sleep(time.Second)
		wants(t, "backend", w.backend.received(), "a@0")
		if _, err := w.sessions.Find(t.Context(), d.s.ID()); err == nil {
			t.Fatal("the session is still there")
		}
	})
}
