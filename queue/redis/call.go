package redis

import (
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// call is what is changed of one session in a round trip. It is told by the ledger what to change.
type call struct {
	*account
	session queue.SessionID
	now     time.Time
	before  [2]mark // by direction, before the call
	changes []any   // as call.lua wants them: a letter, the direction, and two values each
	removed [2]bool // by direction: something was
	anew    bool    // a message was put anew, and its old id is gone
}

func (c *call) add(x *box, letter string, a, b any) int {
	d := int(x.Of().Direction)
	c.changes = append(c.changes, letter, d, a, b)
	return d
}

// expirySlack is how much longer than their messages keys live; so they need not be told of each.
const expirySlack = time.Hour

// never is until when a key lives that has no end.
const never = math.MaxInt64

// Put implements ledger.Log.
func (c *call) Put(x *box, m *queue.Message) {
	d := x.Of().Direction
	if len(x.After(0))-len(c.aside[d]) == 1 {
		c.until[d] = 0 // it is the only one in its stream, which is made for it
	}
	switch expires := expiry(m); {
	case expires == 0 && c.until[d] != never:
		c.until[d] = never
		c.add(x, "e", "", "")
	case expires > c.until[d]:
		c.until[d] = expires + expirySlack.Milliseconds()
		c.add(x, "e", c.until[d]-c.now.UnixMilli(), "")
	}
	c.add(x, "p", decimal(m.ID), encode(m))
}

// Cut implements ledger.Log.
func (c *call) Cut(x *box, first, last uint64) {
	d := c.add(x, "t", decimal(last+1), "")
	c.removed[d] = true
	for id := range c.aside[d] {
		if id >= first && id <= last {
			c.add(x, "x", decimal(id), "")
			delete(c.aside[d], id)
		}
	}
}

// Drop implements ledger.Log.
func (c *call) Drop(x *box, id uint64) {
	d := c.add(x, "x", decimal(id), "")
	c.removed[d] = true
	delete(c.aside[d], id)
}

// Change implements ledger.Log.
func (c *call) Change(x *box, id uint64, e *entry) {
	if e.ID != id {
		c.add(x, "r", decimal(id), decimal(e.ID))
		c.anew = true
		return
	}
	d := c.add(x, "c", decimal(id), []byte{byte(e.State), e.Retries})
	c.removed[d] = true
	if e.State == queue.Acknowledged {
		c.noteAside(d, id)
	} else {
		delete(c.aside[d], id)
	}
}

// Touch implements ledger.Log.
func (c *call) Touch(x *box) { c.add(x, "l", decimal(x.Last), decimal(x.Seen)) }

// args are those of call.lua. Each is one call more.
func (c *call) args() []any {
	for d, removed := range c.removed {
		if removed {
			c.changes = append(c.changes, "z", d, "", "")
		}
	}
	keep := ""
	if c.now.After(c.keep) {
		keep = decimal(uint64(kept.Milliseconds()))
		c.keep = c.now.Add(kept / 2)
	}
	c.account.call++
	return append([]any{c.fence, c.account.call, keep}, c.changes...)
}

// failed notes that it is not known whether the call was carried out.
func (c *call) failed(now [2]mark) {
	c.unknown = true
	for d := range 2 {
		c.undo[d] = mark{}
		// A message that was put anew has no place to go back to: it stays where it is, if it is.
		if now[d].last > c.before[d].last && !c.anew {
			c.undo[d] = c.before[d]
		}
	}
}
