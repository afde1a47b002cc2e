package delivery

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlarms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		now := func() moment { return moment(time.Since(began)) + 1 }
		var mu sync.Mutex
		rang := make(map[*Session][]moment)
		a := &alarms{now: now}
		a.ring = func(s *Session) {
			mu.Lock()
			defer mu.Unlock()
			rang[s] = append(rang[s], now())
		}
		want := make(map[*Session]moment)
		for range 200 {
			s := new(Session)
			for range 3 { // the earliest counts
				at := moment(rand.N(time.Hour)) + 2
				a.set(s, at)
				want[s] = earlier(want[s], at)
			}
			if rand.IntN(5) == 0 {
				a.drop(s)
				delete(want, s)
			}
		}
		a.set(new(Session), 0) // never
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(rang) != len(want) {
			t.Errorf("%d have rung, want %d", len(rang), len(want))
		}
		for s, at := range want {
			if len(rang[s]) != 1 || rang[s][0] != at {
				t.Errorf("rang at %v, want %v", rang[s], at)
			}
		}
		late := new(Session)
		a.set(late, now()+moment(time.Hour))
		a.close()
		a.set(new(Session), now()+1)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if rang[late] != nil {
			t.Error("rang after close")
		}
	})
}

func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crew{most: 3}
		var working, most, done atomic.Int32
		for range 50 {
			c.do(func() {
				n := working.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				time.Sleep(time.Second)
				working.Add(-1)
				done.Add(1)
			})
		}
		c.offer(10, func() { t.Error("taken beyond what may wait") })
		c.close()
		c.do(func() { t.Error("done after the end") })
		if done.Load() != 50 || most.Load() != 3 {
			t.Errorf("%d done by %d at a time, want 50 by 3", done.Load(), most.Load())
		}
	})
}
