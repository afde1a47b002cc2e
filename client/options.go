package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Defaults of [Options], which are those of the gateway's configuration.
const (
	DefaultDialTimeout  = 5 * time.Second
	DefaultFrameTimeout = 10 * time.Second
	DefaultWriteTimeout = 10 * time.Second
	DefaultPending      = 1 << 20 // bytes
	DefaultMaxInflight  = 256
)

// DefaultHeartbeat is what docs/protocol.md asks of a client: a ping every 30 s, ± 10 %, and a peer is
// dead 15 s after a ping without its pong. A gateway closes connections that are silent for 45 s.
var DefaultHeartbeat = keepalive.Heartbeat{Interval: 30 * time.Second, Timeout: 15 * time.Second}.WithDefaults()

// Options are how a Client connects, and how it notices that it is not connected any more. The zero
// value is right for most: a zero field stands for its default.
type Options struct {
	// TLS is the configuration of the TLS connection. Without a ServerName, the host of the address is
	// verified. nil: no TLS.
	TLS *tls.Config

	// Dial opens the connection below TLS: through a proxy, from a test, over a Unix socket. network is
	// "tcp" and addr the Client's own, which then may be any text. It must return when ctx ends, because
	// there is no other dial, and no end of Close, until it has. nil: a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// LocalAddr is the address to connect from. It is for the default Dial. Zero: the system chooses.
	LocalAddr netip.Addr

	// DialTimeout is how long one dial may take, TLS handshake included. 0: 5 s.
	DialTimeout time.Duration

	// Heartbeat is how often the peer is pinged, and how long its pong may take until it is dead. A zero
	// Interval: every 30 s, dead after 15 s. A negative Interval: no pings.
	Heartbeat keepalive.Heartbeat

	// TCPKeepalive is the kernel's own heartbeat, the second line of defence. The zero value is on,
	// with Go's defaults. Connections that are not TCP have none.
	TCPKeepalive keepalive.TCP

	// FrameTimeout is how long the peer may take to complete a frame that it has begun. 0: 10 s.
	// Negative: as long as it likes.
	FrameTimeout time.Duration

	// WriteTimeout is how long the peer may take no byte while there are bytes for it, until the
	// connection is given up. 0: 10 s.
	WriteTimeout time.Duration

	// MaxPayload is the longest payload accepted from the peer, in bytes; a longer one ends the
	// connection on its header. 0: 65535, the most there is.
	MaxPayload int

	// Pending is the number of unsent bytes from which on Send waits, and TrySend returns ErrFull.
	// They may exceed it by one frame for each goroutine that sends. 0: 1 MiB.
	Pending int

	// MaxInflight is how many requests may be without an answer; a further one waits to be sent. One
	// whose caller has given up counts until its answer comes. 0: 256.
	MaxInflight int

	// Reconnect is when a connection that was lost is dialled again. The zero value: after 1 s, then
	// × 1.5 each time up to 30 s, each ± 50 %, and after 5 failures in a row a pause of 5 min.
	Reconnect Reconnect

	// OnFrame is called for each frame that is no answer, in order, from the goroutine that reads. The
	// frame is valid during the call: copy what is kept. While it runs nothing else is read, no pong
	// either, so it should be quick, and use [Client.TrySend] to send. It must not wait for Request, Ping,
	// Wait or Close, for they wait for it. nil: such frames are ignored.
	OnFrame func(wire.Frame)

	// OnState is called for each change of state, in order and one at a time. What is said of OnFrame
	// holds here, too: to do more when a connection is there, start a goroutine.
	OnState func(Change)

	// Session has the Client say HELLO: it has a session, which survives its connections, and [Client.Publish]. What comes unasked is then given to its OnMessage, and
	// OnFrame must be nil. nil: the connection is plain.
	Session *SessionOptions

	// Logger is told of connections made (info) and lost, dials that failed, and pauses (warn). nil: no
	// logs.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.DialTimeout, DefaultDialTimeout)
	setDefault(&o.FrameTimeout, DefaultFrameTimeout)
	setDefault(&o.WriteTimeout, DefaultWriteTimeout)
	setDefault(&o.Pending, DefaultPending)
	setDefault(&o.MaxInflight, DefaultMaxInflight)
	setDefault(&o.MaxPayload, wire.MaxPayload)
	if o.Heartbeat.Interval == 0 {
		o.Heartbeat.Interval = DefaultHeartbeat.Interval
	}
	o.Heartbeat = o.Heartbeat.WithDefaults()
	o.Reconnect = o.Reconnect.WithDefaults()
	if o.Session != nil {
		session := o.Session.withDefaults()
		o.Session = &session
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func (o *Options) validate() error {
	switch {
	case o.DialTimeout < 0:
		return fmt.Errorf("dial timeout %v is negative: give a time such as 5s, or 0 for %v", o.DialTimeout, DefaultDialTimeout)
	case o.WriteTimeout < 0:
		return fmt.Errorf("write timeout %v is negative: give a time such as 10s, or 0 for %v", o.WriteTimeout, DefaultWriteTimeout)
	case o.Pending < 0:
		return fmt.Errorf("%d pending bytes are less than none: give a number such as %d, or 0 for that", o.Pending, DefaultPending)
	case o.MaxInflight < 0:
		return fmt.Errorf("%d requests in flight are less than none: give a number such as %d, or 0 for that", o.MaxInflight, DefaultMaxInflight)
	case o.LocalAddr.IsValid() && o.Dial != nil:
		return fmt.Errorf("a local address %v and a Dial of one's own: the address is for the default Dial, so leave one of them out", o.LocalAddr)
	}
	if o.Session != nil {
		if o.OnFrame != nil {
			return errors.New("OnFrame and a session: there all that comes unasked is given to Session.OnMessage, so set that instead")
		}
		if err := o.Session.validate(); err != nil {
			return err
		}
	}
	if o.Heartbeat.Interval > 0 {
		if err := o.Heartbeat.Validate(); err != nil {
			return err
		}
	}
	if err := o.TCPKeepalive.Validate(); err != nil {
		return err
	}
	return o.Reconnect.Validate()
}

// validateAddr checks what the default Dial can know of an address before it dials.
func validateAddr(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("address %q is not host:port: give one such as 10.0.0.1:7450 or [2001:db8::1]:7450", addr)
	}
	if n, err := strconv.Atoi(port); err == nil && (n < 1 || n > 65535) { // names, such as https, are known to the system
		return fmt.Errorf("port %d of %q is out of range: give 1 to 65535", n, addr)
	}
	return nil
}

// prepare makes of c.addr and c.opt what connections are made with.
func (c *Client) prepare() error {
	if err := c.opt.validate(); err != nil {
		return err
	}
	if c.opt.Dial == nil {
		if err := validateAddr(c.addr); err != nil {
			return err
		}
		c.opt.Dial = c.opt.dialer().DialContext
	}
	payload := c.opt.MaxPayload
	if c.opt.Session != nil {
		payload = min(payload+maxOverhead, wire.MaxPayload)
	}
	decoder, err := wire.GOPR.NewDecoder(wire.Rules{MaxPayload: payload})
	if err != nil {
		return err
	}
	c.tls = tlsConfig(c.opt.TLS, c.addr)
	c.conn = ConnConfig{
		Decoder:   decoder,
		Limits:    &keepalive.Limits{Frame: max(c.opt.FrameTimeout, 0)},
		Transport: &transport.Options{WriteTimeout: c.opt.WriteTimeout, High: c.opt.Pending},
	}
	if c.opt.Heartbeat.Interval > 0 {
		c.conn.Heartbeat = &c.opt.Heartbeat
	}
	return nil
}
