package handler

import (
	"errors"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// refuse ends a connection whose HELLO is not answered, or that said none.
func (c *conn) refuse(p *piece, code wire.ErrorCode, err error) transport.Next {
	own := p.answers()
	*own = wire.AppendError(*own, wire.ErrorFrame{Code: code, Text: err.Error()})
	return c.fail(err)
}

// fault has the client of an extended connection told what it did before the connection ends for it.
func (c *conn) fault(p *piece, err error) {
	e := c.ext.Load()
	if e == nil && !errors.Is(err, errLateHello) || e != nil && e.told.Swap(true) {
		return
	}
	f := wire.ErrorFrame{Code: wire.ErrorProtocol, Text: err.Error()}
	var v *delivery.Violation
	var r *wire.RejectError
	switch {
	case errors.Is(err, delivery.ErrBye):
		return
	case errors.As(err, &v):
		f.Code, f.Text = v.Code, v.Text
	case errors.As(err, &r) && r.Reason != wire.ReasonCommand:
		f.Code = wire.ErrorMalformed
	}
	own := p.answers()
	*own = wire.AppendError(*own, f)
}

// sayError tells the client of an extended connection why it ends, unless it has been told. It may be called by any goroutine.
func (c *conn) sayError(code wire.ErrorCode, text string) {
	c.say(wire.AppendError(nil, wire.ErrorFrame{Code: code, Text: text}))
}

// sayGoAway is sayError for ends that are not the client's fault: it is told when to come back.
func (c *conn) sayGoAway(reason string) {
	away := wire.GoAway{Reason: wire.GoAwayOther, After: c.live.ComeBack()}
	switch reason {
	case gateway.ReasonDraining:
		away.Reason = wire.GoAwayDrain
	case reasonTakenOver:
		away = wire.GoAway{Reason: wire.GoAwayTakenOver}
	case reasonSessionEnded, reasonSessionExpired:
		away = wire.GoAway{Reason: wire.GoAwayEnded}
	}
	c.say(wire.AppendGoAway(nil, away))
}

func (c *conn) say(frame []byte) {
	e := c.ext.Load()
	if e == nil || e.told.Swap(true) {
		return
	}
	if _, err := c.t.Write(frame); err == nil {
		c.out(0, len(frame))
		c.rec.out(e.dialect, frame, 1)
	}
}

// endingOfSession is endingOf for what sessions end connections for.
func endingOfSession(err error) (e ending, ok bool) {
	var v *delivery.Violation
	var r *delivery.Refusal
	switch {
	case errors.As(err, &v) && v.Code == wire.ErrorMalformed:
		return ending{wire.ReasonMalformed.String(), err}, true
	case errors.As(err, &v):
		return ending{reasonViolation, err}, true
	case errors.As(err, &r) && r.Code == wire.ErrorNotAuthorized:
		return ending{reasonNotAuthorized, err}, true
	case errors.As(err, &r) && r.Code == wire.ErrorStore:
		return ending{reasonStore, err}, true
	case errors.As(err, &r):
		return ending{reasonHelloRefused, err}, true
	case errors.Is(err, delivery.ErrBye):
		return ending{reason: reasonBye}, true
	case errors.Is(err, delivery.ErrTaken):
		return ending{reason: reasonTakenOver}, true
	case errors.Is(err, delivery.ErrEnded):
		return ending{reason: reasonSessionEnded}, true
	case errors.Is(err, delivery.ErrExpired):
		return ending{reasonSessionExpired, err}, true
	case errors.Is(err, delivery.ErrClosed):
		return ending{reason: gateway.ReasonDraining}, true
	}
	return ending{}, false
}
