package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// maxOverhead is what id and checksum take of a payload.
const maxOverhead = 8

// begin has a connection that is new extended, and the session made to fit.
func (s *session) begin(ctx context.Context, nc net.Conn) (*wire.Welcome, error) {
	s.mu.Lock()
	token := s.ticket.Token
	s.mu.Unlock()
	w, err := s.greet(ctx, nc, token)
	if err != nil {
		s.leftHello(err)
		return nil, err
	}
	return &w, s.adopt(ctx, &w)
}

// lateHello is for how long after a HELLO was given up it may still take the session over, as a bad network brings it late.
const lateHello = 5 * time.Minute

// leftHello notes that a HELLO has failed.
func (s *session) leftHello(err error) {
	var away *GoAwayError
	if errors.Is(err, ErrRefused) || errors.As(err, &away) {
		return // it was answered
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.givenUp = time.Now()
}

// byItself says whether who has taken the session over may be the client itself, with a HELLO that it has given up.
func (s *session) byItself() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.givenUp.IsZero() && time.Since(s.givenUp) < lateHello
}

// extendedConn is the configuration of a connection whose heartbeat its WELCOME has said.
func (c *Client) extendedConn(w *wire.Welcome) *ConnConfig {
	if w.Heartbeat == 0 || c.opt.Heartbeat.Interval < 0 {
		return &c.conn
	}
	cfg := c.conn
	cfg.Heartbeat = &keepalive.Heartbeat{Interval: w.Heartbeat, Timeout: c.opt.Heartbeat.Timeout, Jitter: c.opt.Heartbeat.Jitter}
	return &cfg
}

// checkExtended checks what a frame of the program's own may be where there is a session.
func checkExtended(cmd, flag uint8) error {
	switch {
	case cmd < wire.CmdApp:
		return errNotOurs
	case flag&^(wire.FlagReq|wire.FlagRsp) != 0:
		return fmt.Errorf("flag 0x%02X: where there is a session, a program has 0x01 and 0x02 of it", flag)
	case flag == wire.FlagReq|wire.FlagRsp:
		return fmt.Errorf("flag 0x%02X: a frame asks, or answers", flag)
	}
	return nil
}

// appendExt appends a message to what is unsent.
func (l *link) appendExt(cmd uint8, e *wire.Ext) error {
	b := scratch.Get().(*[]byte)
	defer scratch.Put(b)
	var err error
	if *b, err = wire.AppendExt((*b)[:0], cmd, e); err != nil {
		return err
	}
	return l.enqueue(*b, nil)
}

// appendAck appends an acknowledgement to what is unsent.
func (l *link) appendAck(cmd uint8, id uint32) error {
	var b [wire.HeaderLen + wire.AckLen]byte
	return l.enqueue(wire.AppendAck(b[:0], cmd, id), nil)
}

// askID returns the id of a request. Those of requests lie in the half of all numbers in which those of messages do not at this moment, so that an ERROR about an id is
// about one of them. They begin anywhere, since an answer may come late, to a request of an earlier run of the program.
func (s *session) askID() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asks == 0 {
		s.asks = rand.Uint32()
	}
	for {
		s.asks++
		half := ^uint32(s.last-s.ticket.Up) & (1 << 31)
		if id := s.asks&^(1<<31) | half; id != 0 {
			return id
		}
	}
}
