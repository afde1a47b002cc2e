package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A link that was ever a client's is no other's, and a client gets what its own links bring, once and in order: whatever ends, stops and starts meanwhile.
func TestLinksHaveOneOwner(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newStorm(t, seed).run() })
		})
	}
}

// storm is clients and backends that do as chance says. Each client says who it is, and counts, in every frame.
type storm struct {
	t    *testing.T
	seed uint64
	n    network
	g    *Group

	mu     sync.Mutex
	served int // frames that clients got
}

func newStorm(t *testing.T, seed uint64) *storm {
	s := &storm{t: t, seed: seed, n: newNetwork("a:1", "b:1", "c:1")}
	for _, b := range s.n {
		b.delay = 5 * ms
		b.behave = func(v *visit) {
			v.send(0x10, 0, "welcome")
			v.echo()
		}
	}
	s.g = s.n.group(t, Config{
		Policy:   []Policy{RoundRobin, LeastConn, Random, First}[seed],
		MinLinks: []int{-1, 1, 2, 3}[seed],
		MaxLinks: []int{0, 6, 0, 8}[seed],
		Buffer:   2000,
		Reconnect: Reconnect{
			Initial: 10 * ms, Max: 50 * ms, Pause: 100 * ms, Stable: 50 * ms,
		},
		WriteTimeout: time.Second,
	})
	return s
}

func (s *storm) rand(n uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, n)) }

func (s *storm) run() {
	const clients, lasts = 24, 2 * time.Second
	end := time.Now().Add(lasts)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			r := s.rand(uint64(i))
			for life := 0; time.Now().Before(end); life++ {
				s.client(r, fmt.Sprintf("%d.%d", i, life))
			}
		})
	}
	all.Go(func() { s.weather(end) })
	all.Wait()
	for _, b := range s.n {
		b.start()
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	st := s.g.Stat()
	for _, b := range st.Backends {
		if spare := max(0, s.g.cfg.MinLinks); b.Links != spare || b.Spare != spare || b.Dialing != 0 {
			s.t.Errorf("left behind: %+v", b)
		}
	}
	if st.Waiting != 0 || len(s.g.resting) != 0 {
		s.t.Errorf("%d wait, %d rest", st.Waiting, len(s.g.resting))
	}
	s.check()
	if s.served < 100 {
		s.t.Errorf("only %d frames came back", s.served)
	}
}

// weather ends connections, and stops and starts backends.
func (s *storm) weather(end time.Time) {
	r := s.rand(1000)
	addrs := s.n.addrs()
	for time.Now().Before(end) {
		b := s.n[addrs[r.IntN(len(addrs))]]
		switch n := b.visited(); {
		case r.IntN(10) == 0:
			b.stop()
		case r.IntN(3) == 0:
			b.start()
		case n > 0:
			b.visit(r.IntN(n)).nc.Close()
		}
		time.Sleep(time.Duration(r.IntN(20)) * ms)
	}
}

// client is the life of one lease.
func (s *storm) client(r *rand.Rand, id string) {
	c := &stormy{storm: s, id: id, rooms: make(chan struct{}, 1), last: -1}
	l := s.g.Lease(c, Client{})
	defer l.Close()
	for i := range 1 + r.IntN(100) {
		if c.over() {
			return
		}
		p := peer{lease: l}
		payload := fmt.Sprintf("%s:%d", id, i) + strings.Repeat(" ", r.IntN(200))
		full := false
		if r.IntN(2) == 0 {
			full = p.ask(payload)
		} else {
			full = p.say(payload)
		}
		if full {
			select {
			case <-c.rooms:
			case <-time.After(time.Minute):
				if !c.over() {
					s.t.Errorf("client %s: no Room in a minute", id)
				}
				return
			}
		}
		if r.IntN(4) == 0 {
			c.toggle(l)
		}
		time.Sleep(time.Duration(r.IntN(10)) * ms)
	}
	if r.IntN(2) == 0 {
		c.settle(l)
	}
}

// check looks at what each connection has got.
func (s *storm) check() {
	came := make(map[string]int) // by client and number
	for _, b := range s.n {
		for i := range b.visited() {
			owner, last := "", -1
			for _, payload := range b.visit(i).payloads() {
				id, number := s.parse(payload)
				if owner != "" && id != owner {
					s.t.Errorf("one link brought frames of %s and %s", owner, id)
				}
				if number <= last {
					s.t.Errorf("client %s: frame %d after %d", id, number, last)
				}
				owner, last = id, number
				came[fmt.Sprint(id, ":", number)]++
			}
		}
	}
	for f, n := range came {
		if n > 1 {
			s.t.Errorf("frame %s came %d times", f, n)
		}
	}
}

func (s *storm) parse(payload string) (id string, number int) {
	id, n, _ := strings.Cut(strings.TrimRight(payload, " "), ":")
	number, err := strconv.Atoi(n)
	if err != nil {
		s.t.Errorf("payload %q", payload)
	}
	return id, number
}

// stormy is a client of a storm.
type stormy struct {
	*storm
	id    string
	rooms chan struct{}

	mu    sync.Mutex
	full  bool
	last  int // the number of the last answer
	ended bool
}

func (c *stormy) Frames(run []byte, n int) (full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(run) > 0 {
		var f frame
		size, _ := testDecoder.Next(run, &f)
		if size == 0 {
			c.t.Error("a broken run")
			return false
		}
		run = run[size:]
		if string(f.Payload) == "welcome" {
			continue
		}
		id, number := c.parse(string(f.Payload))
		if id != c.id {
			c.t.Errorf("client %s got a frame of %s", c.id, id)
		}
		if number <= c.last {
			c.t.Errorf("client %s: answer %d after %d", id, number, c.last)
		}
		c.last = number
		c.storm.mu.Lock()
		c.served++
		c.storm.mu.Unlock()
	}
	if c.ended {
		c.t.Errorf("client %s: frames after Lost", c.id)
	}
	return c.full
}

func (c *stormy) Room() {
	select {
	case c.rooms <- struct{}{}:
	default:
	}
}

func (c *stormy) Lost(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		c.t.Errorf("client %s: Lost twice", c.id)
	}
	c.ended = true
	if !errors.Is(cause, ErrLost) && !errors.Is(cause, ErrUnstable) {
		c.t.Errorf("client %s: lost for %v", c.id, cause)
	}
	c.Room()
}

func (c *stormy) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// toggle has the client take no more, or go on.
func (c *stormy) toggle(l Lease) {
	c.mu.Lock()
	c.full = !c.full
	full := c.full
	c.mu.Unlock()
	if !full {
		l.Resume()
	}
}

// settle waits for all answers, which must come: or for the loss of the link that owes them.
func (c *stormy) settle(l Lease) {
	c.mu.Lock()
	c.full = false
	c.mu.Unlock()
	l.Resume()
	for range 60_000 {
		if l.Unanswered() == 0 || c.over() {
			return
		}
		time.Sleep(10 * ms)
	}
	c.t.Errorf("client %s: %d requests are unanswered, on %q", c.id, l.Unanswered(), l.Backend())
}
