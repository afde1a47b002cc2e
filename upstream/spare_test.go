package upstream

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// A warm link serves at once; the next one is dialled behind the client's back.
func TestWarmLinkIsThereAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const warm = 3
		n := newNetwork("a:1")
		g := n.group(t, Config{MinLinks: warm})
		synctest.Wait()
		n["a:1"].set(func(s *server) { s.delay = time.Second })
		var all []*peer
		for i := range 2 * warm {
			p := lease(t, g)
			all = append(all, p)
			if got, want := p.lease.Backend() != "", i < warm; got != want {
				t.Errorf("client %d has a link at once: %v", i, got)
			}
			p.ask("hello")
		}
		synctest.Wait()
		for _, p := range all[:warm] {
			p.expect("hello")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, p := range all[warm:] {
			p.expect("hello")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if b := g.Stat().Backends[0]; b.Spare != warm || b.Links != 3*warm || b.Dials != 3*warm {
			t.Errorf("%+v", b)
		}
	})
}

// A client that waits has the first link that comes, whomever it was dialled for.
func TestFirstLinkThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].delay = time.Second
		g := n.group(t, Config{})
		time.Sleep(time.Second / 2)
		p := lease(t, g) // has another one dialled
		p.ask("hello")
		time.Sleep(time.Second / 2)
		synctest.Wait()
		p.expect("hello")
		time.Sleep(time.Second)
		if b := g.Stat().Backends[0]; b.Dials != 2 || b.Links != 2 || b.Spare != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// Spares that were dialled together and end one after the other are one failure.
func TestSparesEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		var visits atomic.Int64
		n["a:1"].behave = func(v *visit) {
			deaf(time.Duration(1+visits.Add(1)) * 100 * ms)(v)
		}
		begin := time.Now()
		g := n.group(t, Config{MinLinks: 5})
		time.Sleep(time.Second)
		if b := g.Stat().Backends[0]; b.Failures != 1 || b.Lost != 5 || !b.NextDial.Equal(begin.Add(1200*ms)) {
			t.Errorf("%+v", b)
		}
	})
}

// A spare that ends is no client's loss, whoever is there.
func TestSpareEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{OnLoss: Close})
		synctest.Wait()
		p := lease(t, g) // has the first
		time.Sleep(time.Minute)
		n["a:1"].visit(1).nc.Close()
		synctest.Wait()
		p.ask("hello")
		synctest.Wait()
		p.expect("hello")
		if b := g.Stat().Backends[0]; b.Spare != 1 || b.Links != 2 || b.Dials != 3 || b.Lost != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// A spare link that lived long enough is no failure when it ends, and is replaced at once.
func TestSpareThatLivedLongIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = deaf(10 * time.Second)
		begin := time.Now()
		g := n.group(t, Config{Heartbeat: &noHeartbeat})
		time.Sleep(95 * time.Second)
		var want []time.Duration
		for i := range 10 {
			want = append(want, time.Duration(i)*10*time.Second)
		}
		equal(t, "dialled at", n["a:1"].dialTimes(begin), want)
		if b := g.Stat().Backends[0]; b.Failures != 0 || b.State != "connected" || b.Lost != 9 {
			t.Errorf("%+v", b)
		}
	})
}

// What a backend sends on a link that no client has yet is the first that the client gets.
func TestEarlyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x10, 0, "hello")
			_, _ = v.nc.Write(wire.AppendFrame(wire.AppendFrame(nil, 0x10, 0, []byte("what")), 0x10, 0, []byte("is")))
			v.send(wire.CmdPing, wire.FlagReq, "")
			if f, err := v.next(); err != nil || f.Cmd != uint32(wire.CmdPong) {
				t.Errorf("a spare link does not answer pings: %v %v", f, err)
			}
			v.send(0x10, 0, "new")
			v.echo()
		}
		g := n.group(t, Config{})
		time.Sleep(time.Second)
		p := lease(t, g)
		p.ask("?")
		p.expect("hello", "what", "is", "new") // before Lease has returned
		synctest.Wait()
		p.expect("?")
	})
}

// What is kept of them is bounded. Who sends more is a backend that fails.
func TestTooManyEarlyFrames(t *testing.T) {
	const buffer = 1000
	for _, tt := range []struct {
		frames int // of 100 bytes
		lost   uint64
	}{{10, 0}, {11, 1}} {
		t.Run(fmt.Sprint(tt.frames), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) {
					for range tt.frames {
						v.send(0x10, 0, strings.Repeat("x", 100-wire.HeaderLen))
					}
					v.echo()
				}
				g := n.group(t, Config{Buffer: buffer})
				synctest.Wait()
				b := g.Stat().Backends[0]
				if b.Lost != tt.lost || (b.Error == ErrEarly.Error()) != (tt.lost > 0) {
					t.Errorf("%+v", b)
				}
				if p := lease(t, g); tt.lost == 0 && len(p.got) != tt.frames {
					t.Errorf("%d frames came", len(p.got))
				} else if tt.lost > 0 && (len(p.got) != 0 || p.lease.Backend() != "") {
					t.Errorf("it got the link that ended, and %q", p.got)
				}
			})
		})
	}
}
