package upstream

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Close ends every lease, whatever it is at, tells its client at once, and leaves nothing behind.
func TestGroupClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		n["a:1"].behave = (*visit).swallow
		n["b:1"].delay = time.Hour
		g := n.group(t, Config{Policy: First, MaxLinks: 4, DialTimeout: time.Hour})
		asks, says, full, idle := lease(t, g), lease(t, g), lease(t, g), lease(t, g)
		time.Sleep(5 * time.Second)
		asks.ask("1")
		says.say("1")
		full.setFull(true)
		dialling := lease(t, g)
		dialling.ask("waits")
		n["a:1"].visit(n["a:1"].visited() - 1).nc.Close() // the link of idle, which was young
		synctest.Wait()
		if s := g.Stat(); s.Backends[0].Links < 3 || s.Backends[1].Dialing == 0 {
			t.Errorf("not as wanted: %+v", s)
		}
		begin := time.Now()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Close took %v", took)
		}
		for _, p := range []*peer{asks, says, full, idle, dialling} {
			p.expectLost(ErrGroupClosed)
		}
		asks.expectLost(ErrLost)
		for _, b := range g.Stat().Backends {
			if b.Links != 0 || b.Spare != 0 || b.Dialing != 0 {
				t.Errorf("left behind: %+v", b)
			}
		}
		if s := g.Stat(); s.Waiting != 0 {
			t.Errorf("%d wait", s.Waiting)
		}
		if err := g.Close(); err != nil { // again
			t.Error(err)
		}
		time.Sleep(24 * time.Hour)
		for _, p := range []*peer{asks, says, full, idle, dialling} {
			p.expectLost(ErrGroupClosed) // once
		}
	})
}

// A client that waits out its backoff is told at once, too.
func TestGroupCloseWhileClientsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{MinLinks: -1})
		rests, leaves := lease(t, g), lease(t, g)
		synctest.Wait()
		n["a:1"].stop()
		synctest.Wait()
		if len(g.resting) != 2 {
			t.Fatalf("%d rest", len(g.resting))
		}
		leaves.lease.Close()
		if len(g.resting) != 1 {
			t.Errorf("%d rest after one has left", len(g.resting))
		}
		g.Close()
		rests.expectLost(ErrGroupClosed)
		leaves.expect()
		time.Sleep(time.Hour)
		rests.expectLost(ErrGroupClosed)
	})
}

// Close waits for what is unsent no longer than a closing connection does.
func TestGroupCloseSendsWhatIsUnsent(t *testing.T) {
	for _, tt := range []struct {
		reads time.Duration // when the backend begins to read
		took  time.Duration
		got   []string
	}{
		{time.Second, time.Second, []string{"last", "words"}},
		{time.Hour, 2 * time.Second, nil},
	} {
		t.Run(fmt.Sprint(tt.reads), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) { deaf(tt.reads)(v); v.swallow() }
				g := n.group(t, Config{MinLinks: -1})
				p := lease(t, g)
				synctest.Wait()
				p.say("last", "words")
				begin := time.Now()
				g.Close()
				if took := time.Since(begin); took != tt.took {
					t.Errorf("Close took %v, not %v", took, tt.took)
				}
				synctest.Wait()
				equal(t, "the backend got", n["a:1"].got(), tt.got)
			})
		})
	}
}

// A connection that comes after Close is closed.
func TestDialThatEndsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		dialling, done := make(chan struct{}), make(chan struct{})
		g := newGroup(t, Config{Backends: []string{"a:1"}, Dial: func(context.Context, string, string) (net.Conn, error) {
			close(dialling)
			<-done
			return ours, nil
		}})
		<-dialling
		go g.Close()
		synctest.Wait()
		close(done)
		synctest.Wait()
		if _, err := theirs.Write([]byte("x")); err == nil {
			t.Error("it is open")
		}
	})
}

// Leases may come and go while the group is closed.
func TestCloseAmongLeases(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork("a:1", "b:1")
			n["b:1"].behave = (*visit).hangUp
			g := n.group(t, Config{})
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 50 {
						p := lease(t, g)
						p.say("x")
						if p.lease.Unanswered() == 0 {
							time.Sleep(time.Millisecond)
						}
						p.lease.Close()
					}
				})
			}
			time.Sleep(20 * time.Millisecond)
			g.Close()
			all.Wait()
			if s := g.Stat(); s.Waiting != 0 || s.Backends[0].Links != 0 || s.Backends[1].Links != 0 || len(g.resting) != 0 {
				t.Errorf("left behind: %+v, %d rest", s, len(g.resting))
			}
		})
	}
}
