package upstream

import (
	"fmt"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// slow is an echo that takes as long as set for each frame.
type slow struct{ by atomic.Int64 }

func (s *slow) set(d time.Duration) { s.by.Store(int64(d)) }

func (s *slow) echo(v *visit) {
	for {
		f, err := v.next()
		if err != nil {
			return
		}
		if d := time.Duration(s.by.Load()); d > 0 {
			select {
			case <-time.After(d):
			case <-v.left:
				return
			}
		}
		v.mu.Lock()
		if f.Cmd != pingCmd {
			v.got = append(v.got, string(f.Payload))
		}
		v.mu.Unlock()
		v.reply(f)
	}
}

const pingCmd = 1

// served returns how many frames each backend got since it was last asked.
func (n network) served() map[string]int {
	all := make(map[string]int)
	for addr, s := range n {
		s.mu.Lock()
		for _, v := range s.visits {
			v.mu.Lock()
			all[addr] += len(v.got)
			v.got = nil
			v.mu.Unlock()
		}
		s.mu.Unlock()
	}
	return all
}

// askFrom has so many clients, of many addresses, send a request each, and forgets them when they are answered.
func askFrom(t *testing.T, g *Group, count int) {
	t.Helper()
	var all []*peer
	for i := range count {
		p := from(t, g, ipOf(i))
		p.ask("x")
		all = append(all, p)
	}
	waitAnswers(t, all)
	for _, p := range all {
		p.lease.Close()
	}
	synctest.Wait()
}

// state returns the snapshot of a backend.
func (g *Group) state(t testing.TB, addr string) BackendStat {
	t.Helper()
	for _, b := range g.Stat().Backends {
		if b.Backend == addr {
			return b
		}
	}
	t.Fatalf("no backend %s", addr)
	return BackendStat{}
}

// A backend that becomes slow takes nothing new within two seconds, and again when it has not been slow for the length of the window: by its heartbeats alone.
func TestSlowBackendIsSpared(t *testing.T) {
	for _, pooling := range []Pooling{Session, Request} {
		t.Run(string(pooling), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1", "c:1")
				var b slow
				n["b:1"].behave = b.echo
				g := n.group(t, Config{Policy: Health, Pooling: pooling})
				time.Sleep(20 * time.Second)
				n.served()
				askFrom(t, g, 30)
				if got := n.served(); got["b:1"] == 0 {
					t.Errorf("while all is well: %v", got)
				}
				b.set(200 * ms)
				time.Sleep(2 * time.Second)
				askFrom(t, g, 30)
				if got := n.served(); got["b:1"] > 0 {
					t.Errorf("while it is slow: %v", got)
				}
				if s := g.state(t, "b:1"); s.Takes || s.Health.State != health.Warming || s.Health.P95 < 0.2 || s.Health.Score > 61 {
					t.Errorf("while it is slow: %+v", s.Health)
				}
				time.Sleep(time.Minute)
				b.set(0)
				time.Sleep(13 * time.Second)
				askFrom(t, g, 30)
				if got := n.served(); got["b:1"] == 0 {
					t.Errorf("when it is well again: %v (%+v)", got, g.state(t, "b:1").Health)
				}
			})
		})
	}
}

// A backend that hangs, so that nothing is measured any more, is found as fast as one that is slow.
func TestHungBackendIsSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		var b slow
		n["b:1"].behave = b.echo
		g := n.group(t, Config{Policy: Health, Panic: -1})
		time.Sleep(20 * time.Second)
		b.set(time.Hour)
		time.Sleep(1500 * ms)
		if s := g.state(t, "b:1"); s.Takes {
			t.Errorf("it takes clients: %+v", s.Health)
		}
	})
}

// Where too few backends are fit, all are used, or with panic off none of the others: then clients wait.
func TestPanic(t *testing.T) {
	for _, tt := range []struct {
		panics float64
		slow   int // of 4
		want   string
	}{
		{0, 0, "1111"},
		{0, 2, "0011"},
		{0, 3, "1111"},
		{0, 4, "1111"},
		{-1, 3, "0001"},
		{-1, 4, "0000"},
		{1, 1, "1111"},
	} {
		t.Run(fmt.Sprintf("%v, %d slow", tt.panics, tt.slow), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1", "b:1", "c:1", "d:1")
				var s slow
				s.set(time.Second)
				for _, addr := range n.addrs()[:tt.slow] {
					n[addr].behave = s.echo
				}
				g := n.group(t, Config{Policy: Health, Panic: tt.panics})
				time.Sleep(5 * time.Second)
				got := ""
				for _, b := range g.Stat().Backends {
					got += map[bool]string{true: "1", false: "0"}[b.Takes]
				}
				if got != tt.want {
					t.Errorf("taking: %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// The failures of one client alone say nothing of a backend; those of several do.
func TestAccusations(t *testing.T) {
	for _, tt := range []struct {
		pooling Pooling
		ips     []string
		want    int // failures in a row
	}{
		{Session, []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"}, 0},
		{Session, []string{"10.0.0.1", "10.0.0.2"}, 1},
		{Session, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}, 3},
		{Request, []string{"10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.1"}, 0},
		{Request, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}, 3},
	} {
		t.Run(fmt.Sprint(tt.pooling, tt.ips), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork("a:1")
				n["a:1"].behave = func(v *visit) { // it hangs up on whoever asks, after it has proved useful to nobody
					v.each(func(f frame) {
						if string(f.Payload) == "x" {
							v.nc.Close()
							return
						}
						v.reply(f)
					})
				}
				g := n.group(t, Config{Policy: Health, Pooling: tt.pooling})
				for _, ip := range tt.ips {
					time.Sleep(time.Second)
					p := from(t, g, ip)
					synctest.Wait()
					p.ask("y")
					synctest.Wait()
					p.ask("x")
					synctest.Wait()
					p.expectLost(ErrLost)
				}
				if s := g.state(t, "a:1"); s.Health.InARow != tt.want || s.Failures != 0 {
					t.Errorf("%d failures in a row, %d of its own, want %d and 0", s.Health.InARow, s.Failures, tt.want)
				}
			})
		})
	}
}

// Clients that lose their links all at once are one failure.
func TestOneCrashIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{Policy: Health})
		for i := range 40 {
			from(t, g, ipOf(i))
		}
		time.Sleep(time.Minute)
		n["a:1"].set(func(s *server) {
			for _, v := range s.visits {
				v.nc.Close()
			}
		})
		synctest.Wait()
		if s := g.state(t, "a:1"); s.Health.InARow != 1 {
			t.Errorf("%d failures in a row", s.Health.InARow)
		}
	})
}

// A backend that comes back begins with a tenth of its share.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork("a:1", "b:1")
		g := n.group(t, Config{SlowStart: 30 * time.Second})
		time.Sleep(time.Minute)
		n["b:1"].stop()
		time.Sleep(time.Second)
		n["b:1"].start()
		waitConnected(g, "b:1")
		synctest.Wait()
		back := time.Now()
		for _, tt := range []struct {
			after     time.Duration
			from, to  int // of 110 clients
			threshold string
		}{{1 * time.Second, 8, 14, "a tenth"}, {16 * time.Second, 30, 42, "half"}, {32 * time.Second, 55, 55, "all"}} {
			time.Sleep(time.Until(back.Add(tt.after)))
			synctest.Wait()
			got := 0
			for i := range 110 {
				p := from(t, g, ipOf(i))
				synctest.Wait()
				if p.lease.Backend() == "b:1" {
					got++
				}
				p.lease.Close()
				synctest.Wait()
			}
			if got < tt.from || got > tt.to {
				t.Errorf("after %v, %s of its share: %d of 110 clients, want %d to %d", tt.after, tt.threshold, got, tt.from, tt.to)
			}
		}
	})
}

// The handshakes of TLS are a part of the score, good ones and bad ones.
func TestHandshakesCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newNetwork("a:1").group(t, Config{})
		for _, tt := range []struct {
			ok   bool
			want float64
		}{{true, 25}, {true, 25}, {false, 25 * 2.5 / 3.5}} {
			g.mu.Lock()
			g.backends[0].handshaked(time.Now(), tt.ok)
			g.mu.Unlock()
			if got := g.state(t, "a:1").Health.Parts.TLS; math.Abs(got-tt.want) > 0.01 {
				t.Errorf("the part is %.2f, want %.2f", got, tt.want)
			}
		}
	})
}
