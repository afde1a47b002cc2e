package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// ConnConfig is what connections of one kind share. It is not changed while they live.
type ConnConfig struct {
	// Format is what the frames look like, and which of them are the heartbeat's. nil: GOPR.
	Format *wire.Format
	// Decoder cuts what the peer sends into frames of the Format, and says which it accepts. nil: all commands, payloads of any length that the format has.
	Decoder *wire.Decoder
	// Heartbeat is how often the peer is pinged, and how long its answer may take. nil, an Interval of 0, or a format without pings: no pings.
	Heartbeat *keepalive.Heartbeat
	// Limits.Frame is how long the peer may take to complete a frame that it has begun; Limits.Idle, how long it may be silent. nil, or 0: without limit.
	Limits *keepalive.Limits
	// Transport bounds the unsent bytes and the time a write may take. nil: its defaults.
	Transport *transport.Options
}

// Conn is one established connection to a peer: it cuts the stream into frames, answers the peer's pings, sends its own and measures the round trip, and
// ends when the peer is silent, dead or wrong. It does not come back; [Client] and the upstream pool make it come back.
type Conn struct {
	cfg    *ConnConfig
	format *wire.Format
	dec    *wire.Decoder
	beat   *keepalive.Heartbeat // nil: no pings
	t      transport.Conn
	r      Receiver

	// The connection's goroutine owns these.
	watch  keepalive.Watch
	pinger keepalive.Pinger
	err    error      // why the connection ends; nil: it does not yet
	pongs  []byte     // answers to the pings of one piece
	held   bool       // reading is paused: the peer's silence is ours, and says nothing of it
	frame  wire.Frame // of Data alone; a variable there would be allocated with each piece, as its address goes to the receiver

	srtt atomic.Int64 // nanoseconds
	look atomic.Bool  // a ping is wanted now
	owed atomic.Int64 // bytes of pongs that were written since the peer fell behind with reading

	mu  sync.Mutex
	end error // what Close was given
}

var defaultDecoder = sync.OnceValue(func() *wire.Decoder { return newDecoder(wire.GOPR) })

func newDecoder(f *wire.Format) *wire.Decoder {
	d, err := f.NewDecoder(wire.Rules{})
	if err != nil {
		panic(err) // the zero rules are every format's own
	}
	return d
}

// NewConn wraps an established connection. The caller must call [Conn.Start] or [Conn.Serve], which close nc. cfg may be nil: no heartbeat, no limits.
func NewConn(nc net.Conn, cfg *ConnConfig, r Receiver) *Conn {
	if cfg == nil {
		cfg = &ConnConfig{}
	}
	c := &Conn{cfg: cfg, format: cfg.Format, dec: cfg.Decoder, r: r}
	if c.format == nil {
		c.format = wire.GOPR
	}
	switch {
	case c.dec != nil:
	case c.format == wire.GOPR:
		c.dec = defaultDecoder()
	default:
		c.dec = newDecoder(c.format)
	}
	if c.format.HasHeartbeat() {
		c.beat = cfg.Heartbeat
	}
	c.start(time.Now())
	c.t = transport.New(nc, cfg.Transport, logic{c})
	return c
}

// start has the clocks begin now.
func (c *Conn) start(now time.Time) {
	if c.beat != nil {
		c.pinger.Start(c.beat, now)
	}
	if c.cfg.Limits != nil {
		c.watch.Start(c.cfg.Limits, now)
	}
}

// resume has the clocks go on after a pause.
func (c *Conn) resume(now time.Time) {
	c.pinger.Resume(now)
	if c.cfg.Limits != nil {
		c.watch.Start(c.cfg.Limits, now)
	}
}

// Serve runs the connection in the calling goroutine until it ends, and returns why: io.EOF, the peer closed it; [ErrHeartbeat], [keepalive.ErrIdle],
// [keepalive.ErrFrameTimeout] or [transport.ErrWriteTimeout], it is too slow; a *[wire.RejectError], it sends what is not accepted; what Close was given;
// the cause of the end of ctx; or the network's error. Never nil.
func (c *Conn) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx)) })
	defer stop()
	if err := c.t.Serve(nil); c.err == nil { // the network ended it
		c.ends(err)
	}
	return c.err
}

// Start is Serve that does not wait, where an event loop can run the connection (see transport.Conn): ended is then called when it is over, by the loop, with what Serve
// would have returned, or a *transport.PanicError. It must not block. false: nothing has happened, and the caller must call Serve.
func (c *Conn) Start(ctx context.Context, ended func(error)) bool {
	stop := context.AfterFunc(ctx, func() { c.Close(context.Cause(ctx)) })
	started := c.t.Start(nil, transport.EndFunc(func(err error) {
		stop()
		var p *transport.PanicError
		if errors.As(err, &p) {
			ended(err)
			return
		}
		if c.err == nil {
			c.ends(err)
		}
		ended(c.err)
	}))
	if !started {
		stop()
	}
	return started
}

// ends notes why the connection ends, and tells the receiver. A Close that came before is the reason.
func (c *Conn) ends(err error) transport.Next {
	if end := c.closed(); end != nil {
		err = end
	}
	c.err = err
	if r, ok := c.r.(EndReceiver); ok {
		r.Ending(err)
	}
	return transport.Close
}

// Write sends whole frames, back to back. It copies what the socket does not take at once, and never blocks. full: the bound of
// unsent bytes is exceeded; the caller should wait for Receiver.Drained.
func (c *Conn) Write(frames []byte) (full bool, err error) { return c.t.Write(frames) }

// Append keeps whole frames for the next Flush: what many append leaves together. It returns what Write returns.
func (c *Conn) Append(frames []byte) (full bool, err error) { return c.t.Append(frames) }

// Flush sends what was appended; atOnce, before it returns, as far as the socket takes it.
func (c *Conn) Flush(atOnce bool) { c.t.Flush(atOnce) }

// Resume goes on reading after a Flush that returned false.
func (c *Conn) Resume() { c.t.Resume() }

// Close ends the connection soon; Serve returns cause. What is unsent is still sent, within two seconds. nil stands for net.ErrClosed.
func (c *Conn) Close(cause error) {
	if cause == nil {
		cause = net.ErrClosed
	}
	c.mu.Lock()
	if c.end == nil {
		c.end = cause
	}
	c.mu.Unlock()
	c.t.Wake()
}

func (c *Conn) closed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// Ping sends a ping of the heartbeat soon, unless one is unanswered: to measure the round trip, or whether the peer lives, before the next is due. Without a heartbeat, or
// while reading is paused, it does nothing.
func (c *Conn) Ping() {
	c.look.Store(true)
	c.t.Wake()
}

// RTT returns the smoothed round trip of the heartbeat (RFC 6298); 0 before the first answer.
func (c *Conn) RTT() time.Duration { return time.Duration(c.srtt.Load()) }

// Unsent returns the number of bytes written but not yet taken by the socket.
func (c *Conn) Unsent() int { return c.t.Unsent() }

// LocalAddr is this side's address.
func (c *Conn) LocalAddr() net.Addr { return c.t.NetConn().LocalAddr() }

// RemoteAddr is the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.t.NetConn().RemoteAddr() }

// ErrHeartbeat is the end of a connection whose peer's TCP may answer, but whose program does not.
var ErrHeartbeat = errors.New("heartbeat: no pong in time")

// logic is a Conn as its driver sees it.
type logic struct{ c *Conn }

func (l logic) Data(now time.Time, b []byte) (used int, next transport.Next) {
	c := l.c
	if c.held {
		c.held = false
		c.resume(now)
	}
	f := &c.frame
	defer func() { *f = wire.Frame{} }() // or it would hold on to the piece
	for {
		n, err := c.dec.Next(b[used:], f)
		if err != nil {
			c.r.Flush(b[:used])
			return used, c.ends(fmt.Errorf("frame from %v: %w", c.RemoteAddr(), err))
		}
		if n == 0 {
			break
		}
		switch {
		case c.format.IsPing(f) && !(c.format.PongIsPing() && c.pinger.Outstanding()):
			c.pongs = c.format.AppendPong(c.pongs, f)
		case c.format.IsPong(f) && c.awaitsPong():
			c.pong(now, f.Payload)
		default:
			c.r.Frame(b, used, used+n, f)
		}
		used += n
	}
	if c.cfg.Limits != nil {
		c.watch.Note(now, used > 0, used < len(b))
	}
	more := c.r.Flush(b[:used])
	if err := c.answer(); err != nil {
		return used, c.ends(err)
	}
	if !more {
		c.held = true
		return used, transport.Pause
	}
	return used, transport.More
}

// maxOwed is how many bytes of pongs may be kept for a peer that is behind with reading: those to some 6,000 empty pings.
const maxOwed = 64 << 10

// ErrPingFlood is the end of a connection whose peer sends pings and does not read the pongs.
var ErrPingFlood = errors.New("the peer sends pings and does not read the pongs")

// answer sends the pongs to the pings of one piece, in one write. That the peer is behind may be due to what others wrote, and then a few pongs more do
// no harm; so what counts is those that were added since it fell behind.
func (c *Conn) answer() error {
	if len(c.pongs) == 0 {
		return nil
	}
	n := int64(len(c.pongs))
	full, _ := c.Write(c.pongs) // a failed write ends the connection by itself
	c.pongs = nil
	if full && c.owed.Add(n) > maxOwed {
		return ErrPingFlood
	}
	return nil
}

// awaitsPong says whether a frame that looks like a pong is one. Of a format whose pong is always the same frame, an answer may look like it: it is a pong only
// while there is a ping without one, be it the receiver's own.
func (c *Conn) awaitsPong() bool {
	if c.format.EchoesPing() || c.pinger.Outstanding() {
		return true
	}
	_, pings := c.r.(PongReceiver)
	return pings
}

func (c *Conn) pong(now time.Time, payload []byte) {
	var rtt time.Duration
	ok := false
	if !c.format.EchoesPing() {
		rtt, ok = c.pinger.Answered(now)
	} else if p, is := wire.ParsePing(payload); is {
		rtt, ok = c.pinger.Pong(p.Seq, p.Time, now)
	}
	if ok {
		if r, ok := c.r.(BeatReceiver); ok {
			r.Beat(rtt)
		}
		c.srtt.Store(int64(c.pinger.RTT().SRTT()))
		return
	}
	if r, ok := c.r.(PongReceiver); ok {
		r.Pong(now, payload)
	}
}

func (l logic) EOF(time.Time) transport.Next { return l.c.ends(io.EOF) }

func (l logic) Tick(now time.Time) transport.Next {
	c := l.c
	if c.closed() != nil {
		return c.ends(nil)
	}
	if c.held {
		return transport.Pause
	}
	if c.beat != nil {
		switch look := c.look.Swap(false); c.pinger.Tick(now) {
		case keepalive.SendPing:
			c.ping(now)
		case keepalive.Wait:
			if look && !c.pinger.Outstanding() {
				c.ping(now)
			}
		case keepalive.Dead:
			return c.ends(ErrHeartbeat)
		}
	}
	if c.cfg.Limits != nil {
		if err := c.watch.Check(now); err != nil {
			return c.ends(err)
		}
	}
	return transport.More
}

// ping sends a ping. Its payload, where the format's may have one, is what its pong is known by.
func (c *Conn) ping(now time.Time) {
	seq, at := c.pinger.Ping(now)
	var buf, frame [64]byte
	payload := wire.AppendPing(buf[:0], wire.Ping{Seq: seq, Time: at})[wire.HeaderLen:]
	if !c.format.EchoesPing() {
		payload = nil
	}
	if b, err := c.format.AppendPing(frame[:0], payload); err == nil {
		_, _ = c.Write(b) // a failed write ends the connection by itself
	}
}

func (l logic) Deadline() time.Time {
	c := l.c
	var at time.Time
	if c.held {
		return at
	}
	if c.beat != nil {
		at = c.pinger.Next()
	}
	if c.cfg.Limits != nil {
		if w := c.watch.Deadline(); !w.IsZero() && (at.IsZero() || w.Before(at)) {
			at = w
		}
	}
	return at
}

func (l logic) Drained() {
	l.c.owed.Store(0)
	l.c.r.Drained()
}
