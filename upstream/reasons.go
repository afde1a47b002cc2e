package upstream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Why a link ended: the words in BackendStat.Ended. A frame that is none is named by its wire.Reason: magic, version, length, checksum, malformed.
const (
	endClient    = "client"          // its client has gone
	endRetired   = "retired"         // too old, not needed, or an operator wants it gone
	endGroup     = "group_closed"    // the group is no more
	endEOF       = "eof"             // the backend closed
	endNetwork   = "network"         // reset, or another error of the network
	endHeartbeat = "heartbeat"       // a ping was not answered in time
	endFrame     = "frame_timeout"   // a frame begun and not completed in time
	endWrite     = "write_timeout"   // the backend does not read
	endPings     = "ping_flood"      // it sends pings and does not read the pongs
	endEarly     = "early"           // it sent too much before a client was there
	endUnasked   = "unasked"         // it answered what nobody asked, or twice
	endCommand   = "answer_command"  // it answered with another command: strict_answers
	endTimeout   = "request_timeout" // an answer did not come
	endPanic     = "panic"           // a fault of the gateway's own
)

// reasonOf names the reason of a link's end.
func reasonOf(err error) string {
	var reject *wire.RejectError
	if errors.As(err, &reject) {
		return reject.Reason.String()
	}
	for _, r := range []struct {
		is   error
		name string
	}{
		{errReleased, endClient},
		{errRetired, endRetired},
		{ErrGroupClosed, endGroup},
		{io.EOF, endEOF},
		{client.ErrHeartbeat, endHeartbeat},
		{keepalive.ErrFrameTimeout, endFrame},
		{transport.ErrWriteTimeout, endWrite},
		{client.ErrPingFlood, endPings},
		{ErrEarly, endEarly},
		{ErrUnasked, endUnasked},
		{ErrAnswerCommand, endCommand},
		{ErrRequestTimeout, endTimeout},
		{errPanic, endPanic},
	} {
		if errors.Is(err, r.is) {
			return r.name
		}
	}
	return endNetwork
}

// errPanic: there is a mistake in the gateway, and it cost one link.
var errPanic = errors.New("panic: see the log")

// guard turns a panic of what it defers for into an error: one link's fault is not the process's.
func (g *Group) guard(b *backend, err *error) {
	if p := recover(); p != nil {
		*err = g.unpanicked(b, &transport.PanicError{Value: p, Stack: debug.Stack()})
	}
}

// unpanicked has a panic logged, and returns what stands for it; any other error as it is.
func (g *Group) unpanicked(b *backend, err error) error {
	var p *transport.PanicError
	if !errors.As(err, &p) {
		return err
	}
	g.cfg.Logger.LogAttrs(context.Background(), slog.LevelError, "panic on a link to a backend",
		slog.String("backend", b.name), slog.Any("panic", p.Value), slog.String("stack", string(p.Stack)))
	return errPanic
}

// noteEnd counts the end of a link, and has what the backend did wrong logged, at most once a second for each reason. g.mu is held.
func (g *Group) noteEnd(b *backend, err error, now time.Time) {
	reason := reasonOf(err)
	b.ended[reason]++
	switch reason {
	case endClient, endRetired, endGroup, endEOF, endNetwork, endPanic: // a network's daily life, and what was logged where it happened
		return
	}
	if now.Sub(b.said[reason]) >= time.Second {
		b.said[reason] = now
		g.note(slog.LevelWarn, "link to a backend ended", slog.String("backend", b.name), slog.String("reason", reason), slog.Any("error", err))
	}
}

// run serves a link until it ends, and returns why.
func (g *Group) run(l *link) (err error) {
	defer g.guard(l.b, &err)
	return l.conn.Serve(g.ctx)
}
