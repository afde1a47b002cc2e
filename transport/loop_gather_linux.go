package transport

import (
	"os"
	"syscall"
	"time"
)

// Reading and writing for many connections with one system call, where there is a [ring]. What is read lies in slots, one for each connection, until the logics have
// seen it, one after the other. What is written in a turn is written at its end. Neither changes what a connection sees: what is read for it is given to it next, and
// its writes are in order.

const (
	// slotSize is what one such read can bring. A connection that had more to bring is read by itself, with more room.
	slotSize = 16 << 10
	// shortBelow is the size from which a read has more to gain from room for all that has come, and a write from not being copied, than from company.
	shortBelow = 4 << 10
)

// ringsOff is the environment's word: for operators, to compare and to rule them out.
var ringsOff = os.Getenv("CADDY_GOPR_IO_URING") == "off"

// arrival is what was read for a connection.
type arrival struct {
	c   *loopConn
	b   []byte
	err syscall.Errno
}

// departure is what is written for a connection, as [loopConn.sendOut] has it.
type departure struct {
	c    *loopConn
	p    *[]byte
	sent int
	at   int // its place in the batch
}

// gather has the loop begin to read and write for several at once, if it can.
func (l *loop) gather() {
	if ringsOff {
		return
	}
	r := newRing()
	if r == nil {
		return
	}
	slots, err := syscall.Mmap(-1, 0, ringSize*slotSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		r.close()
		return
	}
	l.uring, l.slots = r, slots
}

func (l *loop) scatter() {
	if l.uring != nil {
		l.uring.close()
		_ = syscall.Munmap(l.slots)
	}
}

// gathers says whether a write may wait for the end of the turn under way. Between turns there is none to wait for.
func (l *loop) gathers() bool { return l.uring != nil && !l.asleep.Load() }

// receive reads for those that it can, has their logics see it, and returns the events that are left to be seen to.
func (l *loop) receive(ready []syscall.EpollEvent) []syscall.EpollEvent {
	left := ready[:0]
	for _, e := range ready {
		c := l.find(e.Fd)
		if c == nil || !c.readsShort(e.Events) {
			left = append(left, e)
			continue
		}
		i := len(l.came)
		l.came = append(l.came, arrival{c: c})
		l.uring.recv(c.fd, l.slots[i*slotSize:][:min(slotSize, c.opt.readMax())])
		if l.uring.full() {
			l.read()
			l.arrive()
		}
	}
	l.read()
	l.arrive()
	return left
}

func (l *loop) read() {
	for i, call := range l.uring.submit() {
		l.came[i].b, l.came[i].err = call.b[:call.n], call.err
	}
}

// arrive has the logics see what was read. A panic of one leaves what came for the others to the next turn.
func (l *loop) arrive() {
	for l.seen < len(l.came) {
		a := &l.came[l.seen]
		l.seen++
		l.current = a.c
		if a.c.phase == open {
			a.c.arrived(a.b, a.err)
		}
	}
	clear(l.came)
	l.came, l.seen = l.came[:0], 0
}

// readsShort says whether it is enough to read what fits a slot, and nothing else is to be done.
func (c *loopConn) readsShort(events uint32) bool {
	return c.reads && c.phase == open && !c.bulk && events&writable == 0 && c.left.Load() == nil
}

// arrived is readable, for what was read already.
func (c *loopConn) arrived(b []byte, errno syscall.Errno) {
	switch {
	case errno == syscall.EAGAIN:
	case errno != 0:
		c.end(os.NewSyscallError("read", errno))
	case len(b) == 0:
		c.peerEnded()
	default:
		c.bulk = len(b) >= shortBelow
		used, next := c.logic.Data(time.Now(), b)
		if used < len(b) {
			c.keep(b[used:])
		}
		c.follow(next)
	}
}

// depart writes what the connections of the batch have to send, and takes those out of it that wanted nothing else.
func (l *loop) depart() {
	for i, c := range l.batch {
		c.mu.Lock()
		if c.flush && c.phase == open && c.out != nil && !c.busy && !c.blocked && c.werr == nil && len(*c.out)-c.sent < shortBelow {
			p, sent := c.out, c.sent
			c.out, c.sent, c.flush, c.busy = nil, 0, false, true
			l.outs = append(l.outs, departure{c, p, sent, i})
			l.uring.send(c.fd, (*p)[sent:])
		}
		c.mu.Unlock()
		if l.uring.full() {
			l.write()
		}
	}
	l.write()
}

func (l *loop) write() {
	for i, call := range l.uring.submit() {
		d := l.outs[i]
		d.c.mu.Lock()
		n, err := d.c.tried(call.b, call.n, call.err)
		d.c.sentOut(d.p, d.sent, n, err)
		if d.c.satisfied() {
			d.c.queued = false
			l.batch[d.at] = nil
		}
		d.c.mu.Unlock()
	}
	clear(l.outs)
	l.outs = l.outs[:0]
}

// satisfied says whether there is nothing that the loop should look at. c.mu is held.
func (c *loopConn) satisfied() bool {
	return c.phase == open && !c.flush && !c.woken && !c.resumed && !c.blocked && c.werr == nil && !(c.full && c.unsent <= c.opt.high()/2)
}
