package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// publish is send over a session. It returns when what the quality of service promises holds; where the connection is lost meanwhile, it is made again, until the timeout
// ends.
func publish(ctx context.Context, a sendArgs, payload []byte, std stdio) (int, error) {
	if err := a.checkSession(len(payload)); err != nil {
		return exitUsage, err
	}
	options, err := a.options(a.clientID)
	if err != nil {
		return exitUsage, err
	}
	if a.ticket != "" {
		options.Tickets = client.TicketFile(a.ticket)
		// What waits for whoever the ticket is of stays where it is: it comes, and is not acknowledged.
		options.OnMessage, options.ManualAck = func(client.Message) {}, true
	} else {
		options.Expiry = time.Minute // a session that is not to be resumed ends at once, if BYE arrives
	}
	d, err := newDialer(a.dialArgs)
	if err != nil {
		return exitUsage, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	c, err := d.open(ctx, options, func(change client.Change) {
		if final(change.Err) {
			give(change.Err)
		}
	})
	if err != nil {
		return exitUsage, err
	}
	defer c.Close()

	resumed := c.Status().Session.Resumed
	answer, err := a.exchange(ctx, c, payload)
	if err != nil {
		return exitNo, a.undone(ctx, c, err)
	}
	took := time.Since(began)
	if a.ticket == "" {
		if err := c.Bye(ctx); err != nil {
			return exitNo, fmt.Errorf("sent, but the session goes on for %v: %w", options.Expiry, err)
		}
	}
	if answer != nil {
		if err := a.print(std.out, answer, took); err != nil {
			return exitUsage, fmt.Errorf("writing the output: %w", err)
		}
		return exitOK, nil
	}
	return a.printDone(std, resumed, took)
}

// checkSession says which arguments contradict each other, and what would be right.
func (a sendArgs) checkSession(payload int) error {
	switch {
	case a.clientID == "" && a.qos > 0:
		return fmt.Errorf("--qos %d without --client-id: messages of QoS 1 and 2 need a session, and a session somebody, such as --client-id device-42", a.qos)
	case a.clientID == "":
		return errors.New("--credential and --ticket are for sessions: give --client-id, too")
	case a.qos > 0 && a.flagGiven && a.flag != 0:
		return fmt.Errorf("--flag 0x%02X: a message of QoS %d is sent one way; leave out --flag, or --qos", a.flag, a.qos)
	case a.flag != 0 && a.flag != wire.FlagReq:
		return fmt.Errorf("--flag 0x%02X: over a session it is 0x01, which asks for an answer, or 0", a.flag)
	}
	return checkMessage(a.cmd, payload)
}

// exchange sends the payload, and waits for what it asks for. A frame of QoS 0 that asks for nothing has gone once a PING behind it has been answered.
func (a sendArgs) exchange(ctx context.Context, c *client.Client, payload []byte) (*wire.Frame, error) {
	switch {
	case a.qos > 0:
		return nil, c.Publish(ctx, a.cmd, payload, a.qos)
	case a.flag == wire.FlagReq:
		f, err := c.Request(ctx, a.cmd, payload)
		return &f, err
	}
	if err := c.Send(ctx, a.cmd, 0, payload); err != nil {
		return nil, err
	}
	_, err := c.Ping(ctx)
	return nil, err
}

// undone says what came of it, and why.
func (a sendArgs) undone(ctx context.Context, c *client.Client, err error) error {
	what := "no answer"
	if a.qos > 0 {
		what = "not acknowledged"
	}
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		if last := c.Status().LastErr; last != nil {
			return fmt.Errorf("%s within %v: %w", what, a.timeout, explain(last))
		}
		return fmt.Errorf("%s within %v", what, a.timeout)
	case errors.Is(cause, context.Canceled):
		return fmt.Errorf("%s: interrupted", what)
	case cause != nil:
		return fmt.Errorf("%s: %w", what, explain(cause))
	}
	return fmt.Errorf("%s: %w", what, explain(err))
}

// printDone tells of a frame that has no answer.
func (a sendArgs) printDone(std stdio, resumed bool, took time.Duration) (int, error) {
	session := "new"
	if resumed {
		session = "resumed"
	}
	if a.json {
		err := json.NewEncoder(std.out).Encode(struct {
			QoS     uint8   `json:"qos"`
			Session string  `json:"session"` // new or resumed
			Time    float64 `json:"time_ms"`
		}{a.qos, session, float64(took) / float64(time.Millisecond)})
		if err != nil {
			return exitUsage, fmt.Errorf("writing the output: %w", err)
		}
		return exitOK, nil
	}
	done := "sent"
	if a.qos > 0 {
		done = "acknowledged"
	}
	fmt.Fprintf(std.err, "%s after %s ms, session %s\n", done, ms(took), session)
	return exitOK, nil
}
