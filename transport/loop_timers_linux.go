package transport

import "time"

// epoch is the moment from which clock counts.
var epoch = time.Now()

// clock is the time as timers keep it: nanoseconds since epoch, never 0.
func clock() int64 { return at(time.Now()) }

// at is a moment as timers keep it; 0: never.
func at(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return max(1, int64(t.Sub(epoch)))
}

// timers is a heap of connections, the one with the next moment first. Moments that move away are left where they are, and found out of date when they come: so a busy
// connection costs it nothing.
type timers []timerEntry

type timerEntry struct {
	at int64
	c  *loopConn
}

// wait is how many milliseconds there are to the next moment, rounded up; -1: there is none.
func (h timers) wait(now int64) int {
	if len(h) == 0 {
		return -1
	}
	const most = int64(time.Hour)
	return int((min(max(h[0].at-now, 0), most) + int64(time.Millisecond) - 1) / int64(time.Millisecond))
}

// set has a connection called at the given moment, or earlier. 0: it need not be called.
func (h *timers) set(c *loopConn, at int64) {
	switch {
	case at == 0 || c.at != 0 && at >= c.at:
		return
	case c.at == 0:
		c.place = int32(len(*h))
		*h = append(*h, timerEntry{at, c})
	default:
		(*h)[c.place].at = at
	}
	c.at = at
	h.up(int(c.place))
}

// pop takes the first.
func (h *timers) pop() *loopConn {
	c := (*h)[0].c
	h.remove(c)
	return c
}

// remove takes a connection out, if it is in.
func (h *timers) remove(c *loopConn) {
	if c.at == 0 {
		return
	}
	i, last := int(c.place), len(*h)-1
	c.at = 0
	h.move(i, (*h)[last])
	(*h)[last] = timerEntry{}
	*h = (*h)[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
}

func (h *timers) move(i int, e timerEntry) {
	(*h)[i] = e
	e.c.place = int32(i)
}

func (h *timers) up(i int) {
	e := (*h)[i]
	for i > 0 && (*h)[(i-1)/2].at > e.at {
		h.move(i, (*h)[(i-1)/2])
		i = (i - 1) / 2
	}
	h.move(i, e)
}

func (h *timers) down(i int) {
	e := (*h)[i]
	for {
		child := 2*i + 1
		if child >= len(*h) {
			break
		}
		if child+1 < len(*h) && (*h)[child+1].at < (*h)[child].at {
			child++
		}
		if (*h)[child].at >= e.at {
			break
		}
		h.move(i, (*h)[child])
		i = child
	}
	h.move(i, e)
}
