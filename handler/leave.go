package handler

import (
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

// errDraining: the gateway sends its clients away.
var errDraining = errors.New("draining")

// Leave implements gateway.Conn.
func (c *conn) Leave() {
	c.leaving.Store(true)
	c.t.Wake()
}

// depart ends the connection when all that it was asked is answered. Until then nothing is read.
func (c *conn) depart(now time.Time) transport.Next {
	if c.settled() {
		c.sayGoAway(gateway.ReasonDraining)
		return c.fail(errDraining)
	}
	c.held = true
	c.lookIn(now, c.lookAgain())
	return transport.Pause
}

const (
	// lingerLook is how often a connection that only waits for answers is looked at: an answer wakes it, but nothing tells that frames which ask nothing have gone.
	lingerLook = 100 * time.Millisecond
	// answerLook is how soon when the last answer is just being written.
	answerLook = 5 * time.Millisecond
)

// lookIn has the connection look again after a while.
func (c *conn) lookIn(now time.Time, after time.Duration) { c.look = now.Sub(c.since) + after }

func (c *conn) lookAgain() time.Duration {
	if c.ext.Load() != nil {
		return lingerLook
	}
	if c.leases.unanswered() == 0 && !c.leases.waiting() {
		return answerLook
	}
	return lingerLook
}
