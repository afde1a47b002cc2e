package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// run keeps the Client connected until its life ends, and returns why it did. l is the first connection where
// Dial has made it; else nil. This goroutine alone dials, so there are never two dials at once.
func (c *Client) run(l *link) error {
	for {
		if l != nil {
			l.serve(c.life) // after the end of life, too, because this is what closes the connection
			c.giveUp()
		}
		if c.rest(); c.life.Err() != nil {
			break
		}
		if l = c.tryConnect(); l == nil {
			c.giveUp()
		}
	}
	err := ended(c.life)
	c.finish(err)
	return err
}

// giveUp ends a Client that is not to be connected again.
func (c *Client) giveUp() {
	if c.opt.Reconnect.Strategy == NoReconnect && c.life.Err() == nil {
		c.stop(c.now.Load().status.LastErr)
	}
}

// connect dials once and, if the peer is there, says so.
func (c *Client) connect(ctx context.Context) (*link, error) {
	old := c.now.Load().status
	dialling := Status{State: Reconnecting, LastErr: old.LastErr}
	if old.State == Disconnected {
		dialling.State = Connecting
	}
	c.tell(c.publish(dialling, nil))
	nc, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	var welcome *wire.Welcome
	if c.session != nil {
		if welcome, err = c.session.begin(ctx, nc); err != nil {
			nc.Close()
			return nil, err
		}
	}
	c.retry.Up(time.Now())
	c.connects++
	l := newLink(c, nc, welcome)
	if c.session != nil {
		c.session.attach(l, welcome)
	}
	change := c.publish(Status{State: Connected}, l)
	c.opt.Logger.Info("connected", "addr", c.addr, "remote", nc.RemoteAddr(), "connects", c.connects)
	c.tell(change)
	return l, nil
}

// tryConnect connects, or notes a failure and returns nil.
func (c *Client) tryConnect() *link {
	l, err := c.connect(c.life)
	if err != nil && c.life.Err() == nil {
		wait, paused := c.next(c.retry.Failed, err)
		change := c.publish(c.waiting(err, paused), nil)
		c.opt.Logger.Warn("dial failed", "addr", c.addr, "error", err, "failures", c.retry.Failures(), "next_dial_in", wait, "paused", paused)
		c.tell(change)
	}
	return l
}

// lost notes the end of a connection as soon as it is decided: first the state changes, so that who is told
// that a request failed, or cannot send, does not find the Client connected still.
func (c *Client) lost(l *link, cause error) {
	if c.session != nil {
		c.session.detach(l)
	}
	if c.life.Err() != nil {
		change := c.publish(Status{State: Closed, LastErr: ended(c.life)}, nil)
		l.end(cause)
		c.tell(change)
		return
	}
	wait, paused := c.next(c.retry.Down, cause)
	change := c.publish(c.waiting(cause, paused), nil)
	l.end(cause)
	c.opt.Logger.Warn("connection lost", "addr", c.addr, "error", cause, "failures", c.retry.Failures(), "next_dial_in", wait, "paused", paused)
	c.tell(change)
}

// waiting is the status until the next dial.
func (c *Client) waiting(err error, paused bool) Status {
	if c.opt.Reconnect.Strategy == NoReconnect { // giveUp follows
		return Status{State: Disconnected, LastErr: err}
	}
	s := Status{State: Reconnecting, LastErr: err, NextDial: c.retry.NextAt()}
	if paused {
		s.State = Paused
	}
	return s
}

// rest waits until the next dial is due, or the Client's life ends.
func (c *Client) rest() {
	t := time.NewTimer(time.Until(c.retry.NextAt()))
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.life.Done():
	}
}

// ended is why a life that has ended did.
func ended(life context.Context) error {
	cause := context.Cause(life)
	if errors.Is(cause, ErrClosed) {
		return ErrClosed
	}
	return fmt.Errorf("%w: %w", ErrClosed, cause)
}

// next notes a failure, or the end of a connection, and returns how long to wait before the next dial, and whether that is a pause. What the peer says of it counts more.
func (c *Client) next(failed func(time.Time) (time.Duration, bool), err error) (wait time.Duration, paused bool) {
	var away *GoAwayError
	switch {
	case !errors.As(err, &away):
	case away.Reason == wire.GoAwayTakenOver && c.session != nil && c.session.byItself():
	case away.resting():
		return c.retry.Rest(time.Now()), true
	case away.After > 0:
		return c.retry.Told(time.Now(), min(away.After, MaxGoAway)), false
	}
	return failed(time.Now())
}
