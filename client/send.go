package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Send sends a frame that asks for no answer: to tell the peer something, or, with [wire.FlagRsp], to
// answer it. payload may be used again when Send returns. Frames reach the peer in the order in which
// they were sent.
//
// Send waits while more than [Options.Pending] bytes are unsent, until ctx ends; a ctx that has ended
// sends nothing. Otherwise it does not wait: the frame goes out at once where the network takes it,
// and together with others where the network is behind. Send of a small frame allocates nothing.
//
// nil says that the frame is on its way, not that it has arrived: what it led to, only an answer can
// tell. An error says that it was not sent: [ErrNotConnected], the error of ctx, or a frame that
// cannot be (a payload longer than 65535 bytes is a *[wire.FieldError]).
func (c *Client) Send(ctx context.Context, cmd, flag uint8, payload []byte) error {
	l, err := c.sender(cmd, flag, payload)
	if err != nil {
		return err
	}
	return l.putWait(ctx, cmd, flag, 0, payload, nil)
}

// TrySend is Send that never waits: it returns [ErrFull] instead. It may be called from
// [Options.OnFrame].
func (c *Client) TrySend(cmd, flag uint8, payload []byte) error {
	l, err := c.sender(cmd, flag, payload)
	if err != nil {
		return err
	}
	return l.put(cmd, flag, 0, payload, nil)
}

var errAsks = errors.New("a frame with flag 0x01 asks for an answer: use Request")

// sender returns the connection to send such a frame on.
func (c *Client) sender(cmd, flag uint8, payload []byte) (*link, error) {
	if flag&wire.FlagReq != 0 {
		return nil, errAsks
	}
	if c.session != nil {
		if err := checkExtended(cmd, flag); err != nil {
			return nil, err
		}
	}
	if err := checkPayload(payload); err != nil {
		return nil, err
	}
	return c.current()
}

func checkPayload(payload []byte) error {
	if len(payload) > wire.MaxPayload {
		return &wire.FieldError{Format: wire.GOPR.Name(), Field: "length", Value: uint64(len(payload)), Max: wire.MaxPayload}
	}
	return nil
}

// putWait is put that waits for room.
func (l *link) putWait(ctx context.Context, cmd, flag uint8, id uint32, payload []byte, asks *call) error {
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}
	for {
		err := l.put(cmd, flag, id, payload, asks)
		if !errors.Is(err, ErrFull) {
			return err
		}
		l.mu.Lock()
		room := l.room
		l.mu.Unlock()
		if room == nil {
			continue
		}
		select {
		case <-room:
		case <-l.down:
			return notConnected(l.cause())
		case <-ctx.Done():
			return notSent(ctx.Err())
		}
	}
}

// notSent says of a context's end that it came before the frame was sent.
func notSent(err error) error { return fmt.Errorf("not sent: %w", err) }

// put sends a frame, and in the same order remembers the call that it asks for; asks may be nil. An error says that nothing
// was sent. From then on the call is told by its answer, or by end. id is of frames that have one, where there is a session; else 0.
func (l *link) put(cmd, flag uint8, id uint32, payload []byte, asks *call) (err error) {
	b := scratch.Get().(*[]byte)
	if l.session != nil && cmd >= wire.CmdApp {
		e := wire.Ext{Flag: flag, CRC: l.crc, ID: id, Payload: payload}
		*b, err = wire.AppendExt((*b)[:0], cmd, &e)
	} else {
		*b = wire.AppendFrame((*b)[:0], cmd, flag, payload)
	}
	if err == nil {
		err = l.enqueue(*b, asks)
	}
	scratch.Put(b)
	if err == nil {
		// A lone request must not wait for anybody. Of many, each waits for the others that are about to be sent: a system call less
		// is worth more to all of them (BenchmarkRequest: a third of the time, with 128 in flight).
		lone := asks == nil || len(l.places) == 1
		l.conn.Flush(lone)
	}
	return err
}

func (l *link) enqueue(frame []byte, asks *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return notConnected(l.err)
	case l.room != nil:
		return ErrFull
	}
	full, err := l.conn.Append(frame)
	if err != nil {
		return notConnected(err)
	}
	switch {
	case asks == nil:
	case asks.id != 0:
		l.asked[asks.id] = asks
	default:
		l.calls = append(l.calls, asks)
	}
	if full { // and the Drained that ends it waits for l.mu, if it comes already
		l.room = make(chan struct{})
	}
	return nil
}

// Drained is called when the peer has read enough of what was unsent.
func (l *link) Drained() {
	l.mu.Lock()
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
	l.mu.Unlock()
	if l.session != nil {
		l.session.flushed()
	}
}

// scratch is for frames in the making; the longest have 64 KiB.
var scratch = sync.Pool{New: func() any { return new([]byte) }}
