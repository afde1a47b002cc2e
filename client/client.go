// Package client is a connection to a GOPR peer that keeps itself alive: it dials, pings, notices
// when the peer is gone, and dials again, with growing waits and never twice at once. A device
// imports it as its SDK:
//
//	c, err := client.Dial(ctx, "gateway.example.com:7450", client.Options{})
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	answer, err := c.Request(ctx, 0x10, []byte("hello"))
//
// The map of the package. What its users call:
//
//	client.go    Dial, New, Run, Close: how a Client begins and ends
//	options.go   Options, their defaults, and what is wrong with them
//	state.go     State, Status, Wait: what becomes of it, read without a lock
//	send.go      Send, TrySend: frames that ask for nothing
//	request.go   Request: frames that ask, and the answers, matched in order
//	call.go      Call: Request with typed payloads
//	ping.go      Ping: one round trip, measured
//	errors.go    the errors to branch on
//
// And where there is a session, which outlives its connections ([Options.Session]):
//
//	session_options.go  SessionOptions
//	publish.go          Publish, Enqueue: messages that are acknowledged
//	message.go          Message: what comes, and its acknowledgement
//	ticket.go           Ticket, TicketStore: what resumes a session; ticket_file.go: TicketFile
//	bye.go              Bye: the end of a session
//	session_status.go   SessionStatus
//
// How it works inside:
//
//	run.go       the loop: dial, serve, wait, dial again
//	dial.go      one dial: TCP, its keepalive, TLS
//	link.go      one connection of a Client, and who waits on it
//	conn.go      Conn, one established connection: frames, heartbeat, frame timeout. It does not come back
//	receiver.go  who is given what a Conn reads
//	retry.go     Reconnect and Retry: when to dial again
//
//	hello.go            HELLO and WELCOME, on a connection that is new
//	session.go          what outlives a connection; how it is made to fit the next
//	session_link.go     what a connection is with a session
//	session_frames.go   what comes over it
//	session_queue.go    what goes to the queue, in batches
//	session_send.go     what goes out, again where it must, in order
//	session_receive.go  what comes in, once
//
// [Conn] and [Retry] can be used without a Client, by whoever has many connections to look after or
// accepts them.
package client

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
)

// Client is a connection to one peer that keeps itself alive. [Dial] makes one that is connected;
// [New] makes one that connects in [Client.Run], and may wait for its peer. All methods may be
// called from any goroutine.
//
// A connection that is lost takes with it what was sent and not received, and the requests that were
// not answered: nothing is sent twice, and nothing is kept for the next connection; but what is
// published over a session ([Client.Publish]) is.
type Client struct {
	// Set by New, never changed.
	addr    string
	opt     Options // defaults filled in
	conn    ConnConfig
	tls     *tls.Config // nil: none
	session *session    // nil: none

	now atomic.Pointer[moment] // what State, Status and Wait read; replaced by the goroutine in run alone

	// The goroutine in run owns these.
	retry    *Retry
	connects uint64

	mu   sync.Mutex              // guards the setting of life and stop: a Client runs once
	life context.Context         // from begin to the end
	stop context.CancelCauseFunc // ends life; nil: it was not started
	done chan struct{}           // closed when nothing of it runs any more
}

// New makes a Client of the peer at addr, "host:port", and starts nothing: the next call is
// [Client.Run]. The error says which option is wrong, and what would be right.
func New(addr string, opt Options) (*Client, error) {
	c := &Client{addr: addr, opt: opt.withDefaults(), done: make(chan struct{})}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	if c.opt.Session != nil {
		var err error
		if c.session, err = newSession(c); err != nil {
			return nil, err
		}
	}
	c.retry = NewRetry(c.opt.Reconnect)
	c.now.Store(newMoment())
	return c, nil
}

// Dial makes a Client and connects it. It dials once: a peer that cannot be reached is an error here,
// and a reason to dial again only from then on. (For a Client that also waits for its peer at the
// start, there are [New], [Client.Run] and [Client.Wait].)
//
// As with [net.Dialer], ctx bounds the dial and not the life of the connection, which ends with
// [Client.Close].
func Dial(ctx context.Context, addr string, opt Options) (*Client, error) {
	c, err := New(addr, opt)
	if err != nil {
		return nil, err
	}
	if err := c.begin(context.WithoutCancel(ctx)); err != nil {
		return nil, err
	}
	l, err := c.connect(ctx)
	if err != nil {
		c.finish(err)
		return nil, err
	}
	go c.run(l) // Close waits for it
	return c, nil
}

// Run keeps the Client connected, in the calling goroutine, until ctx ends or [Client.Close] is
// called, and returns when nothing of it runs any more. A peer that cannot be reached is dialled
// again, from the start. The error is never nil: it is [ErrClosed], and, if ctx ended, also the
// cause of that.
//
// A Client runs once.
func (c *Client) Run(ctx context.Context) error {
	if err := c.begin(ctx); err != nil {
		return err
	}
	return c.run(nil)
}

// Close ends the Client and waits until nothing of it runs any more. What is unsent is still sent,
// for up to two seconds; requests without an answer fail with [ErrLost]. It returns nil, also
// when the Client has ended before.
//
// It waits for [Options.OnFrame] and [Options.OnState], so to end the Client from within these, call
// it in a goroutine of its own.
func (c *Client) Close() error {
	c.mu.Lock()
	stop := c.stop
	if stop == nil { // never started, and never will be
		c.stop = func(error) {}
	}
	c.mu.Unlock()
	if stop == nil {
		c.finish(ErrClosed)
	} else {
		stop(ErrClosed)
	}
	<-c.done
	return nil
}

// begin starts the Client's life, which ends with ctx, or with Close.
func (c *Client) begin(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.State() == Closed:
		return ErrClosed
	case c.stop != nil:
		return errRunning
	}
	c.life, c.stop = context.WithCancelCause(ctx)
	if c.session != nil {
		c.session.start()
	}
	return nil
}

// finish is the last that happens in a Client's life.
func (c *Client) finish(err error) {
	c.stop(err)
	if c.session != nil {
		c.session.close()
	}
	c.tell(c.publish(Status{State: Closed, LastErr: err}, nil))
	close(c.done)
}
