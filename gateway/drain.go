package gateway

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// ReasonDraining is what a connection ends for in a drain, and what one is refused for meanwhile.
const ReasonDraining = "draining"

// Schedule is how a drain goes: for Grace nobody is closed, so that whoever sends clients elsewhere can notice; then all are, at random moments spread evenly over
// Window. A connection whose moment has come is read from no more, and is closed with the answer to the last of its requests; at the end of the window, in any case.
type Schedule struct{ Grace, Window time.Duration }

// Why a handler drains.
type drainCause uint8

const (
	drainGone  drainCause = iota // no configuration has it; ends when one has it again
	drainAsked                   // an operator said so; ends when he says so
	drainExit                    // the process ends
)

// drain is the part of a Live that lets nobody in, and sends those away that are in.
type drain struct {
	on atomic.Bool

	mu  sync.Mutex
	now *draining // the last one; nil: there is none, or it was called off
}

// draining is one drain of one handler.
type draining struct {
	cause drainCause
	Schedule
	off   chan struct{} // closed: it is called off
	hurry chan struct{} // closed: all that are left are closed at once
	done  chan struct{} // closed when nobody is left, or it was called off
}

// ComeBack returns how long a client that is sent away now is to wait before it comes back: another time for each. In a drain the moments at which they are sent away are
// spread already, over the whole window, so a tenth of that is enough to have none come in a crowd; more would only keep them waiting.
func (l *Live) ComeBack() time.Duration {
	l.drain.mu.Lock()
	d := l.drain.now
	l.drain.mu.Unlock()
	within := comeBack
	if d != nil {
		within = max(within, d.Window/10)
	}
	return rand.N(within)
}

// comeBack is within what time clients come back that are sent away at once.
const comeBack = 2 * time.Second

// Draining says whether the handler lets nobody in.
func (l *Live) Draining() bool { return l.drain.on.Load() }

// startDrain begins a drain, in the place of one under way; but none takes the place of the process's end. The caller holds the Live.
func (l *Live) startDrain(cause drainCause, s Schedule) *draining {
	l.drain.mu.Lock()
	defer l.drain.mu.Unlock()
	if d := l.drain.now; d != nil && d.cause == drainExit {
		return d
	}
	l.drain.end()
	d := &draining{cause: cause, Schedule: s, off: make(chan struct{}), hurry: make(chan struct{}), done: make(chan struct{})}
	l.drain.now = d
	l.drain.on.Store(true)
	drainingNow.WithLabelValues(l.Name).Set(1)
	AcquireLive(l.Name)
	go func() {
		defer ReleaseLive(l)
		defer close(d.done)
		d.run(l)
	}()
	return d
}

// endDrain calls a drain off, if it was for that cause. Connections that were told to leave still do.
func (l *Live) endDrain(cause drainCause) (was bool) {
	l.drain.mu.Lock()
	defer l.drain.mu.Unlock()
	if d := l.drain.now; d == nil || d.cause != cause {
		return false
	}
	l.drain.end()
	l.drain.on.Store(false)
	drainingNow.WithLabelValues(l.Name).Set(0)
	return true
}

// end calls off what is under way. mu is held.
func (d *drain) end() {
	if d.now != nil {
		close(d.now.off)
		d.now = nil
	}
}

func (d *draining) began(l *Live, n int) {
	Emit("gopr.drain.started", map[string]any{"handler": l.Name, "connections": n, "grace": d.Grace.String(), "drain": d.Window.String()})
	Log.Info("drain started", "handler", l.Name, "connections", n, "grace", d.Grace, "drain", d.Window)
}

func (d *draining) ended(l *Live, n, cut int, took time.Duration) {
	Emit("gopr.drain.done", map[string]any{"handler": l.Name, "connections": n, "cut": cut, "duration": took.String()})
	Log.Info("drain done", "handler", l.Name, "connections", n, "cut", cut, "duration", took)
}

// run closes the handler's connections in their time.
func (d *draining) run(l *Live) {
	began, n := time.Now(), l.Open()
	if n == 0 {
		return
	}
	d.began(l, n)
	next := d.wait(l, began.Add(d.Grace))
	if next == drainOn {
		next = d.spread(l, began.Add(d.Grace))
	}
	cut := 0
	if next == drainOn || next == drainHurried {
		cut = d.cut(l)
	}
	if next != drainOff {
		d.ended(l, n, cut, time.Since(began))
	}
}

// spread tells the connections one after the other to leave, and waits for the end of the window.
func (d *draining) spread(l *Live, from time.Time) drainState {
	conns := l.Conns()
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	each := float64(d.Window) / float64(max(1, len(conns)))
	for i, c := range conns {
		at := from.Add(time.Duration((float64(i) + rand.Float64()) * each))
		if s := d.wait(l, at); s != drainOn {
			return s
		}
		c.Leave()
	}
	return d.wait(l, from.Add(d.Window))
}

// cutFor is how long connections that are closed at once may take to send what is unsent, and a little more.
const cutFor = 5 * time.Second

// cut closes those that are left.
func (d *draining) cut(l *Live) (cut int) {
	for _, c := range l.Conns() {
		c.End(ReasonDraining)
		cut++
	}
	for until := time.Now().Add(cutFor); l.Open() > 0 && time.Now().Before(until); {
		time.Sleep(drainLook)
	}
	return cut
}

type drainState uint8

const (
	drainOn      drainState = iota
	drainEmpty              // nobody is left
	drainHurried            // close those that are left
	drainOff                // let them be
)

// drainLook is how often a drain looks whether anybody is left.
const drainLook = 10 * time.Millisecond

// wait waits for a moment, or for what makes waiting for it needless.
func (d *draining) wait(l *Live, until time.Time) drainState {
	for {
		select {
		case <-d.off:
			return drainOff
		case <-d.hurry:
			return drainHurried
		default:
		}
		left := time.Until(until)
		switch {
		case l.Open() == 0:
			return drainEmpty
		case left <= 0:
			return drainOn
		}
		t := time.NewTimer(min(left, drainLook))
		select {
		case <-d.off:
		case <-d.hurry:
		case <-t.C:
		}
		t.Stop()
	}
}
