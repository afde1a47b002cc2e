package handler

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// maxSearch is how many bytes on_invalid drop throws away in search of the next magic: one of GOPR's largest frames.
const maxSearch = 64 << 10

// reject decides about a frame that is not accepted. It returns how many bytes of b to drop, or Close. What is to be dropped beyond b is noted in c.skip.
func (c *conn) reject(p *piece, b []byte, err error) (drop int, next transport.Next) {
	var r *wire.RejectError
	if !errors.As(err, &r) {
		c.fault(p, err)
		return 0, c.fail(err)
	}
	searching := c.searched > 0 && r.Reason == wire.ReasonMagic // one search is one reject, however many pieces it takes
	if !searching {
		c.live.CountReject(r.Reason.String())
		p.recent.reject(r.Reason, r.Skip)
	}
	switch {
	case !c.s.drop:
		c.fault(p, err)
		return 0, c.fail(err)
	case r.Reason == wire.ReasonMagic:
		drop = c.s.dec.Resync(b)
		if c.searched += int32(drop); c.searched > maxSearch {
			return 0, c.fail(fmt.Errorf("no frame within %d bytes after a wrong one: %w", maxSearch, err))
		}
	case r.Skip > 0 && r.Skip <= math.MaxInt32: // above, the length is noise
		c.skip = int32(r.Skip)
	default:
		c.fault(p, err)
		return 0, c.fail(err)
	}
	if !searching {
		c.logDrop(r.Reason, err)
	}
	return drop, transport.More
}

// logDrop says, at most once a second for each reason, that frames are dropped.
func (c *conn) logDrop(reason wire.Reason, err error) {
	ok, suppressed := c.live.Quiet.Pass("drop_"+reason.String(), time.Now())
	if !ok {
		return
	}
	args := []any{"handler", c.live.Name, "remote", c.t.NetConn().RemoteAddr().String(), "reason", reason.String(), "error", err}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	gateway.Log.Warn("frame dropped", args...)
}

// notAllowed rejects a frame with a command that only heartbeats may use.
func (s *settings) notAllowed(f *wire.Frame) error {
	return &wire.RejectError{Reason: wire.ReasonCommand, Offset: s.cmdOffset, Got: uint64(f.Cmd), Skip: len(f.Raw)}
}
