package client

import (
	"context"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Bye ends the session, and the Client with it: the gateway forgets both, the ticket is thrown away, and the queue emptied. It is for a device that will not come back, or
// hands its client id to another; one that will come back is ended by [Client.Close].
//
// First it waits until all that was published is acknowledged, and for a connection to say so; if ctx ends before that, nothing is ended, and the error is that of ctx.
func (c *Client) Bye(ctx context.Context) error {
	s := c.session
	if s == nil {
		return errNoSession
	}
	if err := s.waitEmpty(ctx); err != nil {
		return err
	}
	for {
		if err := c.Wait(ctx, Connected); err != nil {
			return err
		}
		l, err := c.current()
		if err != nil {
			continue // it was lost at this moment
		}
		if _, err := l.conn.Write(wire.AppendBye(nil)); err == nil {
			break
		}
	}
	_ = c.Close() // sends what is unsent
	if err := s.opt.Tickets.Save(ctx, Ticket{}); err != nil {
		return fmt.Errorf("session ticket: %w", err)
	}
	if s.own != nil {
		return nil
	}
	if err := s.store.Forget(ctx, s.id, fence); err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	return nil
}

// waitEmpty waits until nothing that was published is unacknowledged.
func (s *session) waitEmpty(ctx context.Context) error {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return ErrClosed
	}
	if s.empty() {
		s.mu.Unlock()
		return nil
	}
	if s.emptied == nil {
		s.emptied = make(chan struct{})
	}
	emptied := s.emptied
	s.mu.Unlock()
	select {
	case <-emptied:
		return nil
	case <-s.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("messages are queued, the session goes on: %w", ctx.Err())
	}
}
