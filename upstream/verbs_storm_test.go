package upstream

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Whatever verbs are said, and however fast one follows the other, no request is lost and no answer is another's.
func TestVerbsLoseNothing(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			eachPooling(t, func(t *testing.T, pooling Pooling) { verbStorm(t, pooling, seed) })
		})
	}
}

func verbStorm(t *testing.T, pooling Pooling, seed uint64) {
	const clients, lasts = 24, time.Second
	n := newNetwork("a:1", "b:1", "c:1")
	for _, s := range n {
		s.delay = 3 * ms
		s.behave = func(v *visit) {
			v.each(func(f frame) {
				time.Sleep(ms)
				v.reply(f)
			})
		}
	}
	g := n.group(t, Config{
		Pooling: pooling, Policy: []Policy{RoundRobin, LeastConn, Random, First}[seed], MinLinks: []int{-1, 1, 2, 3}[seed],
		Wait: time.Minute, Reconnect: Reconnect{Initial: 10 * ms, Max: 50 * ms, Stable: 20 * ms},
	})
	end := time.Now().Add(lasts)
	var all sync.WaitGroup
	answers := make([]int, clients)
	for i := range clients {
		all.Go(func() {
			p := &asker{peer: peer{t: t}, answers: make(chan string, 1)}
			p.lease = g.Lease(p, Client{})
			defer p.lease.Close()
			for time.Now().Before(end) {
				answers[i]++
				ask := fmt.Sprint(i, ":", answers[i])
				p.ask(ask)
				select {
				case got := <-p.answers:
					if got != ask {
						t.Errorf("client %d asked %q and got %q", i, ask, got)
						return
					}
				case <-time.After(10 * time.Minute):
					t.Errorf("client %d was never answered: %v, %+v", i, p.lost, g.Stat())
					return
				}
				time.Sleep(ms)
			}
		})
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for names := append(n.addrs(), ""); time.Now().Before(end); time.Sleep(time.Duration(r.IntN(12)) * ms) {
		_ = g.Do(Verbs[r.IntN(len(Verbs))], names[r.IntN(len(names))]) // of what is disabled, some can't be
		if r.IntN(3) == 0 {
			unbind(g, names)
		}
	}
	unbind(g, append(n.addrs(), ""))
	all.Wait()
	time.Sleep(time.Minute)
	synctest.Wait()
	asked := 0
	for _, n := range answers {
		asked += n
	}
	if asked < 20*clients {
		t.Errorf("only %d requests in all", asked)
	}
	for _, b := range g.Stat().Backends {
		if b.Admin != Enabled || b.InFlight != 0 || b.Lost != 0 || b.Renewing != 0 || b.Failures != 0 || b.Links < max(0, g.cfg.MinLinks) {
			t.Errorf("in the end: %+v", b)
		}
	}
}

// unbind ends what verbs may have begun.
func unbind(g *Group, names []string) {
	for _, name := range names {
		_, _ = g.Do(VerbEnable, name), g.Do(VerbResume, name)
	}
}

// asker is a peer that is told of its answers.
type asker struct {
	peer
	answers chan string
}

func (p *asker) Frames(run []byte, n int) (full bool) {
	for len(run) > 0 {
		var f wire.Frame
		size, err := testDecoder.Next(run, &f)
		if size == 0 {
			p.t.Errorf("Frames: no whole frame in %q (%v)", run, err)
			return false
		}
		p.answers <- string(f.Payload)
		run = run[size:]
	}
	return false
}
