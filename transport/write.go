package transport

import (
	"errors"
	"os"
	"time"
)

func (c *goroutineConn) Write(b []byte) (full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.werr != nil {
		return false, c.werr
	}
	if c.closing {
		return false, ErrClosed
	}
	if len(b) == 0 {
		return c.full, nil
	}
	if c.busy || c.out != nil || c.raw == nil && !c.below.takes(len(b)) { // what was appended goes first
		c.add(b)
		if !c.busy {
			c.seize()
			go c.writeOut()
		}
	} else {
		c.seize()
		if written, err := c.attempt(b); err != nil && !written {
			return false, err
		} else if err != nil {
			return false, nil // a part is written, so as little is known of b as of what was written before
		}
	}
	if c.unsent > c.opt.high() {
		c.full = true
	}
	return c.full, nil
}

// attempt writes b without blocking, keeps what is left, and has a writer go on if there is anything to send. The caller has seized the connection; attempt
// yields it, or leaves it to the writer. written: at least a part of b was written. c.mu is held.
func (c *goroutineConn) attempt(b []byte) (written bool, err error) {
	c.unsent += len(b)
	rest, err := c.try(b)
	c.unsent -= len(b) // addFront counts what is kept
	written = len(rest) < len(b)
	if err != nil {
		c.fail(err)
	}
	if c.werr != nil { // ours, or what ended the connection while we tried
		c.yield()
		return written, c.werr
	}
	if len(rest) > 0 { // what others wrote meanwhile is behind it
		c.addFront(rest)
	}
	if c.out == nil && !c.full {
		c.yield()
		return written, nil
	}
	go c.writeOut() // where Drained is owed, it has nothing to send but that
	return written, nil
}

// seize makes the caller the one who writes. Close waits until he yields. c.mu is held, busy is not set, and neither is closing, unless close itself
// is the caller: so the count never rises from 0 while close waits for it.
func (c *goroutineConn) seize() {
	c.busy = true
	c.writers.Add(1)
}

// yield ends what seize began. c.mu is held.
func (c *goroutineConn) yield() {
	c.busy = false
	c.writers.Done()
}

// try writes b without blocking and returns what is left. c.mu is held, and given up during the system call: others append meanwhile.
func (c *goroutineConn) try(b []byte) (rest []byte, err error) {
	if c.raw == nil {
		return c.tryBelow(b)
	}
	c.wbuf = b
	c.mu.Unlock()
	err = c.raw.Write(c.onWritable)
	if isTimeout(err) {
		err = ErrClosed // nobody but close has set a deadline: the time for last words is over
	}
	c.mu.Lock()
	n, sys := c.wn, c.wsys
	c.wbuf, c.wsys, c.wn = nil, nil, 0
	if err == nil && n == 0 {
		err = sys // after a part was written the writer will meet the error; so an error here says: nothing of b was written
	}
	return b[n:], err
}

// tryBelow is try for a connection whose socket has room: it needs no deadline, but the one that close may set.
func (c *goroutineConn) tryBelow(b []byte) (rest []byte, err error) {
	c.mu.Unlock()
	defer c.mu.Lock()
	n, err := c.nc.Write(b)
	if isTimeout(err) {
		err = ErrClosed
	}
	return b[n:], err
}

// add keeps b for the writer. c.mu is held.
func (c *goroutineConn) add(b []byte) {
	if c.out == nil {
		c.out = borrowOut()
	}
	growOut(c.out, b)
	c.unsent += len(b)
}

// addFront keeps b before what is kept already. c.mu is held.
func (c *goroutineConn) addFront(b []byte) {
	if c.out == nil {
		c.add(b)
		return
	}
	behind := c.out
	c.out = borrowOut()
	c.add(b)
	growOut(c.out, *behind)
	returnOut(behind)
}

// writeOut is the writer: it lives while there are unsent bytes. Its caller has seized the connection for it.
func (c *goroutineConn) writeOut() {
	defer c.writers.Done()
	c.mu.Lock()
	c.below.left = 0 // what is written here is not counted
	for c.out != nil && c.werr == nil {
		p := c.out
		c.out = nil
		c.mu.Unlock()
		err := c.writeAll(*p)
		returnOut(p)
		c.mu.Lock()
		if err != nil {
			c.fail(err)
		}
	}
	c.busy = false
	drained := c.relieved()
	if !c.warmed.IsZero() && !c.closing {
		// Or the next try would find its deadline passed; and so would a TLS connection that answers its peer's key update as it reads.
		c.warmed = time.Time{}
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
	c.mu.Unlock()
	if drained {
		c.logic.Drained()
	}
}

// relieved says whether Drained is to be called now. c.mu is held.
func (c *goroutineConn) relieved() bool {
	if !c.full || c.unsent > c.opt.high()/2 || c.werr != nil {
		return false
	}
	c.full = false
	return true
}

// writeChunk is how much the peer must take within the write timeout.
const writeChunk = 64 << 10

// writeAll sends b, blocking. Each chunk, and each part of one that the peer takes, has the write timeout anew, so a slow peer that reads is served
// and one that does not is given up.
func (c *goroutineConn) writeAll(b []byte) error {
	for len(b) > 0 {
		chunk := b[:min(len(b), writeChunk)]
		if !c.extend() {
			return ErrClosed
		}
		n, err := c.nc.Write(chunk)
		b = b[n:]
		c.mu.Lock()
		c.unsent -= n
		drained := c.relieved()
		c.mu.Unlock()
		if drained {
			c.logic.Drained()
		}
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return ErrWriteTimeout
		}
	}
	return nil
}

// extend moves the write deadline, unless the connection is closing: then the one that close has set stands. It reports false when nothing may be
// written any more.
func (c *goroutineConn) extend() bool {
	timeout := c.opt.writeTimeout()
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.werr != nil {
		return false
	}
	at := now.Add(timeout)
	if moved := at.Sub(c.warmed); !c.closing && (moved > timeout/8 || moved < 0) { // back: SetOptions
		c.warmed = at
		_ = c.nc.SetWriteDeadline(at)
	}
	return true
}

// fail ends the sending side. c.mu is held.
func (c *goroutineConn) fail(err error) {
	if c.werr == nil {
		c.werr = err
		c.drop()
		c.wakeLocked()
	}
}

// drop forgets what is unsent. c.mu is held.
func (c *goroutineConn) drop() {
	if c.out != nil {
		returnOut(c.out)
		c.out = nil
	}
}

func (c *goroutineConn) writeError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.werr
}

// end has all further Writes fail. c.mu is held.
func (c *goroutineConn) end() {
	if c.werr == nil {
		c.werr = ErrClosed
		c.drop()
	}
}
