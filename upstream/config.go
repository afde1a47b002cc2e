package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Config is what an operator sets of a [Group]. Zero fields stand for their defaults.
type Config struct {
	// Backends are the addresses, host:port or unix//path. At least one, if there is no Discovery.
	Backends []string
	// Discovery finds more of them. nil: there are no others.
	Discovery *Discovery
	// Policy is how the backend for the next link is chosen. "": round_robin.
	Policy Policy
	// Weights are the shares of backends that get more than others, by their addresses: 1 to 256. Not named, or 0: 1.
	Weights map[string]int
	// Backups are backends that take new work when none of the others can be expected to.
	Backups []string
	// BackupRate is how many new links, or under request pooling requests, go to the backups in a second; more wait. 0: no limit.
	BackupRate float64
	// BackupBurst is how many of them may go at once after a time of less. 0: a second's worth.
	BackupBurst int
	// Health is what makes a backend fit to take new work. nil: it is only shown; but with policy health, and with backups, its defaults hold.
	Health *health.Settings
	// Outlier says when backends are put aside. nil: never.
	Outlier *Outlier
	// Probe says how backends without a link are looked at. nil: they are not.
	Probe *Probe
	// Panic is the share of the backends that must be fit: where fewer are, all are used. 0: 0.5. Negative: off, clients rather wait.
	Panic float64
	// SlowStart is the time in which a backend that was not fit, and is again, comes to its whole share. 0: at once.
	SlowStart time.Duration
	// Pooling is how links are shared. "": session.
	Pooling Pooling
	// MinLinks is how many links without a client are kept warm for each backend, so that the next client waits for no dial. Negative: none. 0: 1.
	MinLinks int
	// MaxLinks bounds the links to each backend, spares included; under mux pooling, the connections that carry them. 0: no bound under session pooling, 64 under request
	// pooling, 4 under mux pooling.
	MaxLinks int
	// DialTimeout bounds each dial. 0: 5 s.
	DialTimeout time.Duration
	// WriteTimeout is how long a backend may take no byte before its link is given up. 0: 10 s.
	WriteTimeout time.Duration
	// FrameTimeout is how long a backend may take to complete a frame that it has begun. 0: 10 s. Negative: no limit.
	FrameTimeout time.Duration
	// Reconnect says when a backend that failed is dialled again.
	Reconnect Reconnect
	// DialRate is how many dials may be begun in a second, to all backends together. 0: 1000. Negative: no bound.
	DialRate int
	// RetryBudget bounds how often clients whose links die young are given others.
	RetryBudget RetryBudget
	// Heartbeat is how often each backend is pinged, and when it is given up. nil: every 30 s, dead after 15 s. An Interval of 0: 30 s; below 0: off.
	Heartbeat *keepalive.Heartbeat
	// TCP is the keepalive of the sockets.
	TCP keepalive.TCP
	// OnLoss says what a client whose link died is told when it had no request unanswered. "": keep.
	OnLoss OnLoss
	// Buffer bounds, in bytes, what is held for a client: frames that wait for a link, and frames that a backend has not taken. Beyond it nothing more is read
	// from that client. 0: 256 KiB.
	Buffer int
	// MaxStreams is how many links a connection may carry, under mux pooling. 0: 256.
	MaxStreams int
	// MaxInflight is how many requests may be unanswered on a link, under request pooling; no more than a format with ids has of them. 0: 256.
	MaxInflight int
	// Wait is how long a client's frames may wait for a link, or for room on one, before the client is ended with ErrWait. 0: 5 s under request pooling; no limit under session
	// pooling, where a client is held to its gateway by no request of others. It is looked at once a second.
	Wait time.Duration
	// MaxWaiting is how many clients may wait so; one more is ended with ErrBusy. 0: 1000.
	MaxWaiting int
	// RequestTimeout is how long a request may be unanswered, under request pooling, before its client is ended with ErrRequestTimeout and the link is taken out of use; and under
	// session pooling, before a link that an operator wants gone is taken from its client. 0: 30 s. It is looked at once a second.
	RequestTimeout time.Duration
	// StrictAnswers ends a link whose backend answers a request with another command than it has, under request pooling: for protocols where an answer repeats the command, it
	// finds a backend whose answers have got out of step with what it was asked.
	StrictAnswers bool
	// MaxAge is how old a link may be, give or take a fifth, before another takes its place, under request pooling. 0: 1 h. Negative: no limit.
	MaxAge time.Duration
	// Idle is how long a link beyond MinLinks may have nothing to do before it is closed, under request pooling. 0: 10 min.
	Idle time.Duration
	// TLS is how links are secured. nil: they are not.
	TLS *TLS
	// ProxyProtocol has each link begin with a header of the PROXY protocol that tells the backend of the client: "v2". It needs links that are one client's, and none are
	// kept warm. "": none.
	ProxyProtocol string
	// ClientFirst says that each link begins with what its client has to say, such as HELLO: none are kept warm, nor pinged before.
	ClientFirst bool
	// LocalAddress is the IP address that links over TCP come from, without a port. "": the system chooses.
	LocalAddress string
	// Format is how frames look on the links. nil: GOPR.
	Format *wire.Format
	// Versions are the versions accepted from backends. Empty: the format's own.
	Versions []uint32
	// EventLoop has links over plain TCP served by the process's event loops, where the system has them (see transport.Options). A [Peer] must then be quick: others
	// wait while its methods run.
	EventLoop bool
	// Logger gets a line when a backend goes down or comes back. nil: none.
	Logger *slog.Logger
	// Notify is told when the state of a backend changes, one change after the other, by whichever goroutine brought it about. It must not block, nor call the group.
	// nil: nobody is.
	Notify func(Event)
	// Trace is told of each request under request pooling, once, when it was answered or can be no more, by the goroutine that reads the link. It must not block, nor
	// call the group. nil: nobody is, at no cost.
	Trace func(Exchange)
	// Dial replaces the dialler, for tests and proxies. It must return when its context ends: Group.Close waits for it. nil: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Reconnect is the backoff between dials.
type Reconnect = client.Reconnect

// Strategy is how the waits between dials follow each other.
type Strategy = client.Strategy

// Pooling is how clients share links.
type Pooling string

// The ways.
const (
	Session Pooling = "session" // each client has a link to itself
	Request Pooling = "request" // many clients ask over few links
	Mux     Pooling = "mux"     // each client has a link to itself: a stream on one of few connections
)

// OnLoss is what happens to a client whose link died. A client with an unanswered request is closed in any case: its answer can no longer come.
type OnLoss string

// The two ways.
const (
	Keep  OnLoss = "keep"  // the client keeps its connection and goes on over another link
	Close OnLoss = "close" // the client is closed with its link
)

const (
	defaultDialTimeout  = 5 * time.Second
	defaultWriteTimeout = 10 * time.Second
	defaultFrameTimeout = 10 * time.Second
	defaultHeartbeat    = 30 * time.Second
	defaultBuffer       = 256 << 10
	defaultDialRate     = 1000
	defaultMinLinks     = 1
	defaultMaxShared    = 64
	defaultMaxMuxed     = 4
	defaultMaxStreams   = 256
	defaultMaxInflight  = 256
	defaultWait         = 5 * time.Second
	defaultMaxWaiting   = 1000
	defaultRequest      = 30 * time.Second
	defaultMaxAge       = time.Hour
	defaultIdle         = 10 * time.Minute

	defaultHeartbeatTimeout = 15 * time.Second
)

// WithDefaults returns the settings with zero fields replaced by the defaults.
func (c Config) WithDefaults() Config {
	or := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	or(&c.DialTimeout, defaultDialTimeout)
	or(&c.WriteTimeout, defaultWriteTimeout)
	or(&c.FrameTimeout, defaultFrameTimeout)
	or(&c.RequestTimeout, defaultRequest)
	or(&c.MaxAge, defaultMaxAge)
	or(&c.Idle, defaultIdle)
	if c.Pooling == "" {
		c.Pooling = Session
	}
	if c.MaxStreams == 0 {
		c.MaxStreams = defaultMaxStreams
	}
	if c.Pooling == Mux && c.MaxLinks == 0 {
		c.MaxLinks = max(defaultMaxMuxed, c.MinLinks)
	}
	if c.Pooling == Request {
		or(&c.Wait, defaultWait)
		if c.MaxLinks == 0 {
			c.MaxLinks = max(defaultMaxShared, c.MinLinks)
		}
	}
	if c.MaxInflight == 0 {
		c.MaxInflight = defaultMaxInflight
	}
	if c.Format != nil && c.Format.HasID() { // an id for each request in flight
		c.MaxInflight = int(min(uint64(c.MaxInflight), c.Format.MaxID()))
	}
	if c.MaxWaiting == 0 {
		c.MaxWaiting = defaultMaxWaiting
	}
	if c.Policy == "" {
		c.Policy = RoundRobin
	}
	if c.OnLoss == "" {
		c.OnLoss = Keep
	}
	if c.Buffer == 0 {
		c.Buffer = defaultBuffer
	}
	if c.DialRate == 0 {
		c.DialRate = defaultDialRate
	}
	c.RetryBudget = c.RetryBudget.withDefaults()
	if c.Discovery != nil {
		d := c.Discovery.withDefaults()
		c.Discovery = &d
	}
	if c.MinLinks == 0 {
		c.MinLinks = defaultMinLinks
		if c.clientFirst() {
			c.MinLinks = -1
		}
	}
	if c.Heartbeat == nil {
		c.Heartbeat = &keepalive.Heartbeat{Timeout: defaultHeartbeatTimeout}
	}
	if c.Heartbeat.Interval == 0 {
		hb := *c.Heartbeat
		hb.Interval = defaultHeartbeat
		c.Heartbeat = &hb
	}
	c.Reconnect = c.Reconnect.WithDefaults()
	c.TCP = c.TCP.WithDefaults()
	if c.Format == nil {
		c.Format = wire.GOPR
	}
	c = c.withHealthDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Dial == nil {
		local, _ := ParseLocalAddress(c.LocalAddress) // Validate says where it is none
		c.Dial = dialFrom(local, c.Discovery.resolver())
	}
	return c
}

// Validate says what is wrong with the settings, defaults filled in, and what would be right.
func (c Config) Validate() error {
	c = c.WithDefaults()
	if len(c.Backends) == 0 && c.Discovery == nil {
		return errors.New("upstream has no backend: name at least one, such as 127.0.0.1:9000, or have them found, as with `dynamic srv _gopr._tcp.example.com`")
	}
	if c.Discovery != nil {
		if err := c.Discovery.Validate(); err != nil {
			return err
		}
	}
	seen := make(map[string]bool)
	for _, b := range c.Backends {
		if _, _, err := splitBackend(b); err != nil {
			return err
		}
		if seen[b] {
			return fmt.Errorf("backend %s is named twice: name it once", b)
		}
		seen[b] = true
	}
	if err := c.validateChoice(); err != nil {
		return err
	}
	if err := c.validateHealth(); err != nil {
		return err
	}
	if c.Pooling != Session && c.Pooling != Request && c.Pooling != Mux {
		return fmt.Errorf("unknown pooling %q: session, request or mux", c.Pooling)
	}
	if c.OnLoss != Keep && c.OnLoss != Close {
		return fmt.Errorf("unknown on_loss %q: keep or close", c.OnLoss)
	}
	switch {
	case c.MaxLinks < 0:
		return fmt.Errorf("connections max %d is negative: give the most links per backend, or 0 for no bound", c.MaxLinks)
	case c.MaxLinks > 0 && c.MinLinks > c.MaxLinks:
		return fmt.Errorf("connections min %d is above max %d: give a min of %d or less", c.MinLinks, c.MaxLinks, c.MaxLinks)
	case c.MaxStreams < 0:
		return fmt.Errorf("max_streams %d is negative: give the most clients per connection, such as 256", c.MaxStreams)
	case c.MaxInflight < 0:
		return fmt.Errorf("max_inflight %d is negative: give the most unanswered requests per link, such as 256", c.MaxInflight)
	case c.MaxWaiting < 0:
		return fmt.Errorf("max_waiting %d is negative: give the most clients that may wait for a link, such as 1000", c.MaxWaiting)
	case c.Wait < 0:
		return fmt.Errorf("wait %v is negative: give a time such as 5s", c.Wait)
	case c.RequestTimeout < 0:
		return fmt.Errorf("request_timeout %v is negative: give a time such as 30s", c.RequestTimeout)
	case c.Idle < 0:
		return fmt.Errorf("idle %v is negative: give a time such as 10m", c.Idle)
	case c.Buffer < 0:
		return fmt.Errorf("buffer %d is negative: give a size such as 256KiB", c.Buffer)
	case c.DialTimeout < 0:
		return fmt.Errorf("dial_timeout %v is negative: give a time such as 5s", c.DialTimeout)
	case c.WriteTimeout < 0:
		return fmt.Errorf("write_timeout %v is negative: give a time such as 10s", c.WriteTimeout)
	}
	if c.Heartbeat.Interval > 0 {
		if err := c.Heartbeat.Validate(); err != nil {
			return err
		}
	}
	if err := c.TCP.Validate(); err != nil {
		return err
	}
	if err := c.validateEdge(); err != nil {
		return err
	}
	return c.Reconnect.Validate()
}

// splitBackend returns what to dial for an address as it stands in the configuration.
func splitBackend(s string) (network, addr string, err error) {
	if path, ok := strings.CutPrefix(s, "unix/"); ok {
		if path == "" {
			return "", "", fmt.Errorf("backend %q names no socket: write it as unix//path/to/socket", s)
		}
		return "unix", path, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", "", fmt.Errorf("backend %q is no address: write it as host:port, such as 10.0.0.1:9000, or unix//path", s)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return "", "", fmt.Errorf("backend %q has no valid port: a number from 1 to 65535", s)
	}
	if host == "" {
		return "", "", fmt.Errorf("backend %q has no host: write it as host:port, such as 127.0.0.1:%s", s, port)
	}
	return "tcp", s, nil
}
