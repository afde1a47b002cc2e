package client

import (
	"bytes"
	"context"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Request sends a frame with [wire.FlagReq] and waits for its answer. The peer answers requests in the
// order in which they came, each with one frame that has [wire.FlagRsp]; which command and payload
// the answer has is between the program and its peer. The frame returned is the caller's own.
//
// Any number of goroutines may wait at once: requests are pipelined, up to [Options.MaxInflight];
// further ones wait to be sent, as those do that find [Options.Pending] exceeded.
//
// The error says how far it came. [ErrNotConnected]: it was not sent. [ErrLost]: it was sent, the
// connection ended before the answer came, and the peer may or may not have executed it. The error of
// ctx: its text says whether it was sent. An answer that comes later than that is thrown away,
// and not taken for another's.
func (c *Client) Request(ctx context.Context, cmd uint8, payload []byte) (wire.Frame, error) {
	return c.RequestFlag(ctx, cmd, wire.FlagReq, payload)
}

// RequestFlag is Request for peers that give the other bits of the flag a meaning; FlagReq is added.
func (c *Client) RequestFlag(ctx context.Context, cmd, flag uint8, payload []byte) (wire.Frame, error) {
	if err := checkPayload(payload); err != nil {
		return wire.Frame{}, err
	}
	if c.session != nil {
		if err := checkExtended(cmd, flag); err != nil {
			return wire.Frame{}, err
		}
	}
	l, err := c.current()
	if err != nil {
		return wire.Frame{}, err
	}
	select {
	case l.places <- struct{}{}:
	case <-l.down:
		return wire.Frame{}, notConnected(l.cause())
	case <-ctx.Done():
		return wire.Frame{}, notSent(ctx.Err())
	}
	asked := &call{done: make(chan struct{})}
	if c.session != nil {
		asked.id = c.session.askID()
	}
	if err := l.putWait(ctx, cmd, flag|wire.FlagReq, asked.id, payload, asked); err != nil {
		<-l.places
		return wire.Frame{}, err
	}
	select {
	case <-asked.done:
	case <-ctx.Done():
		if l.abandon(asked) {
			return wire.Frame{}, fmt.Errorf("sent, no answer: %w", ctx.Err())
		}
		<-asked.done // it came at this moment
	}
	return asked.answer, asked.err
}

// call is a request on its way. Between put and its answer it stands in link.calls, where it keeps its place
// also when nobody waits for it any more: the answer will come.
type call struct {
	id     uint32        // that its answer bears; 0: its answer is known by its place
	done   chan struct{} // closed when answer or err is there
	answer wire.Frame
	err    error

	// Guarded by link.mu. At most one of them is ever set.
	told bool // done is closed, or about to be
	gone bool // nobody waits
}

// answer gives an answer to the oldest request.
func (l *link) answer(f *wire.Frame) {
	l.mu.Lock()
	if len(l.calls) == 0 {
		l.mu.Unlock()
		l.broken = true
		l.conn.Close(fmt.Errorf("%w: command 0x%02X, flag 0x%02X", ErrUnexpectedAnswer, f.Cmd, f.Flag))
		return
	}
	oldest := l.calls[0]
	l.calls[0] = nil
	l.calls = l.calls[1:]
	gone := oldest.gone
	oldest.told = !gone
	l.mu.Unlock()
	<-l.places
	if gone {
		return
	}
	oldest.answer = *f
	oldest.answer.Raw = bytes.Clone(f.Raw)
	oldest.answer.Payload = oldest.answer.Raw[wire.HeaderLen:]
	close(oldest.done)
}

// answerTo gives an answer to the request whose id it bears. One that bears another's is to a request of a connection before this one: its asker was told that it is lost.
func (l *link) answerTo(id uint32, f *wire.Frame, payload []byte) {
	if asked := l.answered(id); asked != nil {
		asked.answer = wire.Frame{Version: f.Version, Cmd: f.Cmd, Flag: wire.FlagRsp, Raw: bytes.Clone(f.Raw)}
		asked.answer.Payload = bytes.Clone(payload)
		close(asked.done)
	}
}

// failCall tells a request that the gateway has failed it. false: there is no such request.
func (l *link) failCall(e *wire.ErrorFrame) bool {
	l.mu.Lock()
	_, ours := l.asked[e.ID]
	l.mu.Unlock()
	if asked := l.answered(e.ID); asked != nil {
		if asked.err = e; e.Code == wire.ErrorLost {
			asked.err = lost(e)
		}
		close(asked.done)
	}
	return ours
}

// answered takes a request out that is answered. nil: there is none, or nobody waits for it any more.
func (l *link) answered(id uint32) *call {
	l.mu.Lock()
	asked := l.asked[id]
	if asked == nil {
		l.mu.Unlock()
		return nil
	}
	delete(l.asked, id)
	gone := asked.gone
	asked.told = !gone
	l.mu.Unlock()
	<-l.places
	if gone {
		return nil
	}
	return asked
}

// abandon leaves a request without anybody who waits. It returns false where it is too late for that: the
// request is answered, or lost, at this moment.
func (l *link) abandon(asked *call) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if asked.told {
		return false
	}
	asked.gone = true
	return true
}

// lose tells those who wait that the connection has ended.
func lose(calls []*call, cause error) {
	err := lost(cause)
	for _, asked := range calls {
		if asked.told {
			asked.err = err
			close(asked.done)
		}
	}
}
