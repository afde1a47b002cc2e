package gateway

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// A guest is a connection that leaves when it is told to, unless it is busy; then it is there until it is closed.
type guest struct {
	*client
	live *Live
	busy bool
	left []time.Duration // since it came, when it was told to leave
	cut  bool
	came time.Time
}

// guests are so many connections of a handler of the test's own. They are all dismissed at its end.
func guests(t *testing.T, n int, busy ...int) (l *Live, all []*guest) {
	t.Helper()
	l = AcquireLive(t.Name())
	for i := range n {
		g := &guest{client: &client{info: Info{ID: NewConnID()}}, live: l, busy: slices.Contains(busy, i), came: time.Now()}
		l.Admit(0)
		l.Add(g)
		all = append(all, g)
	}
	t.Cleanup(func() {
		synctest.Wait()
		ReleaseLive(l)
		events.mu.Lock() // what nobody was there to be told
		defer events.mu.Unlock()
		events.queue = nil
	})
	return l, all
}

func (g *guest) Leave() {
	g.left = append(g.left, time.Since(g.came))
	if !g.busy {
		g.depart()
	}
}

func (g *guest) End(reason string) {
	g.cut = reason == ReasonDraining
	g.depart()
}

func (g *guest) depart() {
	g.live.Remove(g)
	g.live.Dismiss(ReasonDraining)
}

// TestDrain: nobody in the grace; then all, evenly spread over the window; those that are busy at its end.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grace, window = 10 * time.Second, 100 * time.Second
		l, all := guests(t, 1000, 17, 400)
		d := l.startDrain(drainAsked, Schedule{grace, window})
		if !l.Draining() {
			t.Error("it lets clients in")
		}
		if _, refused := l.Enter(new(Rules), nil, time.Now()); refused != ReasonDraining {
			t.Errorf("who comes is refused for %q", refused)
		}
		began := time.Now()
		<-d.done
		if took := time.Since(began); took < grace+window || took > grace+window+time.Second {
			t.Errorf("it took %v", took)
		}
		tenths := make([]int, 10)
		for i, g := range all {
			if len(g.left) != 1 || g.left[0] < grace || g.left[0] >= grace+window {
				t.Fatalf("guest %d was told to leave at %v", i, g.left)
			}
			tenths[(g.left[0]-grace)/(window/10)]++
			if g.cut != g.busy {
				t.Errorf("guest %d was cut: %v, want %v", i, g.cut, g.busy)
			}
		}
		for i, n := range tenths {
			if n < 80 || n > 120 { // 100 and what rounding moves
				t.Errorf("%d left in tenth %d of the window: %v", n, i, tenths)
			}
		}
		if !l.Draining() {
			t.Error("it lets clients in again")
		}
	})
}

// TestDrainOfNobody takes no time.
func TestDrainOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := guests(t, 0)
		began := time.Now()
		<-l.startDrain(drainExit, Schedule{time.Hour, time.Hour}).done
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
	})
}

// TestDrainEndsWithTheLast: who goes by himself is not waited for.
func TestDrainEndsWithTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := guests(t, 3)
		d := l.startDrain(drainExit, Schedule{time.Hour, time.Hour})
		time.Sleep(time.Minute)
		for _, g := range all {
			g.depart()
		}
		time.Sleep(drainLook)
		synctest.Wait()
		select {
		case <-d.done:
		default:
			t.Error("it goes on")
			<-d.done
		}
	})
}

// TestDrainHurried: all that are left are closed at once, in the grace and in the window.
func TestDrainHurried(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 15 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			l, all := guests(t, 100, 5)
			d := l.startDrain(drainExit, Schedule{10 * time.Second, 10 * time.Second})
			time.Sleep(after)
			left := l.Open()
			close(d.hurry)
			began := time.Now()
			<-d.done
			if took := time.Since(began); took > drainLook {
				t.Errorf("it took %v", took)
			}
			cut := 0
			for _, g := range all {
				if g.cut {
					cut++
				}
			}
			if cut != left || left == 0 {
				t.Errorf("%d of %d were cut", cut, left)
			}
		})
	}
}

// TestDrainCalledOff: those that are left stay, and clients are let in again. Only who began a drain can call it off.
func TestDrainCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := guests(t, 100)
		d := l.startDrain(drainGone, Schedule{0, 10 * time.Second})
		time.Sleep(5 * time.Second)
		if l.endDrain(drainAsked) {
			t.Error("it was called off by somebody else")
		}
		if !l.endDrain(drainGone) || l.Draining() {
			t.Error("it was not called off")
		}
		<-d.done
		time.Sleep(time.Hour)
		if n := l.Open(); n < 40 || n > 60 {
			t.Errorf("%d are left, want half of them", n)
		}
		for _, g := range all {
			if len(g.left) == 0 {
				g.depart()
			}
		}
	})
}

// TestDrainAnew: a second drain takes the place of the first.
func TestDrainAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, all := guests(t, 10)
		first := l.startDrain(drainAsked, Schedule{time.Hour, time.Hour})
		second := l.startDrain(drainAsked, Schedule{0, time.Second})
		<-first.done
		<-second.done
		if n := l.Open(); n != 0 {
			t.Errorf("%d are left", n)
		}
		for i, g := range all {
			if len(g.left) != 1 {
				t.Errorf("guest %d was told to leave at %v", i, g.left)
			}
		}
	})
}

// TestDrainForExitIsTheLast: when the process ends, nothing puts that off.
func TestDrainForExitIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := guests(t, 10)
		exit := l.startDrain(drainExit, Schedule{0, time.Second})
		if d := l.startDrain(drainAsked, Schedule{time.Hour, time.Hour}); d != exit {
			t.Error("another drain took its place")
		}
		l.endDrain(drainGone)
		<-exit.done
		if n := l.Open(); n != 0 {
			t.Errorf("%d are left", n)
		}
	})
}

// TestDrainEvents: a drain that has somebody to send away tells when it began and ended.
func TestDrainEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sub := subscriber(t)
		var got []string
		sub.do = func(e caddy.Event) { got = append(got, fmt.Sprint(e.Name(), " ", e.Data)) }
		events.started(sub.subscribers)
		l, _ := guests(t, 4, 1)
		<-l.startDrain(drainAsked, Schedule{0, 10 * time.Second}).done
		<-l.startDrain(drainAsked, Schedule{0, 10 * time.Second}).done // of nobody
		events.stopped(sub.subscribers)
		want := []string{
			"gopr.drain.started map[connections:4 drain:10s grace:0s handler:" + l.Name + "]",
			"gopr.drain.done map[connections:4 cut:1 duration:10s handler:" + l.Name + "]",
		}
		if !slices.Equal(got, want) {
			t.Errorf("events are %q, want %q", got, want)
		}
	})
}
