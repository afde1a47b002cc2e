package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// maxBatch is how many bytes may wait while another goroutine writes, before those who send wait, too.
const maxBatch = 64 << 10

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
	l, err := c.sender(flag, payload)
	if err != nil {
		return err
	}
	return l.putWait(ctx, cmd, flag, payload, nil)
}

// TrySend is Send that never waits: it returns [ErrFull] instead. It may be called from
// [Options.OnFrame].
func (c *Client) TrySend(cmd, flag uint8, payload []byte) error {
	l, err := c.sender(flag, payload)
	if err != nil {
		return err
	}
	return l.put(cmd, flag, payload, nil)
}

var errAsks = errors.New("a frame with flag 0x01 asks for an answer: use Request")

// sender returns the connection to send such a frame on.
func (c *Client) sender(flag uint8, payload []byte) (*link, error) {
	if flag&wire.FlagReq != 0 {
		return nil, errAsks
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
func (l *link) putWait(ctx context.Context, cmd, flag uint8, payload []byte, asks *call) error {
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}
	for {
		err := l.put(cmd, flag, payload, asks)
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

// put sends a frame, and in the same order remembers the call that it asks for; asks may be nil. Who
// finds nobody writing writes; what others put meanwhile is written by a goroutine of its own, in one
// piece, so that nobody is held up for the frames of others. A call that was remembered is told by its answer
// or by end, and put returns nil for it.
func (l *link) put(cmd, flag uint8, payload []byte, asks *call) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
		return notConnected(l.err)
	case l.room != nil:
		return ErrFull
	}
	if asks != nil {
		l.calls = append(l.calls, asks)
	}
	if l.batch == nil {
		l.batch = batches.Get().(*[]byte)
	}
	*l.batch = wire.AppendFrame(*l.batch, cmd, flag, payload)
	if l.writing {
		l.measure(false) // there was room, so this can only close it
		return nil
	}
	l.writing = true
	err := l.write()
	if l.batch != nil && l.err == nil { // before end, so before serve waits for the writers
		l.writers.Go(l.writeRest)
	} else {
		l.writing = false
	}
	if asks != nil {
		return nil
	}
	return err
}

// writeRest writes until nobody has put more.
func (l *link) writeRest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.batch != nil {
		_ = l.write() // the connection ends, and with it all who wait
	}
	l.writing = false
}

// write gives the batch to conn. l.mu is held, and given up meanwhile. Conn.Write does not block.
func (l *link) write() error {
	b, drains := l.batch, l.drains
	l.batch = nil
	l.mu.Unlock()
	full, err := l.conn.Write(*b)
	giveBack(b)
	l.mu.Lock()
	// A Drained that came since the Write began may have been the answer to it: then there will be no other.
	l.measure(full && l.drains == drains)
	if err != nil {
		return notConnected(err)
	}
	return nil
}

// measure opens or closes the room for further frames. full: conn is, and will call Drained. Otherwise a
// batch that is too large is about to be taken by who writes. l.mu is held.
func (l *link) measure(full bool) {
	switch full = full || l.batch != nil && len(*l.batch) > maxBatch; {
	case full && l.room == nil:
		l.room = make(chan struct{})
	case !full && l.room != nil:
		close(l.room)
		l.room = nil
	}
}

// Drained is called when the peer has read enough of what was unsent.
func (l *link) Drained() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drains++
	l.measure(false)
}

var batches = sync.Pool{New: func() any { return new([]byte) }}

// giveBack keeps a buffer for others, unless it has grown beyond a full batch and a frame more.
func giveBack(b *[]byte) {
	if cap(*b) > maxBatch+2*wire.MaxPayload {
		return
	}
	*b = (*b)[:0]
	batches.Put(b)
}
