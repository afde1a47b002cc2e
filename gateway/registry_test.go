package gateway

import (
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// client is a live connection as the registry has it.
type client struct {
	info   Info
	recent []Frame

	mu     sync.Mutex
	reason string // what it was ended for
}

func (c *client) ID() ConnID               { return c.info.ID }
func (c *client) Info() Info               { return c.info }
func (c *client) Recent() []Frame          { return c.recent }
func (c *client) Pending() (int, bool)     { return c.info.Unsent, false }
func (c *client) Weight() (int, time.Time) { return c.info.Unsent, c.info.LastHeard }

func (*client) Renew()                         {}
func (*client) Generation() (uint64, []string) { return 0, nil }
func (*client) Leave()                         {}

func (c *client) End(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason = reason
}

func (c *client) ended() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// join has a new connection listed until the test ends.
func join(t testing.TB, l *Live, edit func(*Info)) *client {
	t.Helper()
	c := &client{info: Info{
		ID: NewConnID(), State: StateIdle, Since: time.Now(),
		Remote: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 40000}, Local: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 7450},
	}}
	if edit != nil {
		edit(&c.info)
	}
	l.Add(c)
	t.Cleanup(func() { l.Remove(c) })
	return c
}

func live(t testing.TB, name string) *Live {
	t.Helper()
	l := AcquireLive(t.Name() + name)
	t.Cleanup(func() { ReleaseLive(l) })
	return l
}

func TestConns(t *testing.T) {
	l := live(t, "")
	a, b := join(t, l, nil), join(t, l, nil)
	if all := l.Conns(); !slices.Equal(all, []Conn{a, b}) {
		t.Errorf("%v, want both, in their order", all)
	}
	if got := l.conns.get(a.ID()); got != a {
		t.Errorf("%v is %v, want the first", a.ID(), got)
	}
	l.Remove(a)
	l.Remove(a)
	if all := l.Conns(); !slices.Equal(all, []Conn{b}) {
		t.Errorf("%v, want the second", all)
	}
	if got := l.conns.get(a.ID()); got != nil {
		t.Errorf("one that has gone is still there: %v", got)
	}
}

// TestWalkOrder: whatever the order in which they are listed, and over several handlers, a walk has each once, ascending.
func TestWalkOrder(t *testing.T) {
	for _, n := range []int{0, 1, 31, 1024, 5000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			of := []*Live{live(t, "/a"), live(t, "/b")}
			var want []ConnID
			for range n {
				want = append(want, NewConnID())
			}
			for _, i := range rand.Perm(n) {
				of[i%2].Add(&client{info: Info{ID: want[i]}})
			}
			for _, from := range []int{0, n / 3, n} {
				after := ConnID(0)
				if from > 0 {
					after = want[from-1]
				}
				var got []ConnID
				for e := range walk(of, after) {
					if e.id != e.conn.ID() {
						t.Fatalf("%v is listed as %v", e.conn.ID(), e.id)
					}
					got = append(got, e.id)
				}
				if !slices.Equal(got, want[from:]) {
					t.Errorf("from %d: %d connections, not the %d there are in their order", from, len(got), n-from)
				}
			}
		})
	}
}

// TestWalkUnderChurn: who is there all the time is yielded once, however many others come and go.
func TestWalkUnderChurn(t *testing.T) {
	l := live(t, "")
	stay := make(map[ConnID]int)
	for range 3000 {
		stay[join(t, l, nil).ID()] = 0
	}
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for range 2 {
		churn.Go(func() {
			var mine []*client
			for {
				select {
				case <-stop:
					for _, c := range mine {
						l.Remove(c)
					}
					return
				default:
				}
				c := &client{info: Info{ID: NewConnID()}}
				l.Add(c)
				if mine = append(mine, c); len(mine) > 100 {
					i := rand.IntN(len(mine))
					l.Remove(mine[i])
					mine = slices.Delete(mine, i, i+1)
				}
			}
		})
	}
	last := ConnID(lastID.Load())
	before := ConnID(0)
	for e := range walk([]*Live{l}, 0) {
		if e.id <= before {
			t.Fatalf("%v after %v", e.id, before)
		}
		if before = e.id; e.id > last {
			break // or it might never catch up
		}
		if _, ok := stay[e.id]; ok {
			stay[e.id]++
		}
	}
	close(stop)
	churn.Wait()
	for id, n := range stay {
		if n != 1 {
			t.Errorf("%v was yielded %d times", id, n)
		}
	}
}

// TestRegistryGivesBack: a fleet that has gone leaves no memory behind.
func TestRegistryGivesBack(t *testing.T) {
	var r registry
	var all []*client
	for range 10_000 {
		c := &client{info: Info{ID: NewConnID()}}
		all = append(all, c)
		r.add(c)
	}
	for _, c := range all {
		r.remove(c.ID())
	}
	for i := range r.shards {
		if n := cap(r.shards[i].conns); n > 8 {
			t.Fatalf("an empty shard has room for %d", n)
		}
	}
}

func TestConnID(t *testing.T) {
	id := NewConnID()
	if next := NewConnID(); next <= id {
		t.Errorf("%v after %v", next, id)
	}
	if got, err := ParseConnID(id.String()); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	for _, tt := range []struct{ id, says string }{
		{"", "ids are such as " + run + "-1042"},
		{"7", "ids are such as"},
		{run + "-", "ids are such as"},
		{run + "-0", "ids are such as"},
		{run + "--1", "ids are such as"},
		{"xxxxxx-7", "is of another run of this process: ids of this run begin with " + run},
	} {
		if id, err := ParseConnID(tt.id); err == nil || !contains(err.Error(), tt.says) {
			t.Errorf("%q: %v, %v; want %q", tt.id, id, err, tt.says)
		}
	}
}
