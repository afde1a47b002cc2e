package delivery

import (
	"container/heap"
	"sync"
	"time"
)

// moment is a time on the clock of a service, which begins with it and never jumps. 0: never.
type moment int64

// earlier returns the earlier of two moments that may be never.
func earlier(a, b moment) moment {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// over says whether a moment has come.
func (m moment) over(now moment) bool { return m != 0 && m <= now }

// alarm is a session's place among the alarms of its service, whose lock guards it.
type alarm struct {
	at    moment // 0: it has none
	index int32
}

// alarms wake sessions, by one timer for all of them. Their lock is taken after a session's.
type alarms struct {
	ring func(*Session) // without the lock
	now  func() moment

	mu     sync.Mutex
	queue  alarmQueue
	timer  *time.Timer
	closed bool
	wg     sync.WaitGroup
}

// set has a session woken at a moment, or before: one that is late already stays, so that what moves on with every message costs a comparison.
func (a *alarms) set(s *Session, at moment) {
	if at == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed || s.alarm.at != 0 && s.alarm.at <= at:
		return
	case s.alarm.at != 0:
		s.alarm.at = at
		heap.Fix(&a.queue, int(s.alarm.index))
	default:
		s.alarm.at = at
		heap.Push(&a.queue, s)
	}
	if a.queue[0] == s {
		a.wind()
	}
}

// drop forgets a session.
func (a *alarms) drop(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.alarm.at != 0 {
		heap.Remove(&a.queue, int(s.alarm.index))
	}
}

// wind has the timer fire for the first alarm. a.mu is held.
func (a *alarms) wind() {
	if a.closed || len(a.queue) == 0 {
		return
	}
	wait := max(time.Duration(a.queue[0].alarm.at-a.now()), 0)
	if a.timer == nil {
		a.timer = time.AfterFunc(wait, a.fire)
		return
	}
	a.timer.Reset(wait)
}

func (a *alarms) fire() {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return
	}
	a.wg.Add(1)
	defer a.wg.Done()
	var due []*Session
	for now := a.now(); len(a.queue) > 0 && a.queue[0].alarm.at <= now; {
		due = append(due, heap.Pop(&a.queue).(*Session))
	}
	a.wind()
	a.mu.Unlock()
	for _, s := range due {
		a.ring(s)
	}
}

// close ends all alarms, and waits for those that ring.
func (a *alarms) close() {
	a.mu.Lock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
	a.mu.Unlock()
	a.wg.Wait()
}

// alarmQueue is a heap.
type alarmQueue []*Session

func (q alarmQueue) Len() int           { return len(q) }
func (q alarmQueue) Less(i, j int) bool { return q[i].alarm.at < q[j].alarm.at }

func (q alarmQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].alarm.index, q[j].alarm.index = int32(i), int32(j)
}

// Push is heap.Interface's.
func (q *alarmQueue) Push(x any) {
	s := x.(*Session)
	s.alarm.index = int32(len(*q))
	*q = append(*q, s)
}

// Pop is heap.Interface's.
func (q *alarmQueue) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	s.alarm = alarm{}
	return s
}
