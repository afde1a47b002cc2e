package transport

import (
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A loop is one thread that waits for many connections, and does for each what it is time for. All calls of their logics but none else come from it, so what a
// logic does while others of the same loop wait must be short, and never block.
type loop struct {
	*poller
	uring *ring // reads and writes for several at once; nil: there is none
	// asleep: the loop waits, or is about to; whoever has something for it must ring.
	asleep atomic.Bool

	mu    sync.Mutex  // guards inbox; taken after a connection's lock
	inbox []*loopConn // those that the loop shall look at, each once

	conns int // guarded by the lock of loops

	// The loop's goroutine owns these.
	byFD    []*loopConn
	timers  timers
	events  []syscall.EpollEvent
	batch   []*loopConn // what is left of the inbox that was taken last
	spare   []*loopConn // the slice of the one before
	current *loopConn   // whose logic may be running: who is to blame for a panic
	came    []arrival   // what was read for several at once, and their logics have not seen yet
	seen    int         // of these, how many they have
	slots   []byte      // where they were read to
	outs    []departure // what is written for several at once
	lent    *[]byte     // what the current one reads into, where it had nothing left
	over    bool        // its last connection has gone
}

// maxEvents is how many connections are served between two looks at the clock and the inbox. What is flushed waits for the end of a turn, so a turn must not be
// too long; and the more it serves, the more leaves with one write.
const maxEvents = 256

func newLoop() (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{poller: p, events: make([]syscall.EpollEvent, maxEvents)}
	l.gather()
	return l, nil
}

// run serves until the last connection has gone. It has a thread to itself: its wait would cost the next goroutine on it a hand-over.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !l.over {
		l.turn()
	}
	l.scatter()
	l.close()
}

// turn waits for what is next, and does it. A panic of a logic ends its connection, and this turn; the others lose nothing: what was ready is ready still, and what
// was in the inbox is in the batch, and what was read for others is among what came.
func (l *loop) turn() {
	defer l.recovered()
	l.arrive()
	l.serve(l.await())
	l.expire()
	l.attend()
	l.current = nil
}

// serve does what the poller has events for.
func (l *loop) serve(ready []syscall.EpollEvent) {
	if l.uring != nil && len(ready) > 1 {
		ready = l.receive(ready)
	}
	for i := range ready {
		if c := l.find(ready[i].Fd); c != nil {
			l.current = c
			c.ready(ready[i].Events)
		}
	}
}

// await waits for events, the next deadline, or a ring.
func (l *loop) await() []syscall.EpollEvent {
	wait := 0
	if len(l.batch) == 0 {
		wait = l.timers.wait(clock())
	}
	if wait != 0 {
		l.asleep.Store(true)
		if l.expected() { // by somebody who came before asleep was set, and did not ring
			wait = 0
		}
	}
	ready := l.wait(l.events, wait)
	l.asleep.Store(false)
	return ready
}

func (l *loop) expected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) > 0
}

// post puts a connection into the inbox. Its lock is held, so it is not gone, and neither is the loop.
func (l *loop) post(c *loopConn) {
	l.mu.Lock()
	l.inbox = append(l.inbox, c)
	l.mu.Unlock()
	if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
		l.ring()
	}
}

// attend looks at those in the inbox. Who is put there meanwhile waits for the next turn.
func (l *loop) attend() {
	if len(l.batch) == 0 {
		l.mu.Lock()
		l.batch, l.inbox, l.spare = l.inbox, l.spare[:0], l.inbox
		l.mu.Unlock()
	}
	if l.uring != nil && len(l.batch) > 1 {
		l.depart()
	}
	for len(l.batch) > 0 {
		c := l.batch[0]
		l.batch[0] = nil
		l.batch = l.batch[1:]
		if c != nil {
			l.current = c
			c.attend()
		}
	}
}

// expire calls those whose moment has come, each once.
func (l *loop) expire() {
	now := clock()
	for range len(l.timers) {
		if len(l.timers) == 0 || l.timers[0].at > now {
			return
		}
		c := l.timers.pop()
		l.current = c
		c.expire(time.Now())
	}
}

func (l *loop) recovered() {
	if r := recover(); r != nil {
		if l.current == nil {
			panic(r)
		}
		l.current.broke(&PanicError{r, debug.Stack()})
	}
}

// add makes a connection known by its descriptor.
func (l *loop) add(c *loopConn) {
	if n := int(c.fd) + 1; n > len(l.byFD) {
		l.byFD = append(l.byFD, make([]*loopConn, n-len(l.byFD))...)
	}
	l.byFD[c.fd] = c
}

// find returns the connection of a descriptor; nil: it ended earlier in this turn, or it is the bell.
func (l *loop) find(fd int32) *loopConn {
	if int(fd) >= len(l.byFD) {
		return nil
	}
	return l.byFD[fd]
}
