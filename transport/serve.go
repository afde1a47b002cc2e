package transport

import (
	"errors"
	"io"
	"os"
	"time"
)

func (c *goroutineConn) Serve(first []byte) (err error) {
	polite := false
	defer func() { c.close(polite) }() // after a panic of the logic, too
	err = c.run(first)
	polite = err == nil || errors.Is(err, io.EOF)
	return err
}

// Start returns false: this driver is the goroutine that calls Serve.
func (c *goroutineConn) Start([]byte, Ender) bool { return false }

func (c *goroutineConn) run(first []byte) error {
	next := More
	if len(first) > 0 {
		used := 0
		used, next = c.logic.Data(time.Now(), first)
		c.rest = append([]byte(nil), first[used:]...)
	}
	for {
		if err := c.writeError(); err != nil {
			return err
		}
		var err error
		switch {
		case next == Close:
			if c.eof {
				return io.EOF
			}
			return nil
		case next == Pause || c.eof:
			next, err = c.pause()
		case c.raw != nil:
			next, err = c.readRaw()
		default:
			next, err = c.readAny()
		}
		if errors.Is(err, io.EOF) && !c.eof {
			c.eof = true
			c.forget() // what is left will never be whole
			next, err = c.logic.EOF(time.Now()), nil
		}
		if err != nil {
			if werr := c.writeError(); werr != nil {
				return werr // the first cause: a failed write ends the reading, too
			}
			return err
		}
	}
}

// forget gives up all read buffers, and the bytes in them.
func (c *goroutineConn) forget() {
	c.release()
	c.own = nil
}

// feed gives the logic what is in rest, and keeps what it leaves.
func (c *goroutineConn) feed(now time.Time) Next {
	n, next := c.logic.Data(now, c.rest)
	c.used(n)
	return next
}

// pause waits for Resume, Wake or the logic's deadline. The peer's end is not noticed meanwhile: nothing is read.
func (c *goroutineConn) pause() (Next, error) {
	c.shrink(tlsRecord) // a pause may be long
	c.mu.Lock()
	if c.bell == nil {
		c.bell = make(chan struct{}, 1)
	}
	c.mu.Unlock()
	for {
		c.mu.Lock()
		woken, resumed, werr := c.woken, c.resumed && !c.eof, c.werr
		c.resumed = false
		c.mu.Unlock()
		now := time.Now()
		switch {
		case werr != nil:
			return Close, werr
		case woken || due(c.logic.Deadline(), now):
			if c.tick(now) == Close {
				return Close, nil
			}
		}
		if resumed {
			return c.feed(now), nil
		}
		c.sleep(now)
	}
}

// sleep waits for the bell or the logic's deadline.
func (c *goroutineConn) sleep(now time.Time) {
	at := c.logic.Deadline()
	if at.IsZero() {
		<-c.bell
		return
	}
	t := time.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-c.bell:
	case <-t.C:
	}
}

// due says whether the moment has come; the zero time never comes.
func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// tick has the logic look at the clock.
func (c *goroutineConn) tick(now time.Time) Next {
	c.mu.Lock()
	if c.woken {
		c.woken = false
		c.fired = true // Wake has moved the read deadline into the past
	}
	c.mu.Unlock()
	return c.logic.Tick(now)
}

// timedOut is called when a read ended at its deadline: the logic's, the settling, or a Wake.
func (c *goroutineConn) timedOut() Next {
	c.fired = true
	now := time.Now()
	c.mu.Lock()
	woken := c.woken
	c.mu.Unlock()
	if c.unsettled && now.Sub(c.readAt) >= settle {
		c.unsettled = false // the read that follows finds what there is; the moment has passed and must not be armed again
	}
	at, looked := c.logic.Deadline(), !c.look.IsZero()
	c.look = time.Time{}
	switch {
	case woken:
		return c.tick(now)
	case !due(at, now):
		return More
	case now.Sub(at) > lateBy && !looked:
		c.look = now.Add(lookFor)
		return More
	default:
		return c.tick(now)
	}
}

// arm sets the read deadline to the next moment at which something is to be done. Deadlines that move away are left where they are: they fire
// once, early, and are set anew then. So a connection that is never silent touches its timer about once a second, not with every frame.
func (c *goroutineConn) arm() {
	want := c.logic.Deadline()
	if want.Before(c.look) && !want.IsZero() {
		want = c.look
	}
	if c.unsettled {
		if at := c.readAt.Add(settle); want.IsZero() || at.Before(want) {
			want = at
		}
	}
	if !c.fired {
		if want.IsZero() || !c.armed.IsZero() && !want.Before(c.armed) {
			return
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken {
		return // the deadline is in the past already, and shall stay there
	}
	c.armed, c.fired = want, false
	_ = c.nc.SetReadDeadline(want)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
