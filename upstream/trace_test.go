package upstream

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// traced is what a Config.Trace was told.
type traced struct {
	mu  sync.Mutex
	all []Exchange
}

func (r *traced) trace(x Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, x)
}

// take returns what was told since the last time, in an order of its own.
func (r *traced) take() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.all {
		all = append(all, fmt.Sprintf("%v of %s: %#x after %v, %v", x.Client.Source, x.Backend, x.Cmd, x.Ended.Sub(x.Began), x.Err))
	}
	r.all = nil
	slices.Sort(all)
	return all
}

// Each request is told of once, whether it is answered, too late for its client, or never.
func TestTrace(t *testing.T) {
	for _, format := range []string{"in order", "strict"} {
		t.Run(format, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r traced
				n := newNetwork("a:1")
				n["a:1"].behave = after(20 * ms)
				g := n.group(t, Config{Pooling: Request, MaxLinks: 1, StrictAnswers: format == "strict", Trace: r.trace})
				synctest.Wait()
				p := &peer{t: t}
				p.lease = g.Lease(p, Client{Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 5}})
				p.say("asks nothing")
				time.Sleep(time.Second)
				equal(t, "of what asks nothing", r.take(), nil)

				p.ask("1", "2")
				time.Sleep(time.Second)
				const who = "10.0.0.1:5 of a:1: "
				equal(t, "of two requests", r.take(), []string{who + "0x10 after 20ms, <nil>", who + "0x10 after 40ms, <nil>"})

				p.ask("3")
				p.lease.Close()
				time.Sleep(time.Second)
				equal(t, "of a client that has gone", r.take(), []string{who + "0x10 after 20ms, <nil>"})

				q := &peer{t: t}
				q.lease = g.Lease(q, Client{})
				q.ask("4", "5")
				time.Sleep(10 * ms)
				n["a:1"].visit(-1).nc.Close()
				time.Sleep(time.Second)
				const nobody = "<nil> of a:1: 0x0 after 10ms, "
				if got := r.take(); len(got) != 2 || got[0] != got[1] || !errorsWith(got[0], nobody) {
					t.Errorf("of a link that died: %q, want twice %q and why", got, nobody)
				}
				q.expectLost(ErrLost)
			})
		})
	}
}

func errorsWith(s, prefix string) bool {
	return len(s) > len(prefix) && s[:len(prefix)] == prefix && s != prefix+"<nil>"
}

// A request that is late is one exchange, which ends when the link is given up.
func TestTraceOfALateRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r traced
		n := newNetwork("a:1")
		n["a:1"].behave = (*visit).mute
		g := n.group(t, Config{Pooling: Request, MaxLinks: 1, RequestTimeout: 2 * time.Second, Trace: r.trace})
		synctest.Wait()
		p := lease(t, g)
		p.ask("1")
		time.Sleep(time.Minute)
		p.expectLost(ErrRequestTimeout)
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.all) != 1 || !errors.Is(r.all[0].Err, ErrRequestTimeout) {
			t.Errorf("%+v, want one, with %v", r.all, ErrRequestTimeout)
		}
	})
}
