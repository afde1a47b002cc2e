package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"

	"github.com/caddy-gopr/caddy-gopr/queue"
	queuememory "github.com/caddy-gopr/caddy-gopr/queue/memory"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// second begins another service of the same handler, beside the first.
func (w *world) second(change func(*Config)) (v *Service, first func()) {
	was := w.v
	c := Config{
		Name: "test", Owner: "second", Sessions: w.sessions, Queue: w.queue, Strays: func() bool { return true },
		Lease: func(p upstream.LinkPeer, c upstream.Client) (upstream.Lease, func(), error) {
			return w.backend.lease(p, c)
		},
	}
	if change != nil {
		change(&c)
	}
	v, err := NewService(c, w.settings)
	if err != nil {
		w.t.Fatal(err)
	}
	w.dead = append(w.dead, was)
	w.v = v
	synctest.Wait()
	return v, func() { w.v = was }
}

// A client that comes back at another gateway: the first knows it, and what it wakes up to write is refused.
func TestMove(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.backend.away()
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		w.second(nil)
		e := w.hello("c", d)
		synctest.Wait()
		if !e.hello.Resumed || e.hello.LastID != 1 {
			t.Fatalf("welcome: %+v", e.hello)
		}
		if err := d.endedFor(); !errors.Is(err, ErrTaken) {
			t.Fatalf("the first connection ended for %v", err)
		}
		e.must(publish(2, 1, "b"))
		w.backend.back()
		synctest.Wait()
		wants(t, "backend", w.backend.received(), "a@0", "b@0")
	})
}

// The owner that was paused finds out by itself: its store refuses what it writes.
func TestPausedOwner(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		w.plug.mu.Lock()
		stops := w.plug.stops
		w.plug.stops = nil
		w.plug.mu.Unlock()
		for _, stop := range stops {
			stop() // nobody tells it
		}
		first := w.v
		w.second(nil)
		e := w.hello("c", d)
		if err := d.say(publish(2, 1, "b")); err != nil {
			t.Fatal(err)
		}
		wants(t, "first connection", d.got(), "ack 1")
		if err := d.endedFor(); !errors.Is(err, ErrTaken) {
			t.Fatalf("the first connection ended for %v", err)
		}
		if first.Stat().Fenced != 1 {
			t.Fatalf("fenced %d times", first.Stat().Fenced)
		}
		wants(t, "backend", w.backend.received(), "a@0")
		e.must(again(publish(2, 1, "b")))
		wants(t, "client", e.got(), "ack 2")
		wants(t, "backend", w.backend.received(), "b@0")
	})
}

// Where each gateway has a queue of its own, a client that moves gets a new session, and what it left behind is delivered from there.
func TestMoveWithoutQueue(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.v.cfg.Forgets = true
		w.backend.away()
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		own := queuememory.New(w.settings.Bounds, nil)
		defer own.Close()
		second, _ := w.second(func(c *Config) { c.Forgets, c.Queue = true, own })
		e := w.hello("c", d)
		if e.hello.Resumed || e.hello.LastID != 0 {
			t.Fatalf("welcome: %+v", e.hello)
		}
		synctest.Wait()
		if err := d.endedFor(); !errors.Is(err, ErrTaken) {
			t.Fatalf("the first connection ended for %v", err)
		}
		e.must(publish(1, 1, "b"))
		w.backend.back()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := w.backend.received(); len(got) != 2 {
			t.Fatalf("backend: %v", got)
		}
		if st := w.queue.Stat(); st.Messages != 0 {
			t.Fatalf("left over: %+v", st)
		}
		e.leave()
		second.Close()
	})
}

func TestStoreLoss(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.plug.pulled.Store(true)
		if _, err := w.try("c", nil); err == nil {
			t.Fatal("a session without a store")
		} else if r := (*Refusal)(nil); !errors.As(err, &r) || r.Code != wire.ErrorStore {
			t.Fatalf("refused by %v", err)
		}
		w.plug.pulled.Store(false)
		if d := w.hello("c", nil); d.hello.Resumed {
			t.Fatal("resumed")
		}
		if len(w.events) < 2 || w.events[0].Kind != StoreDown || w.events[1].Kind != StoreUp {
			t.Fatalf("events: %v", w.events)
		}
	})
}

func TestBye(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		w.backend.away()
		d := w.hello("c", nil)
		if err := d.say(publish(1, 1, "a"), wire.AppendFrame(nil, wire.CmdBye, 0, nil)); !errors.Is(err, ErrBye) {
			t.Fatalf("BYE: %v", err)
		}
		e := w.hello("c", d)
		if e.hello.Resumed {
			t.Fatal("resumed after BYE")
		}
		w.backend.back()
		synctest.Wait()
		wants(t, "backend", w.backend.received(), "a@0")
		time.Sleep(time.Second)
		if _, err := w.sessions.Find(t.Context(), d.s.ID()); err == nil {
			t.Fatal("the session is still there")
		}
	})
}

func TestOperatorEnds(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		list, err := w.v.List(t.Context(), Filter{})
		if err != nil || len(list) != 1 || list[0].State != Attached || list[0].Backend != "backend" {
			t.Fatalf("%+v, %v", list, err)
		}
		if err := w.v.End(t.Context(), list[0].ID); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(d.endedFor(), ErrEnded) {
			t.Fatalf("ended for %v", d.endedFor())
		}
		if e := w.hello("c", d); e.hello.Resumed {
			t.Fatal("resumed")
		}
	})
}

// With a store of its own to fall back on, a gateway gives sessions while the common one is away; and each goes on where it began.
func TestStoreLossLocal(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		local := sessionmemory.Open(sessionmemory.Options{})
		defer local.Close()
		w.second(func(c *Config) { c.Sessions, c.Local = pluggedSessions{w.sessions, w.plug}, local })
		before := w.hello("before", nil)
		w.plug.pulled.Store(true)
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		if e := w.hello("before", before); e.hello.Resumed {
			t.Error("resumed without its store")
		}
		if d = w.hello("c", d); !d.hello.Resumed {
			t.Error("not resumed from the local store")
		}
		w.plug.pulled.Store(false)
		if d = w.hello("c", d); !d.hello.Resumed || d.hello.LastID != 1 {
			t.Errorf("the common store is back: %+v", d.hello)
		}
	})
}

// A fleet that comes back at once: each client gets its session, and only once.
func TestHerd(t *testing.T) {
	const clients = 2000
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		devices := make([]*device, clients)
		come := func() {
			var wg sync.WaitGroup
			for i := range devices {
				wg.Go(func() {
					h := Hello{Client: fmt.Sprint("client ", i), Wanted: capabilities, Expiry: time.Hour}
					if d := devices[i]; d != nil {
						h.Token = d.hello.Token
					}
					s, welcome, err := w.v.Hello(context.Background(), h)
					if err != nil {
						t.Error(err)
						return
					}
					d := &device{w: w, s: s, welcome: welcome}
					d.hello, _ = wire.ParseWelcome(frameOf(welcome.Frame).Payload)
					devices[i] = d
					if !s.Attach(d, welcome) {
						t.Errorf("client %d is not attached", i)
					}
				})
			}
			wg.Wait()
			synctest.Wait()
		}
		come()
		for i, d := range devices {
			if _ = d.s.Take(d, time.Now(), frameOf(publish(1, 1, "x"))); i%2 == 0 {
				d.s.Flush(d, time.Now())
			}
			d.s.Detach(d)
		}
		synctest.Wait()
		come()
		if st := w.v.Stat(); st.Hellos["resumed"] != clients || st.Attached != clients {
			t.Errorf("%d attached, hellos %v", st.Attached, st.Hellos)
		}
		if n := len(w.backend.all()); n != clients {
			t.Errorf("%d links", n)
		}
	})
}

// A store that has forgotten whose the messages are, as it was restored from a while ago, is told again.
func TestFenceForgotten(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		d.must(publish(1, 1, "a"))
		if err := w.queue.Forget(t.Context(), queue.SessionID(d.s.ID()), 1<<40); err != nil {
			t.Fatal(err)
		}
		d.got()
		d.must(publish(2, 1, "b"))
		time.Sleep(time.Second)
		synctest.Wait()
		wants(t, "client", d.got(), "ack 2")
		wants(t, "backend", w.backend.received(), "a@0", "b@0")
		// Where another owner is known to it, and to nobody else, the client is to come back.
		if _, _, err := w.queue.Open(t.Context(), queue.SessionID(d.s.ID()), 1<<40); err != nil {
			t.Fatal(err)
		}
		d.must(publish(3, 1, "c"))
		time.Sleep(time.Second)
		synctest.Wait()
		if err := d.endedFor(); !errors.Is(err, ErrExpired) {
			t.Fatalf("ended for %v", err)
		}
	})
}
