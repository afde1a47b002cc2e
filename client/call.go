package client

import (
	"context"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Call is [Client.Request] with typed payloads: it sends req as reqCodec has it, and returns what
// respCodec reads from the answer.
//
//	receipt, err := client.Call(ctx, c, 0x10, order, orders, wire.JSON[Receipt]{})
//
// The errors are those of Request, whose meaning does not change, and two more. That of reqCodec comes
// with "not sent". That of respCodec is in an [*AnswerError]: the request was answered, and so probably
// executed.
//
// Which command an answer has is between the program and its peer, and Call does not look at it. Where a
// command of its own says that the request failed, use Request, look at [wire.Frame.Cmd], and have
// respCodec unmarshal the payload.
func Call[Req, Resp any](
	ctx context.Context, c *Client, cmd uint8, req Req, reqCodec wire.Codec[Req], respCodec wire.Codec[Resp],
) (Resp, error) {
	var resp, zero Resp
	payload, err := reqCodec.MarshalAppend(nil, req)
	if err != nil {
		return zero, notSent(err)
	}
	answer, err := c.Request(ctx, cmd, payload)
	if err != nil {
		return zero, err
	}
	if err := respCodec.Unmarshal(answer.Payload, &resp); err != nil {
		return zero, &AnswerError{Answer: answer, Err: err}
	}
	return resp, nil
}

// AnswerError is an answer that came, but is not what the codec given to [Call] can read.
type AnswerError struct {
	Answer wire.Frame // the caller's own
	Err    error      // what the codec says of its payload
}

func (e *AnswerError) Error() string {
	return fmt.Sprintf("answer of command 0x%02X and %d bytes: %v", e.Answer.Cmd, len(e.Answer.Payload), e.Err)
}

// Unwrap returns Err.
func (e *AnswerError) Unwrap() error { return e.Err }
