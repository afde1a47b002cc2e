package handler

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// presence is the question whether who has said HELLO is still there. A bad network may bring a HELLO late, when its client has given it up and has a session over another
// connection: that session must not be lost to it.
type presence struct {
	asked   atomic.Bool
	payload [8]byte // of the PING: not the length of a heartbeat's
	there   chan struct{}
}

// presentWithin is how long a client may take to answer.
const presentWithin = 5 * time.Second

var errAbsent = errors.New("the client does not answer a PING, as it said it would: its HELLO was under way for too long, or it does not answer before WELCOME")

// present asks the client whether it is there, and waits for its answer. It is called by the goroutine that answers the HELLO.
func (c *conn) present(ctx context.Context, p *presence) error {
	ctx, cancel := context.WithTimeout(ctx, presentWithin)
	defer cancel()
	_, _ = rand.Read(p.payload[:])
	p.there = make(chan struct{})
	p.asked.Store(true)
	b := wire.AppendFrame(nil, wire.CmdPing, wire.FlagReq, p.payload[:])
	if _, err := c.t.Write(b); err == nil {
		c.out(0, len(b))
	}
	c.t.Resume()
	select {
	case <-p.there:
		return nil
	case <-ctx.Done():
		return errAbsent
	}
}

// awaitPresent takes what the client sends while it is asked: heartbeats. Anything else waits, as it does while HELLO is not answered.
func (c *conn) awaitPresent(p *presence, b []byte) (used int, next transport.Next) {
	var f wire.Frame
	for {
		n, err := c.s.dec.Next(b[used:], &f)
		switch {
		case err != nil:
			return used, transport.Pause
		case n == 0:
			return used, transport.More
		case f.Cmd == wire.CmdPong && f.Flag == wire.FlagRsp:
			if p.asked.Load() && bytes.Equal(f.Payload, p.payload[:]) {
				p.asked.Store(false)
				close(p.there)
				return used + n, transport.Pause
			}
		case f.Cmd == wire.CmdPing && f.Flag == wire.FlagReq:
			if _, err := c.t.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)); err == nil {
				c.out(0, n)
			}
		default:
			return used, transport.Pause
		}
		used += n
	}
}
