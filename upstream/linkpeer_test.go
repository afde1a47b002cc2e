package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// diarist is a LinkPeer that writes down its calls in their order.
type diarist struct {
	lease Lease
	hello string // what it sends from within Linked

	mu   sync.Mutex
	told []string
}

func diary(g *Group, hello string) *diarist {
	d := &diarist{hello: hello}
	d.lease = g.Lease(d, Client{})
	return d
}

func (d *diarist) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, fmt.Sprintf(format, args...))
}

func (d *diarist) Frames(run []byte, n int) (full bool) {
	for range n {
		var f wire.Frame
		size, _ := testDecoder.Next(run, &f)
		d.note("frame %s", f.Payload)
		run = run[size:]
	}
	return false
}

func (d *diarist) Room()                { d.note("room") }
func (d *diarist) Lost(cause error)     { d.note("lost: %v", errors.Is(cause, ErrGroupClosed)) }
func (d *diarist) Pong(payload []byte)  { d.note("pong %s", payload) }
func (d *diarist) Unlinked(cause error) { d.note("unlinked: %v", cause) }
func (d *diarist) Linked(l Lease, b string) {
	d.note("linked %s", b)
	if d.hello != "" {
		l.Send(wire.AppendFrame(nil, 0x10, wire.FlagReq, []byte(d.hello)), 1, 1)
	}
}

// send sends a frame that asks nothing, request one that does, ping a ping of the peer's own.
func (d *diarist) send(payload string) (full bool) {
	return d.lease.Send(wire.AppendFrame(nil, 0x10, 0, []byte(payload)), 1, 0)
}

func (d *diarist) request(payload string) (full bool) {
	return d.lease.Send(wire.AppendFrame(nil, 0x10, wire.FlagReq, []byte(payload)), 1, 1)
}

func (d *diarist) ping(payload string) (full bool) {
	return d.lease.Send(wire.AppendFrame(nil, wire.CmdPing, wire.FlagReq, []byte(payload)), 1, 1)
}

// expect checks what was told since it was last asked.
func (d *diarist) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.told, want) {
		t.Errorf("told %q, not %q", d.told, want)
	}
	d.told = nil
}

// expectLoosely is expect where only the first of the calls have an order: room and an answer are told by two goroutines.
func (d *diarist) expectLoosely(t *testing.T, first int, want ...string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	slices.Sort(d.told[min(first, len(d.told)):])
	slices.Sort(want[first:])
	d.mu.Unlock()
	d.expect(t, want...)
}

// has says whether it was told something that begins so.
func (d *diarist) has(prefix string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.told, func(s string) bool { return strings.HasPrefix(s, prefix) })
}

// forget forgets all up to the last unlinked.
func (d *diarist) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, s := range slices.Backward(d.told) {
		if strings.HasPrefix(s, "unlinked") {
			d.told = d.told[i+1:]
			return
		}
	}
}

// A peer is told of a link before it gets anything of it, and what it sends from within is the first that the backend gets.
func TestLinkedComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			v.send(0x11, 0, "early")
			v.echo()
		}
		g := n.group(t, Config{})
		synctest.Wait() // so that what came early is there
		d := diary(g, "hello")
		d.send("next")
		d.expectLoosely(t, 2, "linked a:1", "frame early", "room", "frame hello")
		equal(t, "the backend got", n["a:1"].got(), []string{"hello", "next"})
		d.lease.Close()
		d.expect(t)
	})
}

// A ping of the peer's own comes back to it, and the heartbeat's do not.
func TestPongOfThePeersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := diary(newNetwork("a:1").group(t, Config{}), "")
		d.expect(t, "linked a:1")
		d.send("1")
		d.ping("12345678")
		if n := d.lease.Unanswered(); n != 1 {
			t.Errorf("%d unanswered", n)
		}
		d.expect(t, "pong 12345678")
		if n := d.lease.Unanswered(); n != 0 {
			t.Errorf("%d unanswered after the pong", n)
		}
		time.Sleep(time.Hour)
		d.expect(t)
	})
}

// A link that dies does not end the lease, whatever was unanswered and whatever on_loss says. Nothing of what was sent goes over the next by itself.
func TestLinkPeerOutlivesItsLinks(t *testing.T) {
	for _, loss := range []OnLoss{Keep, Close} {
		t.Run(string(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = (*visit).swallow
				d := diary(n.group(t, Config{OnLoss: loss, MinLinks: -1}), "")
				d.expect(t, "linked a:1")
				d.request("1")
				time.Sleep(time.Minute)
				n["a:1"].stop()
				d.expect(t, "unlinked: EOF")
				if d.request("2") {
					t.Error("full without a link: nobody will tell of room")
				}
				if n := d.lease.Unanswered() + d.lease.Held(); n != 0 {
					t.Errorf("%d unanswered or held of what was lost", n)
				}
				n["a:1"].start()
				time.Sleep(time.Minute)
				d.expect(t, "linked a:1")
				d.request("3")
				synctest.Wait()
				equal(t, "the backend got", n["a:1"].got(), []string{"1", "3"})
			})
		})
	}
}

// Links that die young one after the other keep a peer waiting, longer each time, but it is never given up.
func TestLinkPeerIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		d := diary(n.group(t, Config{MinLinks: -1, RetryBudget: RetryBudget{Off: true}}), "")
		for i := range 20 {
			d.expect(t, "linked a:1")
			n["a:1"].visit(-1).nc.Close()
			d.expect(t, "unlinked: EOF")
			for waited := time.Duration(0); n["a:1"].visited() == i+1; waited += 100 * ms {
				if waited > steady.WithDefaults().Max+time.Second {
					t.Fatalf("no link %v after the %dth", waited, i+1)
				}
				time.Sleep(100 * ms)
				synctest.Wait()
			}
		}
	})
}

// A drain and a renewal wait for what is unanswered, the peer's own pings included, and then take the link.
func TestVerbsTakeALinkPeersLink(t *testing.T) {
	for _, loss := range []OnLoss{Keep, Close} {
		t.Run(string(loss), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) {
					for {
						f, err := v.next()
						if err != nil {
							return
						}
						if len(f.Payload) == 8 {
							time.Sleep(time.Second)
						}
						v.reply(f)
					}
				}
				g := n.group(t, Config{OnLoss: loss})
				d := diary(g, "")
				d.expect(t, "linked a:1")
				d.ping("12345678")
				do(t, g, VerbReconnect, "")
				d.expect(t) // not yet
				time.Sleep(time.Second)
				d.expect(t, "pong 12345678", "unlinked: "+errRetired.Error(), "linked a:1")
				d.request("1")
				d.expect(t, "frame 1")

				d.ping("12345678")
				do(t, g, VerbDrain, "")
				if !d.send("held, and dropped") {
					t.Error("not full while the link is about to be taken")
				}
				time.Sleep(time.Second)
				d.expect(t, "pong 12345678", "unlinked: "+errRetired.Error())
				do(t, g, VerbResume, "")
				d.expect(t, "linked a:1")
			})
		})
	}
}

// What is sent while a backend is paused is held, and goes out when that ends; a bound on waiting does not count.
func TestPauseHoldsALinkPeersFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1").group(t, Config{Wait: time.Second})
		d := diary(g, "")
		d.expect(t, "linked a:1")
		do(t, g, VerbPause, "a:1")
		if !d.request("1") {
			t.Error("not full while the backend is paused")
		}
		time.Sleep(time.Minute)
		d.expect(t)
		do(t, g, VerbResume, "a:1")
		d.expectLoosely(t, 0, "room", "frame 1")
	})
}

// The end of the group is the end of the lease: after that of its link, or without one.
func TestGroupEndsUnderLinkPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1").group(t, Config{MaxLinks: 1})
		linked := diary(g, "")
		linked.expect(t, "linked a:1")
		waits := diary(g, "")
		g.Close()
		linked.expect(t, "unlinked: "+ErrGroupClosed.Error(), "lost: true")
		waits.expect(t, "lost: true")
	})
}

// However links come and go, the calls come in order: of each link Linked, frames, pongs, Unlinked; and none after the lease was closed and all was quiet.
func TestOrderOfLinkPeersCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{RetryBudget: RetryBudget{Off: true}})
		var all []*diarist
		for range 8 {
			all = append(all, diary(g, "hello"))
		}
		synctest.Wait()
		for i := range 200 {
			for _, d := range all {
				d.request("1")
				d.ping("12345678")
			}
			switch i % 4 {
			case 0:
				s := n[n.addrs()[i/4%2]]
				s.visit(-1 - i%s.visited()).nc.Close()
			case 1:
				do(t, g, VerbReconnect, "")
			case 2:
				time.Sleep(300 * ms)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, d := range all {
			d.lease.Close()
		}
		synctest.Wait()
		for i, d := range all {
			links := 0
			linked := false
			for j, s := range d.told {
				kind, _, _ := strings.Cut(s, " ")
				switch {
				case kind == "linked" && linked, kind != "linked" && !linked:
					t.Fatalf("peer %d, call %d: %q out of order in %q", i, j, s, d.told[max(0, j-5):j+1])
				case kind == "linked":
					links++
				}
				linked = kind != "unlinked:"
			}
			if links < 2 || !linked {
				t.Errorf("peer %d: %d links, linked at the end: %t", i, links, linked)
			}
		}
	})
}

// Under mux pooling it is the same: a stream is a link.
func TestLinkPeerOverMux(t *testing.T) {
	m := &muxed{serve: serveEcho}
	g := newGroup(t, Config{
		Backends: []string{m.listen(t)}, Pooling: Mux, Reconnect: Reconnect{Initial: ms, Max: 2 * ms, Attempts: -1},
	})
	d := diary(g, "hello")
	for range 3 {
		eventually(t, "answer", func() bool { return d.has("frame hello") })
		d.ping("12345678")
		eventually(t, "pong", func() bool { return d.has("pong 12345678") })
		m.kill()
		eventually(t, "end of the link", func() bool { return d.has("unlinked") })
		d.forget()
	}
	d.lease.Close()
}
