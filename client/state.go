package client

import (
	"context"
	"fmt"
	"net"
	"time"
)

// State is where a Client is in its life:
//
//	Disconnected ──> Connecting ──> Connected <──> Reconnecting <──> Paused
//
// A first dial that fails leads from Connecting to Reconnecting, too. Every state leads to Closed,
// and Closed to none.
type State uint8

// The states.
const (
	Disconnected State = iota // it was made, and not started
	Connecting                // it dials for the first time
	Connected                 // frames can be sent
	Reconnecting              // it waits to dial again, or dials again
	Paused                    // it rests after Reconnect.Attempts failures in a row
	Closed                    // it has ended, and will not connect any more
)

var stateNames = [...]string{"disconnected", "connecting", "connected", "reconnecting", "paused", "closed"}

// String is the state as logs and the admin API name it: disconnected, connecting, connected,
// reconnecting, paused or closed.
func (s State) String() string {
	if int(s) >= len(stateNames) {
		return fmt.Sprintf("state(%d)", uint8(s))
	}
	return stateNames[s]
}

// Change is a step from one state to the next.
type Change struct {
	From, To State
	// At is when it was made.
	At time.Time
	// Err is why: the dial that failed, the end of the connection, [ErrClosed]. nil on the way to
	// Connecting and Connected.
	Err error
	// NextDial is when the peer is dialled again, on the way to Reconnecting and Paused; else zero.
	NextDial time.Time
}

// Status is a Client at one moment.
type Status struct {
	State State
	// Since is when that state began.
	Since time.Time
	// LastErr is why the latest failed dial failed or the latest connection ended, whichever was
	// later. It is kept while connected. nil: nothing has failed yet.
	LastErr error
	// Failures counts the failures in a row: dials that failed, connections that ended before
	// [Reconnect.Stable]. A connection that stays up starts it over when it ends.
	Failures int
	// NextDial is when the peer is dialled again. Zero: it is not waited for.
	NextDial time.Time
	// Connects counts the connections so far, this one included. With it a program notices that a
	// connection is another than before, and so logs in again.
	Connects uint64

	// LocalAddr and RemoteAddr are the ends of the connection; nil while there is none.
	LocalAddr, RemoteAddr net.Addr
	// RTT is the round trip of the heartbeat, smoothed as RFC 6298 says; 0 before the first pong of
	// the connection. [Client.Ping] measures one.
	RTT time.Duration
	// Unsent is how many bytes the network has not taken yet.
	Unsent int
	// Session is what is known of the session; the zero value where there is none.
	Session SessionStatus
	// Inflight is how many requests of this connection are without an answer, also those that
	// nobody waits for any more.
	Inflight int
}

// moment is what the goroutine in Client.run publishes. It is never changed, only replaced, so
// whoever loads it has a whole one.
type moment struct {
	status  Status        // but for the fields that link has
	link    *link         // nil unless Connected
	changed chan struct{} // closed when this moment is over
}

func newMoment() *moment {
	return &moment{status: Status{Since: time.Now()}, changed: make(chan struct{})}
}

// publish makes s the present. The Client's failures and connects are filled in. What it returns is to be
// passed to tell, once those who wait for an answer were told.
func (c *Client) publish(s Status, l *link) Change {
	old := c.now.Load()
	change := Change{From: old.status.State, To: s.State, At: time.Now(), NextDial: s.NextDial}
	switch s.State {
	case Connecting, Connected:
		s.LastErr = old.status.LastErr
	default:
		change.Err = s.LastErr
	}
	s.Since = change.At
	if s.State == old.status.State {
		s.Since = old.status.Since
	}
	s.Failures, s.Connects = c.retry.Failures(), c.connects
	c.now.Store(&moment{status: s, link: l, changed: make(chan struct{})})
	close(old.changed)
	return change
}

// tell calls OnState for a change of state. No lock is held.
func (c *Client) tell(change Change) {
	if change.From != change.To && c.opt.OnState != nil {
		c.opt.OnState(change)
	}
}

// State returns the present state. It takes no lock.
func (c *Client) State() State { return c.now.Load().status.State }

// Status returns a snapshot.
func (c *Client) Status() Status {
	m := c.now.Load()
	s := m.status
	if m.link != nil {
		m.link.status(&s)
	}
	if c.session != nil {
		s.Session = c.session.status()
	}
	return s
}

// Wait returns nil as soon as the Client is in the state s. It returns [ErrClosed] when the Client has
// ended and so never will be, and the error of ctx when that ends first. A state that is left at
// once may go by unnoticed; [Options.OnState] sees every one.
func (c *Client) Wait(ctx context.Context, s State) error {
	for {
		m := c.now.Load()
		switch m.status.State {
		case s:
			return nil
		case Closed:
			return m.status.LastErr
		}
		select {
		case <-m.changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %v while %v: %w", s, m.status.State, ctx.Err())
		}
	}
}

// current returns the connection that there is at this moment.
func (c *Client) current() (*link, error) {
	m := c.now.Load()
	if m.link == nil {
		return nil, notConnected(m.status.LastErr)
	}
	return m.link, nil
}
