package upstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// do has a verb carried out that must be possible.
func do(t testing.TB, g *Group, v Verb, backend string) {
	t.Helper()
	if err := g.Do(v, backend); err != nil {
		t.Fatalf("%s %s: %v", v, backend, err)
	}
}

// eachPooling runs a test under both poolings.
func eachPooling(t *testing.T, test func(t *testing.T, p Pooling)) {
	for _, p := range []Pooling{Session, Request} {
		t.Run(string(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, p) })
		})
	}
}

func TestAdminStates(t *testing.T) {
	for _, tt := range []struct {
		from  Admin
		after map[Verb]Admin
	}{
		{Enabled, map[Verb]Admin{VerbPause: Paused, VerbResume: Enabled, VerbDrain: Drained, VerbEnable: Enabled, VerbDisable: Disabled}},
		{Paused, map[Verb]Admin{VerbPause: Paused, VerbResume: Enabled, VerbDrain: Drained, VerbEnable: Paused, VerbDisable: Disabled}},
		{Drained, map[Verb]Admin{VerbPause: Paused, VerbResume: Enabled, VerbDrain: Drained, VerbEnable: Drained, VerbDisable: Disabled}},
		{Disabled, map[Verb]Admin{VerbEnable: Enabled, VerbDisable: Disabled}},
	} {
		for _, v := range Verbs {
			if v == VerbReconnect {
				continue // changes no state
			}
			got, err := tt.from.after(v)
			if want, ok := tt.after[v]; ok && (err != nil || got != want) {
				t.Errorf("%s, %s: %s, %v, not %s", tt.from, v, got, err, want)
			} else if !ok && (!errors.Is(err, ErrDisabled) || got != tt.from) {
				t.Errorf("%s, %s: %s, %v, not an error", tt.from, v, got, err)
			}
		}
	}
}

func TestVerbsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1").group(t, Config{})
		for _, tt := range []struct {
			verb    Verb
			backend string
			want    error
			says    string
		}{
			{"restart", "", ErrVerb, `"restart" is none of [pause resume`},
			{VerbPause, "b:1", ErrNoBackend, "b:1"},
		} {
			if err := g.Do(tt.verb, tt.backend); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s %s: %v", tt.verb, tt.backend, err)
			}
		}
		g.Close()
		if err := g.Do(VerbPause, ""); !errors.Is(err, ErrGroupClosed) {
			t.Error(err)
		}
	})
}

// A paused group holds what its clients send, however long it takes and however many they are, and sends it in order when it goes on. Its links stay.
func TestPauseHoldsWork(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				time.Sleep(ms) // so that an answer can come after the pause has begun
				v.reply(f)
			})
		}
		g := n.group(t, Config{Pooling: pooling, Wait: 5 * time.Second, MaxWaiting: 1})
		p, q := lease(t, g), lease(t, g)
		synctest.Wait()
		p.ask("1")
		synctest.Wait()
		do(t, g, VerbPause, "")
		p.ask("2")
		p.say("3")
		q.ask("4")
		late := lease(t, g)
		late.ask("5")
		time.Sleep(30 * time.Minute)
		p.expect("1")
		if s := g.Stat(); s.Admin != Paused || s.Backends[0].Lost != 0 {
			t.Errorf("%+v", s)
		}
		visits := n["a:1"].visited()
		do(t, g, VerbResume, "")
		p.ask("6")
		time.Sleep(time.Second)
		p.expect("2", "6")
		q.expect("4")
		late.expect("5")
		if now := n["a:1"].visited(); pooling == Request && now != visits {
			t.Errorf("%d links instead of %d", now, visits)
		}
	})
}

// The time that a client may wait begins anew when a pause ends.
func TestWaitAfterPause(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		n["a:1"].stop()
		g := n.group(t, Config{Pooling: pooling, Wait: 5 * time.Second})
		p := lease(t, g)
		p.ask("1")
		do(t, g, VerbDrain, "")
		time.Sleep(time.Hour)
		do(t, g, VerbResume, "")
		time.Sleep(4 * time.Second)
		p.expect()
		time.Sleep(3 * time.Second)
		p.expectLost(ErrWait)
	})
}

// While one backend is paused or gone, others have the work; no client loses an answer that was under way.
func TestVerbsOnOneBackend(t *testing.T) {
	for _, v := range []Verb{VerbPause, VerbDrain, VerbDisable} {
		t.Run(string(v), func(t *testing.T) {
			eachPooling(t, func(t *testing.T, pooling Pooling) {
				n := newNetwork("a:1", "b:1")
				n["a:1"].behave = func(v *visit) {
					v.each(func(f frame) {
						time.Sleep(time.Second)
						v.reply(f)
					})
				}
				g := n.group(t, Config{Pooling: pooling, Policy: First})
				synctest.Wait()
				p := lease(t, g)
				p.ask("1")
				synctest.Wait()
				do(t, g, v, "a:1")
				q := lease(t, g)
				q.ask("2")
				synctest.Wait()
				q.expect("2")
				if at := q.lease.Backend(); at != "b:1" {
					t.Errorf("the new client is at %q", at)
				}
				p.ask("3")
				time.Sleep(2 * time.Second)
				a := g.Stat().Backends[0]
				if v == VerbPause && pooling == Session {
					p.expect("1")
				} else {
					p.expect("1", "3")
					equal(t, "the other backend got", n["b:1"].got(), []string{"2", "3"})
				}
				if v != VerbPause && a.Links+a.Dialing != 0 || v == VerbPause && a.Links == 0 || a.Lost != 0 || a.Failures != 0 {
					t.Errorf("after %s: %+v", v, a)
				}
				do(t, g, map[Verb]Verb{VerbPause: VerbResume, VerbDrain: VerbResume, VerbDisable: VerbEnable}[v], "a:1")
				p.ask("4")
				time.Sleep(3 * time.Second)
				if v == VerbPause && pooling == Session {
					p.expect("3", "4")
				} else {
					p.expect("4")
				}
				if a := g.Stat().Backends[0]; a.Links == 0 || a.Admin != Enabled {
					t.Errorf("after its end: %+v", a)
				}
			})
		})
	}
}

// A group that is drained has no links when all is answered, and dials nobody until it is told to go on.
func TestDrain(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1", "b:1")
		for _, s := range n {
			s.behave = func(v *visit) {
				v.each(func(f frame) {
					time.Sleep(time.Second)
					v.reply(f)
				})
			}
		}
		g := n.group(t, Config{Pooling: pooling})
		var peers []*peer
		for i := range 10 {
			p := lease(t, g)
			peers = append(peers, p)
			if i%2 == 0 {
				p.ask("asked")
			}
		}
		synctest.Wait()
		do(t, g, VerbDrain, "")
		for _, p := range peers {
			p.ask("held")
		}
		time.Sleep(20 * time.Second)
		links := func() (links, visits int) {
			for _, b := range g.Stat().Backends {
				links += b.Links + b.Dialing
			}
			for _, s := range n {
				visits += s.visited()
			}
			return links, visits
		}
		up, before := links()
		if up != 0 {
			t.Errorf("left: %+v", g.Stat())
		}
		time.Sleep(time.Hour)
		if _, visits := links(); visits != before {
			t.Errorf("a drained group was dialled %d times", visits-before)
		}
		do(t, g, VerbResume, "")
		time.Sleep(time.Minute)
		for i, p := range peers {
			if i%2 == 0 {
				p.expect("asked", "held")
			} else {
				p.expect("held")
			}
		}
	})
}

// A request that is never answered does not hold up a drain for ever.
func TestDrainIsBounded(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		n["a:1"].behave = (*visit).swallow
		g := n.group(t, Config{Pooling: pooling, RequestTimeout: 10 * time.Second})
		p, q := lease(t, g), lease(t, g)
		p.ask("1")
		q.say("2")
		synctest.Wait()
		do(t, g, VerbDrain, "")
		time.Sleep(8 * time.Second)
		p.expect()
		time.Sleep(20 * time.Second)
		p.expectLost(map[Pooling]error{Session: ErrLost, Request: ErrRequestTimeout}[pooling])
		q.expect()
		if b := g.Stat().Backends[0]; b.Links != 0 {
			t.Errorf("left: %+v", b)
		}
	})
}

// A client that would end with its link is left alone: what is drained waits for it to go.
func TestDrainLeavesWhoEndsWithTheLink(t *testing.T) {
	for _, backend := range []string{"", "a:1"} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a:1", "b:1")
			g := n.group(t, Config{OnLoss: Close, Policy: First})
			synctest.Wait() // or the client would get whichever link is up first
			p := lease(t, g)
			synctest.Wait()
			do(t, g, VerbDrain, backend)
			do(t, g, VerbReconnect, backend)
			p.ask("1")
			time.Sleep(time.Hour)
			p.expect("1")
			if b := g.Stat().Backends[0]; b.Links != 1 {
				t.Errorf("%+v", b)
			}
			p.lease.Close()
			synctest.Wait()
			if b := g.Stat().Backends[0]; b.Links != 0 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// Reconnect puts a new link in the place of each, one by one, and no client misses an answer.
func TestReconnect(t *testing.T) {
	eachPooling(t, func(t *testing.T, pooling Pooling) {
		n := newNetwork("a:1")
		n["a:1"].delay = 10 * ms
		g := n.group(t, Config{Pooling: pooling, MinLinks: 4})
		time.Sleep(time.Second)
		var peers []*peer
		for range 8 {
			peers = append(peers, lease(t, g))
		}
		time.Sleep(time.Second)
		before, links := n["a:1"].visited(), g.Stat().Backends[0].Links
		do(t, g, VerbReconnect, "")
		for i := range 300 {
			for _, p := range peers {
				p.ask(fmt.Sprint(i))
			}
			time.Sleep(ms)
			if now := g.Stat().Backends[0].Links; now < links-1 {
				t.Fatalf("only %d of %d links are up", now, links)
			}
		}
		time.Sleep(time.Second)
		var want []string
		for i := range 300 {
			want = append(want, fmt.Sprint(i))
		}
		for _, p := range peers {
			p.expect(want...)
		}
		for i := range before {
			select {
			case <-n["a:1"].visit(i).left:
			default:
				t.Errorf("link %d was not renewed", i)
			}
		}
		if b := g.Stat().Backends[0]; b.Renewing != 0 || b.Links != links || b.Lost != 0 {
			t.Errorf("%+v", b)
		}
		if again := n["a:1"].visited() - before; again != before {
			t.Errorf("%d links became %d", before, again)
		}
	})
}

// A renewal waits while its backend can't be dialled: a link that works is better than none.
func TestReconnectWaitsForTheBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{Pooling: Request, MinLinks: 2})
		time.Sleep(time.Minute)
		n["a:1"].set(func(s *server) { s.up = false })
		do(t, g, VerbReconnect, "a:1")
		p := lease(t, g)
		for range 60 {
			p.ask("x")
			time.Sleep(time.Second)
			p.expect("x")
		}
		n["a:1"].start()
		time.Sleep(10 * time.Minute)
		if b := g.Stat().Backends[0]; b.Renewing != 0 || b.Links != 2 || n["a:1"].visited() != 4 {
			t.Errorf("%+v", b)
		}
	})
}

// Who says that a backend is back is believed: it is dialled at once, whatever pause it was given.
func TestVerbsForgive(t *testing.T) {
	for _, v := range []Verb{VerbReconnect, VerbResume, VerbEnable} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a:1")
			n["a:1"].stop()
			g := n.group(t, Config{Reconnect: client.Reconnect{Attempts: 1, Pause: time.Hour, Jitter: -1}})
			time.Sleep(time.Minute)
			if b := g.Stat().Backends[0]; b.State != "paused" || b.Breaker != BreakerOpen {
				t.Fatalf("%+v", b)
			}
			n["a:1"].start()
			do(t, g, v, "a:1")
			synctest.Wait()
			if b := g.Stat().Backends[0]; b.State != "connected" || b.Breaker != BreakerClosed {
				t.Errorf("after %s: %+v", v, b)
			}
		})
	}
}
