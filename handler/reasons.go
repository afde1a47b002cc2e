package handler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Why a connection ended: the label of caddy_gopr_connections_closed_total and the word in the log. A frame that was not accepted is named by its wire.Reason:
// magic, version, length, command, checksum, malformed.
const (
	reasonEOF          = "eof"           // the client closed
	reasonNetwork      = "network"       // reset, or another error of the network
	reasonIdle         = "idle_timeout"  // no complete frame in time
	reasonFrame        = "frame_timeout" // a frame begun and not completed in time
	reasonHeartbeat    = "heartbeat"     // the gateway's probe was not answered in time
	reasonWrite        = "write_timeout" // the client does not read
	reasonConnections  = gateway.RefusedConnections
	reasonPerIP        = gateway.RefusedPerIP
	reasonBanned       = gateway.RefusedBanned
	reasonMemory       = gateway.RefusedMemory
	reasonFirstFrame   = "first_frame"  // limits first_frame
	reasonUnauthorized = "unauthorized" // require tls_client
	// between a gopr_guard and the handler
	reasonHandshakeTimeout = "handshake_timeout"
	reasonHandshakeFailed  = "handshake_failed"
	reasonFrameRate        = "frame_rate"      // limits frames, with exceed close
	reasonByteRate         = "byte_rate"       // limits bytes, likewise
	reasonUpstreamLost     = "upstream_lost"   // the link died with a request unanswered, or on_loss close
	reasonUpstream         = "upstream_error"  // the group is gone, or its links die under this client
	reasonWait             = "upstream_wait"   // no room on a link in time, or too many wait
	reasonTimeout          = "request_timeout" // the backend did not answer in time
	reasonSlow             = "slow_consumer"   // the client does not read the answers it shares a link for
	reasonPanic            = "panic"
	reasonKilled           = gateway.ReasonKilled
	// of connections whose handler has sessions
	reasonNoHello        = "no_hello"        // sessions require hello
	reasonLateHello      = "late_hello"      // a HELLO that was not the first frame
	reasonHelloLimited   = "hello_limited"   // limits failed_hello
	reasonNotAuthorized  = "not_authorized"  // sessions authenticate
	reasonHelloRefused   = "hello_refused"   // no session could be had, but for the two above and the next
	reasonStore          = "store"           // the store of sessions can't be reached
	reasonViolation      = "violation"       // the client broke the protocol
	reasonBye            = "bye"             // the client ended its session
	reasonTakenOver      = "taken_over"      // the client came back over another connection
	reasonSessionEnded   = "session_ended"   // an operator ended the session
	reasonSessionExpired = "session_expired" // it could not be kept alive
)

// ending is how a connection ended.
type ending struct {
	reason string
	err    error // with the facts; nil: the reason says it all
}

// endingOf names the reason of an error.
func endingOf(err error) ending {
	var reject *wire.RejectError
	if e, ok := endingOfSession(err); ok {
		return e
	}
	switch {
	case errors.Is(err, upstream.ErrLost): // first: what it wraps is how the link ended, and that says nothing of the client
		return ending{reasonUpstreamLost, err}
	case errors.Is(err, upstream.ErrWait), errors.Is(err, upstream.ErrBusy):
		return ending{reasonWait, err}
	case errors.Is(err, upstream.ErrRequestTimeout):
		return ending{reasonTimeout, err}
	case errors.Is(err, upstream.ErrSlow):
		return ending{reasonSlow, err}
	case errors.Is(err, upstream.ErrUnstable), errors.Is(err, upstream.ErrGroupClosed):
		return ending{reasonUpstream, err}
	case err == nil || errors.Is(err, io.EOF):
		return ending{reason: reasonEOF}
	case errors.As(err, &reject):
		return ending{reject.Reason.String(), err}
	case errors.Is(err, keepalive.ErrIdle):
		return ending{reason: reasonIdle}
	case errors.Is(err, keepalive.ErrFrameTimeout):
		return ending{reason: reasonFrame}
	case errors.Is(err, errUnauthorized):
		return ending{reasonUnauthorized, err}
	case errors.Is(err, errNoHello):
		return ending{reason: reasonNoHello}
	case errors.Is(err, errLateHello):
		return ending{reason: reasonLateHello}
	case errors.Is(err, errHelloLimited):
		return ending{reason: reasonHelloLimited}
	case errors.Is(err, errFirstFrame):
		return ending{reason: reasonFirstFrame}
	case errors.Is(err, errFrameRate):
		return ending{reason: reasonFrameRate}
	case errors.Is(err, errByteRate):
		return ending{reason: reasonByteRate}
	case errors.Is(err, errDraining):
		return ending{reason: gateway.ReasonDraining}
	case errors.Is(err, errProbe):
		return ending{reason: reasonHeartbeat}
	case errors.Is(err, transport.ErrWriteTimeout):
		return ending{reason: reasonWrite}
	default:
		return ending{reasonNetwork, err}
	}
}

// logging writes the lines about a handler's connections: at most one a second for each reason, with how many were kept back.
type logging struct{ live *gateway.Live }

func (l logging) ended(remote net.Addr, e ending, i gateway.Info) {
	level := slog.LevelDebug
	switch e.reason {
	case reasonEOF, reasonNetwork, reasonKilled, gateway.ReasonDraining, reasonBye, reasonTakenOver, reasonSessionEnded: // a network's daily life
	default:
		level = slog.LevelWarn
	}
	if !gateway.Log.Enabled(context.Background(), level) {
		return
	}
	ok, suppressed := l.live.Quiet.Pass(e.reason, time.Now())
	if !ok {
		return
	}
	args := []any{"handler", l.live.Name, "remote", remote.String(), "reason", e.reason}
	if e.err != nil {
		args = append(args, "error", e.err)
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	if !i.Since.IsZero() {
		args = append(args, "duration", time.Since(i.Since), "frames_in", i.FramesIn, "frames_out", i.FramesOut, "bytes_in", i.BytesIn, "bytes_out", i.BytesOut)
	}
	gateway.Log.Log(context.Background(), level, "connection closed", args...)
}

// unguarded says that a connection is served without its TCP keepalive.
func (l logging) unguarded(remote net.Addr, err error) {
	if ok, _ := l.live.Quiet.Pass("keepalive", time.Now()); ok {
		gateway.Log.Warn("client connection without TCP keepalive", "handler", l.live.Name, "remote", remote.String(), "error", err)
	}
}
