package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// What callers branch on, with errors.Is. Each comes with its cause where there is one: [io.EOF] (the
// peer closed the connection), [ErrHeartbeat], [keepalive.ErrFrameTimeout], [transport.ErrWriteTimeout],
// a [*wire.RejectError] (the peer sent no GOPR), or the network's error.
var (
	// ErrNotConnected: there is no connection at this moment, and nothing was sent. [Client.Wait]
	// waits for the next one.
	ErrNotConnected = errors.New("not connected")

	// ErrLost: the connection ended before the answer came. The request may or may not have been
	// executed.
	ErrLost = errors.New("connection lost before the answer, the request may or may not have been executed")

	// ErrFull: more bytes than [Options.Pending] are unsent, and nothing was sent.
	ErrFull = errors.New("too many unsent bytes")

	// ErrClosed: [Client.Close] was called, or the context of [Client.Run] ended.
	ErrClosed = errors.New("client closed")

	// ErrUnexpectedAnswer: an answer came while no request was waiting for one. Which answer belongs
	// to which request is then unknown, so the connection is given up, and dialled anew.
	ErrUnexpectedAnswer = errors.New("the peer answered a request that nobody made")

	// ErrTakenOver: another connection has resumed the session, so another program runs under the same client id, or this one's connection was taken for dead. The
	// Client rests for [Reconnect.Pause] before it comes back, lest two take the session from each other for ever; but where it has itself given up a HELLO in the last five
	// minutes, which a bad network may have brought late, it comes back as after any other loss.
	ErrTakenOver = errors.New("another connection has taken the session over")

	// ErrEnded: the gateway has ended the session. The Client rests for [Reconnect.Pause], and then begins another.
	ErrEnded = errors.New("the gateway has ended the session")

	// ErrRefused: the gateway answered HELLO with an ERROR. Its *[wire.ErrorFrame], with which it comes, says why. It counts as a dial that failed.
	ErrRefused = errors.New("the gateway refuses the session")

	// ErrProtocol: the gateway sent what the protocol does not allow; it was told so, and the connection given up.
	ErrProtocol = errors.New("the gateway does not keep to the protocol")

	// ErrUnacknowledged: a message was repeated [SessionOptions.MaxRetries] times and not acknowledged, so the connection was given up. The message goes out on the next.
	ErrUnacknowledged = errors.New("a message was repeated, and not acknowledged")

	// ErrQueueFull: the queue has no room, and the message was not taken.
	ErrQueueFull = errors.New("the queue is full")

	// ErrExpired: the message was not acknowledged within [SessionOptions.TTL], and is not sent any more. It may have arrived.
	ErrExpired = errors.New("the message has expired, and was not acknowledged")

	// ErrDropped: the queue has dropped the message to make room. It may have arrived.
	ErrDropped = errors.New("the queue has dropped the message to make room")

	errKept = fmt.Errorf("%w: the message is not acknowledged, and stays in the queue if that is durable", ErrClosed)

	errRunning = errors.New("this client was started before, and runs once")
)

// notConnected is ErrNotConnected with what is known of why.
func notConnected(cause error) error {
	if cause == nil {
		return ErrNotConnected
	}
	return fmt.Errorf("%w: %w", ErrNotConnected, cause)
}

// lost is ErrLost with its cause.
func lost(cause error) error { return fmt.Errorf("%w: %w", ErrLost, cause) }

// MaxGoAway is the longest that a Client stays away because a gateway has said so.
const MaxGoAway = time.Hour

// GoAwayError is the end of a connection whose gateway has sent GOAWAY. Where that has a time, the Client comes back after it, [MaxGoAway] at the most, and not by its own
// backoff.
type GoAwayError struct {
	Reason wire.GoAwayReason
	After  time.Duration // 0: no time of the gateway's
}

func (e *GoAwayError) Error() string {
	s := fmt.Sprintf("the gateway sends its client away (reason %d)", e.Reason)
	if err := e.Unwrap(); err != nil {
		s = err.Error()
	}
	if e.After > 0 {
		s += fmt.Sprintf(", for %v", e.After)
	}
	return s
}

// Unwrap returns [ErrTakenOver] or [ErrEnded] for the reasons that say so, else nil.
func (e *GoAwayError) Unwrap() error {
	switch e.Reason {
	case wire.GoAwayTakenOver:
		return ErrTakenOver
	case wire.GoAwayEnded:
		return ErrEnded
	}
	return nil
}

// resting says whether the Client should rather not come back soon.
func (e *GoAwayError) resting() bool { return e.Unwrap() != nil }
