package handler

import (
	"errors"
	"net"
	"runtime/debug"
	"time"

	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

// visit is an admitted client, from its admission to its end. Nothing of Caddy's connection is kept: it is given back as soon as an event loop serves the client.
//
// It is one piece of memory with its connection: what lives long and is small keeps the memory between its like from being given back.
type visit struct {
	pass gateway.Pass
	c    conn
}

// serve returns when the visit has ended, or somebody else serves it: an event loop, or a goroutine without Caddy's connection, its buffer and its stack.
func (v *visit) serve(cx *layer4.Connection, s *settings) {
	remote := cx.RemoteAddr()
	defer v.recovered(remote)
	first, err := v.begin(cx, s)
	if !v.c.begun {
		v.leave(remote, err)
		return
	}
	if err != nil {
		v.c.end(ending{reasonUpstream, err})
	}
	switch {
	case v.c.t.Start(first, v):
	case v.c.ours:
		go v.stay(remote, first)
	default:
		v.leave(remote, v.c.t.Serve(first))
	}
}

// stay serves in a goroutine of its own.
func (v *visit) stay(remote net.Addr, first []byte) {
	defer v.recovered(remote)
	v.leave(remote, v.c.t.Serve(first))
}

// recovered has a panic end this visit alone.
func (v *visit) recovered(remote net.Addr) {
	if r := recover(); r != nil {
		v.leave(remote, &transport.PanicError{Value: r, Stack: debug.Stack()})
	}
}

// begin makes the connection. err: what it is to end for.
func (v *visit) begin(cx *layer4.Connection, s *settings) (first []byte, err error) {
	live := v.pass.Live
	tcp := bottom(cx)
	if tcp != nil {
		if err := s.tcp.Apply(tcp); err != nil {
			logging{live}.unguarded(cx.RemoteAddr(), err)
		}
	}
	client := clientOf(cx)
	nc, first, err := socket(cx, tcp)
	if err != nil {
		return nil, err
	}
	if nc == net.Conn(tcp) && !s.transport.EventLoop {
		if own := takeOver(tcp); own != nil {
			nc, v.c.ours = own, true
		}
	}
	c := &v.c
	c.begin(nc, s, live, time.Now())
	c.leases.tls = client.TLS
	live.Add(c)
	v.c.begun = true
	if _, err = c.connect(); errors.Is(err, errUnauthorized) {
		c.end(endingOf(err))
		err = nil
	}
	return first, err
}

// Ended implements transport.Ender. An event loop has others to serve: logging may wait.
func (v *visit) Ended(err error) { go v.leave(v.c.t.NetConn().RemoteAddr(), err) }

// leave gives up all that the visit holds, and tells why it ended: err is what the transport returned.
func (v *visit) leave(remote net.Addr, err error) {
	live, c := v.pass.Live, &v.c
	e, info := endingOf(err), gateway.Info{}
	var p *transport.PanicError
	if errors.As(err, &p) {
		e = ending{reason: reasonPanic}
		gateway.Log.Error("panic in a gopr connection", "handler", live.Name, "panic", p.Value, "stack", string(p.Stack))
	}
	if v.c.begun {
		if p == nil {
			e = c.ending(err)
		}
		live.Remove(c)
		c.leases.release()
		info = c.Info()
		if e := c.ext.Load(); e != nil {
			e.gone()
		}
		live.Lasted.Observe(time.Since(c.since).Seconds())
	}
	logging{live}.ended(remote, e, info)
	v.pass.Dismiss(e.reason)
	live.Ended(info, remote, e.reason, e.err)
	if v.c.begun && c.s.accessLog {
		live.LogAccess(&info, remote, e.reason, e.err)
	}
}
