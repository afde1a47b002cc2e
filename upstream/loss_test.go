package upstream

import (
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// A client without an unanswered request outlives its link: what it sends goes on over a new one, in order, nothing twice.
func TestClientOutlivesItsLink(t *testing.T) {
	for _, tt := range []struct {
		name     string
		backends []string
		minLinks int
		up       time.Duration // how long the first link lives
		back     time.Duration // until the client has a link again
	}{
		{"a link that was stable, over a spare one", []string{"a:1"}, 1, time.Minute, 0},
		{"a link that was stable, over a new one", []string{"a:1"}, -1, time.Minute, 0},
		{"a young link, after a wait", []string{"a:1"}, 1, time.Second, time.Second},
		{"over another backend", []string{"a:1", "b:1"}, -1, time.Minute, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(tt.backends...)
				g := n.group(t, Config{Policy: First, MinLinks: tt.minLinks})
				synctest.Wait() // so that its links are used in the order in which they were dialled
				p := lease(t, g)
				p.ask("1")
				p.say("2")
				time.Sleep(tt.up)
				p.expect("1")
				if len(tt.backends) > 1 {
					n["a:1"].stop()
				} else {
					n["a:1"].visit(slot(n["a:1"])).nc.Close()
				}
				synctest.Wait()
				p.ask("3")
				p.say("4")
				if tt.back > 0 {
					time.Sleep(tt.back - time.Nanosecond)
					p.expect()
					if at := p.lease.Backend(); at != "" {
						t.Errorf("served by %s too early", at)
					}
					time.Sleep(time.Nanosecond)
				}
				synctest.Wait()
				p.expect("3")
				if at, want := p.lease.Backend(), tt.backends[len(tt.backends)-1]; at != want {
					t.Errorf("served by %q, not by %s", at, want)
				}
				var got []string
				for _, a := range tt.backends {
					got = append(got, n[a].got()...)
				}
				equal(t, "the backends got", got, []string{"1", "2", "3", "4"})
			})
		})
	}
}

// A client whose answer can no longer come is told.
func TestUnansweredRequestEndsTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = (*visit).swallow
		g := n.group(t, Config{})
		asks, says := lease(t, g), lease(t, g)
		asks.ask("1", "2")
		says.say("3")
		time.Sleep(time.Minute)
		n["a:1"].stop()
		synctest.Wait()
		asks.expectLost(ErrLost)
		asks.expectLost(io.EOF)
		says.expect()
	})
}

// A request that has not gone to the link that died is not lost with it.
func TestRequestThatWaitedIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		p := lease(t, n.group(t, Config{}))
		time.Sleep(time.Minute)
		lock := die(p.lease.(*session).source.Load())
		p.ask("1")
		if got := p.lease.Unanswered(); got != 1 {
			t.Errorf("%d requests unanswered", got)
		}
		lock.Unlock()
		p.ask("2")
		synctest.Wait()
		p.expect("1", "2")
		if got := p.lease.Unanswered(); got != 0 {
			t.Errorf("%d requests unanswered after the answers", got)
		}
	})
}

// Answers beyond the requests count for nothing.
func TestAnswersNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x10, 2, "early")
			v.each(func(f frame) {
				if string(f.Payload) != "2" {
					v.reply(f)
					v.reply(f)
				}
			})
		}
		p := lease(t, n.group(t, Config{}))
		synctest.Wait()
		p.ask("1")
		synctest.Wait()
		p.expect("early", "1", "1")
		if got := p.lease.Unanswered(); got != 0 {
			t.Errorf("%d requests unanswered", got)
		}
		p.ask("2")
		synctest.Wait()
		if got := p.lease.Unanswered(); got != 1 {
			t.Errorf("%d requests unanswered, not 1", got)
		}
	})
}

func TestOnLossClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		p := lease(t, n.group(t, Config{OnLoss: Close}))
		p.ask("1")
		time.Sleep(time.Hour)
		p.expect("1")
		n["a:1"].stop()
		synctest.Wait()
		p.expectLost(ErrLost)
	})
}

// A client whose links die again and again ends, and takes the backend from nobody.
func TestUnstableClient(t *testing.T) {
	for _, minLinks := range []int{-1, 1, 2} {
		t.Run(fmt.Sprint("spares ", minLinks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) {
					v.each(func(f frame) {
						if string(f.Payload) == "poison" {
							v.nc.Close()
						}
						v.reply(f)
					})
				}
				g := n.group(t, Config{MinLinks: minLinks})
				time.Sleep(time.Minute) // the age of a spare link says nothing of who gets it
				good, bad := lease(t, g), lease(t, g)
				begin := time.Now()
				var died []time.Duration
				for range 5 {
					for bad.lease.Backend() == "" {
						time.Sleep(time.Millisecond)
					}
					bad.say("poison")
					died = append(died, time.Since(begin).Round(10*time.Millisecond))
					synctest.Wait()
				}
				bad.expectLost(ErrUnstable)
				const ms = time.Millisecond
				equal(t, "its links died at", died, []time.Duration{0, 1000 * ms, 2500 * ms, 4750 * ms, 8130 * ms})
				late := lease(t, g)
				for _, p := range []*peer{good, late} {
					p.ask("hello")
					synctest.Wait()
					p.expect("hello")
				}
				b := g.Stat().Backends[0]
				if b.State != "connected" || b.Failures != 0 || b.Error != "" || b.DialErrors != 0 || b.Lost != 5 {
					t.Errorf("the backend is not well: %+v", b)
				}
			})
		})
	}
}

// A link that was stable starts a client's count over.
func TestStableLinkStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		p := lease(t, n.group(t, Config{}))
		for round := range 3 {
			for i := range 4 {
				time.Sleep(5 * time.Second)
				p.ask("still here")
				synctest.Wait()
				p.expect("still here")
				n["a:1"].visit(slot(n["a:1"])).nc.Close()
				synctest.Wait()
				if t.Failed() {
					t.Fatalf("round %d, link %d", round, i)
				}
			}
			time.Sleep(20 * time.Second)
			p.ask("still here")
			synctest.Wait()
			p.expect("still here")
			n["a:1"].visit(slot(n["a:1"])).nc.Close()
			synctest.Wait()
		}
		p.expect()
	})
}

// slot is the last connection that a client has used.
func slot(s *server) int {
	for i := s.visited() - 1; i >= 0; i-- {
		if len(s.visit(i).payloads()) > 0 {
			return i
		}
	}
	return 0
}

// A backend that is away for three seconds costs no client its connection, and meanwhile is dialled seldom.
func TestBackendAwayForThreeSeconds(t *testing.T) {
	for _, up := range []time.Duration{time.Second, time.Minute} {
		for _, r := range []client.Reconnect{steady, {}} {
			t.Run(fmt.Sprintf("up for %v, jitter %v", up, r.WithDefaults().Jitter), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					const clients, away = 100, 3 * time.Second
					n := newNetwork("a:1")
					s := n["a:1"]
					g := n.group(t, Config{Reconnect: r})
					var all []*peer
					for i := range clients {
						all = append(all, lease(t, g))
						all[i].ask("before")
					}
					time.Sleep(up)
					for _, p := range all {
						p.expect("before")
					}
					before := s.visited()
					s.stop()
					stopped := time.Now()
					var want []string
					for i := range 4 {
						for _, p := range all {
							p.say(fmt.Sprint(i))
						}
						want = append(want, fmt.Sprint(i))
						time.Sleep(away / 4)
					}
					failed := 0
					for _, at := range s.dialTimes(stopped) {
						if at >= 0 {
							failed++
						}
					}
					if most := maxDialing + 6; failed > most {
						t.Errorf("%d dials while it was away, more than %d", failed, most)
					}
					s.start()
					time.Sleep(10 * time.Second)
					for i, p := range all {
						p.ask("after")
						synctest.Wait()
						p.expect("after")
						if t.Failed() {
							t.Fatalf("client %d of %d", i+1, clients)
						}
					}
					// Each link has one client's frames, whole and in order. What was sent before the links were known to be gone may be missing.
					for i := before; i < s.visited(); i++ {
						got := s.visit(i).payloads()
						if len(got) == 0 {
							continue // a spare
						}
						got = got[:len(got)-1]
						if !slices.Equal(got, want[len(want)-len(got):]) || len(got) < 3 {
							t.Errorf("connection %d got %q", i, got)
						}
					}
				})
			})
		}
	}
}
