package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Frames that are sent before any backend is up arrive when one is, in order.
func TestFramesWaitForABackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].stop()
		g := n.group(t, Config{})
		p := lease(t, g)
		var want []string
		for i := range 1000 {
			want = append(want, fmt.Sprint(i))
			if p.ask(want[i]) {
				t.Fatalf("full after %d small frames", i+1)
			}
		}
		time.Sleep(time.Second / 2)
		p.expect()
		if got := p.lease.Unanswered(); got != 1000 {
			t.Errorf("%d requests unanswered, not 1000", got)
		}
		n["a:1"].start()
		time.Sleep(time.Second)
		equal(t, "the backend got", n["a:1"].got(), want)
		p.expect(want...)
		if got, at := p.lease.Unanswered(), p.lease.Backend(); got != 0 || at != "a:1" {
			t.Errorf("%d requests unanswered, served by %q", got, at)
		}
		if p.tookRooms() != 0 {
			t.Error("Room without need")
		}
	})
}

// Beyond Buffer Send says full, and Room says when it is over: once, and not before.
func TestBufferIsBounded(t *testing.T) {
	const buffer = 1000
	payload := strings.Repeat("x", 100-wire.HeaderLen)
	for _, frames := range []int{9, 10, 12} {
		t.Run(fmt.Sprint(frames), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].stop()
				p := lease(t, n.group(t, Config{Buffer: buffer}))
				for i := range frames {
					if full, want := p.say(payload), (i+1)*100 >= buffer; full != want {
						t.Errorf("frame %d of 100 bytes: full is %v", i+1, full)
					}
				}
				time.Sleep(900 * ms)
				if p.tookRooms() != 0 {
					t.Error("Room while the frames still wait")
				}
				n["a:1"].start()
				time.Sleep(200 * ms)
				want := 0
				if frames*100 >= buffer {
					want = 1
				}
				if got := p.tookRooms(); got != want {
					t.Errorf("Room was called %d times, not %d", got, want)
				}
				if got := len(n["a:1"].got()); got != frames {
					t.Errorf("%d frames arrived", got)
				}
				if p.say(payload) {
					t.Error("still full")
				}
			})
		})
	}
}

// Who waits longest is served first.
func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		g := n.group(t, Config{MinLinks: -1, MaxLinks: 1})
		var all []*peer
		for i := range 5 {
			all = append(all, lease(t, g))
			all[i].ask(fmt.Sprint(i))
		}
		for i, p := range all {
			synctest.Wait()
			for j, other := range all {
				if got, want := other.lease.Backend() != "", i == j; got != want {
					t.Errorf("round %d: client %d has a link: %v", i, j, got)
				}
			}
			if waiting := g.Stat().Waiting; waiting != 4-i {
				t.Errorf("round %d: %d wait", i, waiting)
			}
			p.expect(fmt.Sprint(i))
			p.lease.Close()
		}
	})
}

// What waits for a link goes with a lease that is closed, and nothing of the lease is left behind.
func TestCloseWhileWaiting(t *testing.T) {
	for _, tt := range []struct {
		name  string
		delay time.Duration // of the dial
		after time.Duration // when the lease is closed
		up    bool
	}{
		{"before the dial has begun", 0, 0, false},
		{"between two dials", 0, 1200 * ms, false},
		{"while dialling", time.Second, time.Second / 2, true},
		{"at the moment at which the dial ends", time.Second, time.Second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				s := n["a:1"]
				s.up, s.delay = tt.up, tt.delay
				g := n.group(t, Config{MinLinks: -1})
				p := lease(t, g)
				p.say("never")
				time.Sleep(tt.after)
				p.lease.Close()
				p.lease.Close()
				if p.say("dropped") {
					t.Error("a lease that has ended is full")
				}
				time.Sleep(time.Minute)
				dials := len(s.dialTimes(time.Now()))
				time.Sleep(time.Hour)
				if more := len(s.dialTimes(time.Now())); more != dials {
					t.Errorf("%d dials although nobody waits", more-dials)
				}
				if b := g.Stat().Backends[0]; b.Links != 0 || b.Dialing != 0 || g.Stat().Waiting != 0 {
					t.Errorf("left behind: %+v", b)
				}
				if got := s.got(); len(got) > 0 && tt.after < tt.delay {
					t.Errorf("the backend got %q", got)
				}
				p.expect() // it is not told
			})
		})
	}
}

// What went to a link before Close still reaches the backend.
func TestCloseSendsWhatIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) { deaf(time.Second)(v); v.swallow() }
		p := lease(t, n.group(t, Config{}))
		synctest.Wait()
		p.say("last", "words")
		p.lease.Close()
		time.Sleep(2 * time.Second)
		equal(t, "the backend got", n["a:1"].got(), []string{"last", "words"})
	})
}

// After Close no call to the client begins, however much its backend still sends. Close may be called from within one.
func TestNoCallsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1")
		n["a:1"].behave = func(v *visit) {
			for {
				if _, err := v.nc.Write(wire.AppendFrame(nil, 0x10, 0, []byte("news"))); err != nil {
					return
				}
			}
		}
		p := &quitter{after: 10}
		p.mu.Lock() // until it has its lease
		p.lease = n.group(t, Config{MinLinks: -1}).Lease(p, Client{}).(*session)
		p.mu.Unlock()
		synctest.Wait()
		if p.calls != p.after {
			t.Errorf("%d calls, closed in call %d", p.calls, p.after)
		}
	})
}

// quitter is a client that closes its lease when it has got some frames.
type quitter struct {
	mu           sync.Mutex
	lease        *session
	calls, after int
}

func (q *quitter) Frames([]byte, int) (full bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.calls++; q.calls == q.after {
		q.lease.Close()
	}
	return false
}

func (q *quitter) Room()      {}
func (q *quitter) Lost(error) {}

// A lease of a group that is closed ends at once.
func TestLeaseOfAClosedGroup(t *testing.T) {
	g := newNetwork("a:1").group(t, Config{MinLinks: -1})
	g.Close()
	p := lease(t, g)
	p.expectLost(ErrGroupClosed)
	if p.ask("x") || p.lease.Unanswered() != 0 || p.lease.Backend() != "" {
		t.Error("it does not look ended")
	}
	p.lease.Close()
	p.expectLost(ErrGroupClosed)
}
