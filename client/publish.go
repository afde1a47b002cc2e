package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Publish sends a message over the session, and returns when what its quality of service promises holds:
//
//	0  it is handed over, as by [Client.Send]: there must be a connection, and the message may be lost with it
//	1  the gateway has acknowledged it (PUBACK): it answers for it from then on
//	2  likewise (PUBREC), and it arrives once
//
// At QoS 1 and 2 it is kept in [SessionOptions.Queue] until then, over any number of connections, and goes out when there is one; messages go out in the order in which
// they were queued. Where the queue is full, Publish waits for room.
//
// The end of ctx ends the waiting, and does not take back what is queued: the error says which it is. Where it says that the message is queued it will be delivered all the
// same, as long as the queue lives; so publishing it again would double it. payload may be used again when Publish has returned.
//
// Both promises hold as long as the session does. A session that is lost, as its expiry was over or the gateway has forgotten it, takes with it what was known of
// messages that were sent and not acknowledged: they are sent again, and may arrive twice. [SessionStatus.Unsure] counts them.
func (c *Client) Publish(ctx context.Context, cmd uint8, payload []byte, qos uint8) error {
	if qos == 0 {
		return c.publishNow(ctx, cmd, payload)
	}
	r, err := c.enqueue(ctx, cmd, payload, qos, true)
	if err != nil {
		return err
	}
	return r.Wait(ctx)
}

// Enqueue begins what Publish does, at QoS 1 or 2, and returns when the message is in the queue: safe there, if the queue is durable. It does not wait for room, but returns
// [ErrQueueFull]. The Receipt tells of the rest, and may be thrown away.
func (c *Client) Enqueue(ctx context.Context, cmd uint8, payload []byte, qos uint8) (*Receipt, error) {
	return c.enqueue(ctx, cmd, payload, qos, false)
}

var (
	errNoSession = errors.New("messages of QoS 1 and 2 need a session: set Options.Session")
	errNotOurs   = fmt.Errorf("commands below 0x%02X are the protocol's, where there is a session", wire.CmdApp)
)

// publishNow is Publish at QoS 0.
func (c *Client) publishNow(ctx context.Context, cmd uint8, payload []byte) error {
	return c.Send(ctx, cmd, 0, payload)
}

func (c *Client) enqueue(ctx context.Context, cmd uint8, payload []byte, qos uint8, wait bool) (*Receipt, error) {
	s := c.session
	switch {
	case s == nil:
		return nil, errNoSession
	case qos != 1 && qos != 2:
		return nil, fmt.Errorf("QoS %d: want 1 or 2, or 0 of Publish", qos)
	case cmd < wire.CmdApp:
		return nil, errNotOurs
	}
	limits := wire.Ext{ID: 1, CRC: s.opt.CRC}
	if most := wire.MaxPayload - limits.Overhead(); len(payload) > most {
		return nil, &wire.FieldError{Format: wire.GOPR.Name(), Field: "length", Value: uint64(len(payload)), Max: uint64(most)}
	}
	if err := ctx.Err(); err != nil {
		return nil, notSent(err)
	}
	now := time.Now().Truncate(time.Millisecond)
	r := &Receipt{
		message: &queue.Message{Cmd: cmd, QoS: qos, Created: now, Payload: bytes.Clone(payload)},
		wait:    wait, stored: make(chan struct{}), done: make(chan struct{}),
	}
	if s.opt.TTL > 0 {
		r.message.Expires = now.Add(s.opt.TTL)
		r.expires = r.message.Expires
	}
	if err := s.admit(r); err != nil {
		return nil, err
	}
	select {
	case <-r.stored:
		if r.failed {
			return nil, r.err
		}
		return r, nil
	case <-ctx.Done():
		return nil, s.abandon(r, ctx.Err())
	}
}

// admit takes a message in.
func (s *session) admit(r *Receipt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrClosed
	case len(s.waiting) == 0:
		s.put(r)
	case r.wait:
		s.waiting = append(s.waiting, r)
	default:
		return ErrQueueFull
	}
	return nil
}

// abandon leaves a message without anybody who waits for its being stored.
func (s *session) abandon(r *Receipt, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.gone = true
	for i, w := range s.waiting {
		if w == r {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			return notSent(err)
		}
	}
	return fmt.Errorf("perhaps queued, and then it will be sent: %w", err)
}

// Receipt tells what becomes of a message that is queued.
type Receipt struct {
	message *queue.Message // nil: it is in the queue
	wait    bool           // for room in the queue
	gone    bool           // nobody waits for that any more
	expires time.Time      // zero: never

	stored chan struct{} // closed when it is in the queue, or failed
	done   chan struct{} // closed when err is there
	failed bool          // it never got into the queue; set before stored is closed
	err    error
}

// Done is closed when the promise of the message's quality of service holds (see [Client.Publish]), or never will.
func (r *Receipt) Done() <-chan struct{} { return r.done }

// Err says, once Done is closed, why the promise does not hold: [ErrExpired], [ErrDropped], or [ErrClosed], whereafter a message in a durable queue goes out when there is a
// Client again. nil: it holds.
func (r *Receipt) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// Wait waits for Done, and returns Err; or the error of ctx, where that ends first. The message is then queued still.
func (r *Receipt) Wait(ctx context.Context) error {
	select {
	case <-r.done:
		return r.err
	default:
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("queued, not acknowledged yet: %w", ctx.Err())
	}
}

// refuse tells that the message did not get into the queue. session.mu is held, here and below.
func (r *Receipt) refuse(err error) {
	r.failed = true
	r.finish(err)
	close(r.stored)
}

func (r *Receipt) finish(err error) {
	r.err = err
	close(r.done)
}
