// Package mux opens many streams over few connections to one server, with yamux (github.com/hashicorp/yamux): each stream is a net.Conn, with flow control of its own.
//
//	mux.go      the pool: which connection carries the next stream
//	carrier.go  one connection
//	stream.go   one stream
//	joined.go   a connection on which a header and what it announces leave together
//
// It is the one package below the rim that imports something else than the standard library.
package mux

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// Config is what connections and streams of a [Pool] have in common. It is not changed while the pool lives.
type Config struct {
	// Dial makes a connection that is ready for yamux: secured, where it is to be.
	Dial func(ctx context.Context) (net.Conn, error)
	// Spread is how many connections there should be before one gets a second stream. Below 1: 1.
	Spread int
	// Conns is how many connections there may be. Below 1: 1.
	Conns int
	// Streams is how many streams each may carry. Below 1: 1.
	Streams int
	// Idle is how long a connection without a stream is kept. 0: it is closed at once.
	Idle time.Duration
	// KeepAlive is how often a connection is pinged, to be closed when the answer does not come within WriteTimeout. 0: never.
	KeepAlive time.Duration
	// WriteTimeout is how long what a stream sends may wait for the connection to take it. 0: 10 s, yamux's own.
	WriteTimeout time.Duration
	// Logger gets what yamux has to say, at the level debug: the streams' ends say it, too. nil: nobody does.
	Logger *slog.Logger
}

var (
	// ErrFull: all connections carry as many streams as they may.
	ErrFull = errors.New("mux: all connections carry as many streams as they may")
	// ErrClosed: the pool has been closed.
	ErrClosed = errors.New("mux: pool closed")
)

// closeTimeout is how long the server may leave its side of a stream open that was closed on ours, before the stream is reset. Until then it may still send a window of bytes.
const closeTimeout = 10 * time.Second

// Pool opens streams to one server. Its methods may be called from any goroutine.
type Pool struct {
	cfg   Config
	yamux *yamux.Config
	wg    sync.WaitGroup // every goroutine of the pool; it grows only with mu held, and not after closed is set

	mu       sync.Mutex // guards all below, and each carrier's fields that say so; nothing slow runs under it
	closed   bool
	carriers []*carrier // those that may take streams, the oldest first
	leaving  map[*carrier]struct{}
}

// NewPool returns a pool. It dials nobody before a stream is asked for. Close ends it.
func NewPool(c Config) *Pool {
	c.Spread, c.Conns, c.Streams = max(c.Spread, 1), max(c.Conns, 1), max(c.Streams, 1)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	y := yamux.DefaultConfig()
	y.StreamCloseTimeout = closeTimeout
	y.EnableKeepAlive = c.KeepAlive > 0
	if y.EnableKeepAlive {
		y.KeepAliveInterval = c.KeepAlive
	}
	if c.WriteTimeout > 0 {
		y.ConnectionWriteTimeout = c.WriteTimeout
	}
	y.LogOutput, y.Logger = nil, logger{c.Logger}
	return &Pool{cfg: c, yamux: y, leaving: make(map[*carrier]struct{})}
}

// Open opens a stream, and dials a connection for it where there is none with room. It returns when the context ends, at the latest; the connection that it dialled is
// given up then, and with it the streams that waited for that.
func (p *Pool) Open(ctx context.Context) (net.Conn, error) {
	for {
		c, dial, err := p.choose()
		if err != nil {
			return nil, err
		}
		if dial {
			p.dial(ctx, c)
		}
		s, err := p.openOn(ctx, c)
		if err == nil {
			return s, nil
		}
		p.leave(c)
		if dial || ctx.Err() != nil || !errors.Is(err, errLeaving) {
			return nil, err
		}
		// It was on its way out when it was chosen: another, or a new one.
	}
}

// choose returns the connection for a stream, which it counts there; dial: it is new. Connections are filled evenly, up to Streams each, before there is another.
func (p *Pool) choose() (c *carrier, dial bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	for _, x := range p.carriers {
		if x.streams < p.cfg.Streams && (c == nil || x.streams < c.streams) {
			c = x
		}
	}
	if n := len(p.carriers); n < p.cfg.Conns && (c == nil || c.streams > 0 && n < p.cfg.Spread) {
		c, dial = &carrier{ready: make(chan struct{})}, true
		p.carriers = append(p.carriers, c)
		p.wg.Add(1) // until it has gone: see dial
	}
	if c == nil {
		return nil, false, ErrFull
	}
	c.streams++
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	return c, dial, nil
}

// Conns returns how many connections there are, those included that are being dialled, and those that take no more streams but carry some.
func (p *Pool) Conns() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.carriers) + len(p.leaving)
}

// Close ends all connections and their streams, and waits until nothing of the pool runs any more. Calls of Open must have returned, or their contexts be about to end.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	all := slices.Clone(p.carriers) // they drop out of it as they end
	for c := range p.leaving {
		all = append(all, c)
	}
	for _, c := range all {
		if c.idle != nil {
			c.idle.Stop()
			c.idle = nil
		}
	}
	p.mu.Unlock()
	for _, c := range all {
		c.end()
	}
	p.wg.Wait()
}

// logger takes what yamux logs.
type logger struct{ to *slog.Logger }

func (l logger) Print(v ...any)                 { l.log(v...) }
func (l logger) Println(v ...any)               { l.log(v...) }
func (l logger) Printf(format string, v ...any) { l.log(fmt.Sprintf(format, v...)) }

func (l logger) log(v ...any) {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		l.to.Debug("yamux: " + fmt.Sprint(v...))
	}
}
