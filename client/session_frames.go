package client

import (
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// extended is Frame on a connection that has a session.
func (l *link) extended(f *wire.Frame) {
	if f.Cmd < wire.CmdApp {
		l.control(f)
		return
	}
	e, err := wire.ParseExt(f)
	switch {
	case err != nil:
		l.violates(wire.ErrorMalformed, err)
	case e.Flag == wire.FlagRsp:
		l.answerTo(e.ID, f, e.Payload)
	default:
		l.violates(l.session.take(l, uint8(f.Cmd), &e))
	}
}

// control is told of the protocol's own frames but for heartbeats.
func (l *link) control(f *wire.Frame) {
	if err := wire.CheckControl(f); err != nil {
		l.violates(wire.ErrorMalformed, err)
		return
	}
	id, _ := wire.ParseAck(f.Payload)
	switch f.Cmd {
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubComp:
		if !l.session.acked(l, uint8(f.Cmd), id) {
			l.violates(wire.ErrorID, fmt.Errorf("command 0x%02X acknowledges message %d, which was never sent so", f.Cmd, id))
		}
	case wire.CmdPubRel:
		if !l.session.release(l, id) {
			l.violates(wire.ErrorID, fmt.Errorf("PUBREL of message %d, which was not acknowledged", id))
		}
	case wire.CmdGoAway:
		g, _ := wire.ParseGoAway(f.Payload)
		l.hangUp(&GoAwayError{Reason: g.Reason, After: g.After})
	case wire.CmdError:
		e, _ := wire.ParseError(f)
		if e.ID == 0 || !l.failCall(&e) {
			// What it says of a message it says of all that follow: they are sent again on another connection, in their order.
			l.hangUp(&e)
		}
	case wire.CmdPing, wire.CmdPong: // pongs to pings of one's own are told of by Pong
	default:
		l.violates(wire.ErrorProtocol, fmt.Errorf("command 0x%02X is the client's to send, or comes but once", f.Cmd))
	}
}

// hangUp ends the connection; what comes after is not looked at.
func (l *link) hangUp(cause error) {
	l.broken = true
	l.conn.Close(cause)
}

// violates tells the peer what it has done, and ends the connection; cause may be nil: it has done nothing.
func (l *link) violates(code wire.ErrorCode, cause error) {
	if cause == nil {
		return
	}
	_, _ = l.conn.Write(wire.AppendError(nil, wire.ErrorFrame{Code: code, Text: cause.Error()}))
	l.hangUp(fmt.Errorf("%w: %w", ErrProtocol, cause))
}
