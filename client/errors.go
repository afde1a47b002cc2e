package client

import (
	"errors"
	"fmt"
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
