package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shareOne is a group with one link to one backend.
var shareOne = Config{Pooling: Request, MaxLinks: 1}

func TestRequestsOfManyShareALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, shareOne)
		synctest.Wait()
		var peers []*peer
		for i := range 50 {
			p := lease(t, g)
			peers = append(peers, p)
			p.ask(fmt.Sprint("one of ", i), fmt.Sprint("two of ", i))
		}
		synctest.Wait()
		for i, p := range peers {
			p.expect(fmt.Sprint("one of ", i), fmt.Sprint("two of ", i))
			if left := p.lease.Unanswered(); left != 0 {
				t.Errorf("client %d: %d unanswered", i, left)
			}
		}
		if v := n["a:1"].visited(); v != 1 {
			t.Errorf("%d links, not 1", v)
		}
	})
}

func TestFramesBeforeABackendWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].stop()
		g := n.group(t, Config{Pooling: Request, Wait: time.Minute})
		p, q := lease(t, g), lease(t, g)
		p.ask("1")
		p.say("2")
		q.ask("3")
		time.Sleep(500 * time.Millisecond)
		p.expect()
		if s := g.Stat(); s.Waiting != 2 {
			t.Errorf("%d clients wait, not 2", s.Waiting)
		}
		n["a:1"].start()
		time.Sleep(5 * time.Second)
		p.expect("1")
		q.expect("3")
		equal(t, "the backend got", n["a:1"].got(), []string{"1", "2", "3"})
	})
}

func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].stop()
		g := n.group(t, Config{Pooling: Request, MaxWaiting: 1})
		p, q := lease(t, g), lease(t, g)
		p.ask("1")
		q.ask("2")
		synctest.Wait()
		q.expectLost(ErrBusy)
		p.expect()
		time.Sleep(defaultWait + 2*sweepEvery)
		p.expectLost(ErrWait)
		if s := g.Stat(); s.Waiting != 0 {
			t.Errorf("%d clients wait, not 0", s.Waiting)
		}
	})
}

func TestMaxInflight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		gate := make(chan struct{})
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				<-gate
				v.reply(f)
			})
		}
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, MaxInflight: 2, Heartbeat: &noHeartbeat})
		p, q, r := lease(t, g), lease(t, g), lease(t, g)
		synctest.Wait()
		p.ask("1")
		q.ask("2")
		r.ask("3")
		synctest.Wait()
		if s := g.Stat(); s.Waiting != 1 {
			t.Errorf("%d clients wait, not 1", s.Waiting)
		}
		gate <- struct{}{}
		synctest.Wait()
		p.expect("1")
		if s := g.Stat(); s.Waiting != 0 {
			t.Errorf("%d clients wait, not 0, after an answer made room", s.Waiting)
		}
		gate <- struct{}{}
		gate <- struct{}{}
		synctest.Wait()
		q.expect("2")
		r.expect("3")
		close(gate)
	})
}

func TestLinksGrowWithLoadAndShrink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		gate := make(chan struct{})
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				<-gate
				v.reply(f)
			})
		}
		g := n.group(t, Config{Pooling: Request, MaxLinks: 3, MaxInflight: 4, Heartbeat: &noHeartbeat, MaxAge: -1, WriteTimeout: time.Hour, RequestTimeout: time.Hour})
		synctest.Wait()
		var peers []*peer
		for i := range 12 {
			p := lease(t, g)
			peers = append(peers, p)
			p.ask(fmt.Sprint(i))
			time.Sleep(2 * sweepEvery)
		}
		if v := n["a:1"].visited(); v != 3 {
			t.Errorf("%d links under load, not 3", v)
		}
		close(gate)
		synctest.Wait()
		for i, p := range peers {
			p.expect(fmt.Sprint(i))
		}
		time.Sleep(defaultIdle + 3*sweepEvery)
		if s := g.Stat().Backends[0]; s.Links != 1 {
			t.Errorf("%d links without load, not 1", s.Links)
		}
	})
}

func TestLinkDiesUnderThoseThatAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				if string(f.Payload) != "never" {
					v.reply(f)
				}
			})
		}
		g := n.group(t, shareOne)
		synctest.Wait()
		asked, quiet := lease(t, g), lease(t, g)
		quiet.ask("fine")
		synctest.Wait()
		quiet.expect("fine")
		asked.ask("never")
		synctest.Wait()
		n["a:1"].visit(0).nc.Close()
		synctest.Wait()
		asked.expectLost(ErrLost)
		quiet.ask("again")
		time.Sleep(3 * time.Second)
		quiet.expect("again")
	})
}

func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		late := make(chan struct{})
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				if string(f.Payload) == "late" {
					<-late
				}
				v.reply(f)
			})
		}
		g := n.group(t, Config{Pooling: Request, MaxLinks: 2, RequestTimeout: 5 * time.Second, Heartbeat: &noHeartbeat, MaxAge: -1})
		synctest.Wait()
		p, q := lease(t, g), lease(t, g)
		p.ask("late")
		time.Sleep(3 * time.Second)
		q.ask("behind") // on the same link
		time.Sleep(3*time.Second + sweepEvery)
		p.expectLost(ErrRequestTimeout)
		r := lease(t, g)
		r.ask("elsewhere")
		synctest.Wait()
		r.expect("elsewhere")
		close(late) // its answer is nobody's, and the next one q's
		synctest.Wait()
		q.expect("behind")
		p.mu.Lock()
		if len(p.got) != 0 {
			t.Errorf("who timed out got %q", p.got)
		}
		p.mu.Unlock()
		time.Sleep(time.Second)
		if s := g.Stat().Backends[0]; s.Links != 1 {
			t.Errorf("%d links, not 1: the one with the late answer should be gone", s.Links)
		}
	})
}

func TestSharedLinkEndsOnAnAnswerNobodyAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.each(func(f frame) {
				v.reply(f)
				v.reply(f)
			})
		}
		g := n.group(t, shareOne)
		synctest.Wait()
		p := lease(t, g)
		p.ask("twice")
		synctest.Wait()
		p.expect("twice")
		if s := g.Stat().Backends[0]; s.Lost != 1 {
			t.Errorf("%d links lost, not the one that answered twice", s.Lost)
		}
	})
}

func TestSlowClientEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, shareOne)
		synctest.Wait()
		slow, good := lease(t, g), lease(t, g)
		slow.setFull(true)
		slow.ask("much")
		good.ask("fine")
		synctest.Wait()
		slow.expectLost(ErrSlow)
		good.expect("fine")
	})
}

func TestLinkIsRenewedWithoutLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{Pooling: Request, MaxAge: time.Minute, MaxLinks: 2})
		p := lease(t, g)
		for i := range 600 {
			p.ask(fmt.Sprint(i))
			time.Sleep(time.Second)
			p.expect(fmt.Sprint(i))
		}
		if v := n["a:1"].visited(); v < 7 || v > 13 {
			t.Errorf("%d links in 10 minutes of 1 minute each, give or take a fifth", v)
		}
		if s := g.Stat().Backends[0]; s.Lost != 0 {
			t.Errorf("%d links lost", s.Lost)
		}
	})
}

func TestRequestPolicies(t *testing.T) {
	for policy, want := range map[Policy][]int{First: {40, 0, 0}, RoundRobin: {14, 13, 13}} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1", "c:1")
				g := n.group(t, Config{Pooling: Request, Policy: policy})
				synctest.Wait()
				p := lease(t, g)
				for i := range 40 {
					p.ask(fmt.Sprint(i))
					synctest.Wait()
				}
				got := []int{len(n["a:1"].got()), len(n["b:1"].got()), len(n["c:1"].got())}
				slices.Sort(got)
				slices.Reverse(got)
				equal(t, "requests by backend", got, want)
			})
		})
	}
}

func TestOrderIsKeptWhileItMatters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].behave = (*visit).slowEcho
		n["b:1"].behave = (*visit).slowEcho
		g := n.group(t, Config{Pooling: Request, Policy: RoundRobin, Heartbeat: &noHeartbeat})
		synctest.Wait()
		p := lease(t, g)
		var want []string
		for i := range 100 {
			s := fmt.Sprint(i)
			if i%7 == 3 {
				p.say(s) // asks nothing
			} else {
				p.ask(s)
				want = append(want, s)
			}
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		p.expect(want...)
	})
}

// slowEcho takes its time for each answer.
func (v *visit) slowEcho() {
	v.each(func(f frame) {
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
		v.reply(f)
	})
}

// TestNobodyGetsAnothersAnswer: clients come, ask, cancel and go, links are killed and answers come late; whatever a client gets is an answer to what it asked, in the order of
// asking, and once.
func TestNobodyGetsAnothersAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		for _, s := range n {
			s.behave = func(v *visit) {
				v.each(func(f frame) {
					if rand.IntN(500) == 0 {
						deaf(8 * time.Second)(v) // beyond the request timeout
					} else if rand.IntN(20) == 0 {
						deaf(time.Millisecond)(v)
					}
					v.reply(f)
				})
			}
		}
		g := n.group(t, Config{Pooling: Request, MaxLinks: 2, MaxInflight: 16, RequestTimeout: 5 * time.Second, Heartbeat: &noHeartbeat})
		done := make(chan struct{})
		go func() { // kills
			for {
				select {
				case <-done:
					return
				case <-time.After(time.Duration(rand.IntN(2000)) * time.Millisecond):
					for _, s := range n {
						if s.visited() > 0 && rand.IntN(2) == 0 {
							s.visit(-1).nc.Close()
						}
					}
				}
			}
		}()
		var wg sync.WaitGroup
		answered := make([]int, 40)
		for c := range answered {
			wg.Go(func() {
				for life := range 15 {
					p := lease(t, g)
					asked := 0
					for range 30 {
						if p.over() {
							break
						}
						for range rand.IntN(4) {
							p.ask(fmt.Sprintf("%d/%d/%d", c, life, asked))
							asked++
						}
						time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
					}
					if rand.IntN(2) == 0 { // go with requests unanswered, or not
						time.Sleep(time.Second)
					}
					p.lease.Close()
					time.Sleep(time.Millisecond) // a call to the peer may still be under way
					answered[c] += p.check(fmt.Sprintf("%d/%d/", c, life), asked)
				}
			})
		}
		wg.Wait()
		close(done)
		time.Sleep(10 * time.Second) // backends that sleep wake up
		total := 0
		for _, a := range answered {
			total += a
		}
		if total < 1000 {
			t.Errorf("only %d answers came: the test says little", total)
		}
	})
}

func (p *peer) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.lost) > 0
}

// check has each answer be one of the client's own, in order, without a hole.
func (p *peer) check(prefix string, asked int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.got {
		if s != fmt.Sprint(prefix, i) || i >= asked {
			p.t.Errorf("answer %d of client %s is %q", i, prefix, s)
			break
		}
	}
	for _, err := range p.lost {
		if !errors.Is(err, ErrLost) && !errors.Is(err, ErrRequestTimeout) && !errors.Is(err, ErrWait) && !errors.Is(err, ErrBusy) {
			p.t.Errorf("client %s was told %v", prefix, err)
		}
		if strings.Contains(err.Error(), "%!") {
			p.t.Errorf("unreadable error %q", err)
		}
	}
	return len(p.got)
}

// TestWaitersOfABusyLinkHoldUpNobody: those whose requests are on a link that stands still wait for it; those behind them in the queue have the room of another link.
func TestWaitersOfABusyLinkHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		stand, gate := make(chan struct{}), make(chan struct{})
		n["a:1"].behave = func(v *visit) { v.each(func(f frame) { <-stand; v.reply(f) }) }
		n["b:1"].behave = func(v *visit) { v.each(func(f frame) { <-gate; v.reply(f) }) }
		g := n.group(t, Config{
			Pooling: Request, Policy: First, MaxLinks: 1, MaxInflight: 2 * maxServed, Heartbeat: &noHeartbeat,
			Wait: time.Hour, RequestTimeout: time.Hour, WriteTimeout: time.Hour, MaxAge: -1,
		})
		synctest.Wait()
		var stuck []*peer
		for range 2 * maxServed { // fill the first link
			p := lease(t, g)
			p.ask("first")
			stuck = append(stuck, p)
		}
		other := lease(t, g)
		for range 2 * maxServed { // and the second
			other.ask("other")
		}
		for _, p := range stuck { // these wait for the first
			p.ask("second")
		}
		late := lease(t, g)
		late.ask("late")
		synctest.Wait()
		for range 2*maxServed + 1 {
			gate <- struct{}{}
			synctest.Wait()
		}
		late.expect("late")
		close(stand)
		close(gate)
		synctest.Wait()
		for _, p := range stuck {
			p.expect("first", "second")
		}
	})
}
