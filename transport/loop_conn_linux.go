package transport

import (
	"bytes"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unique"
)

// loopConn is a Conn under the event-loop driver: a loop's goroutine owns it, together with many others.
type loopConn struct {
	// Set by New, never changed.
	local  unique.Handle[netip.AddrPort] // a listener's many connections have the same
	remote netip.AddrPort
	logic  Logic
	loop   *loop

	opt   options
	ender Ender // set by Start

	left atomic.Pointer[unread] // what the logic has not used; nil: nothing. The loop's goroutine sets it

	// The loop's goroutine owns these.
	fd    int32   // closed with mu held
	place int32   // among the loop's timers
	at    int64   // when the loop looks at it, as timers keep moments; 0: when something happens
	dying *ending // set when the end has begun

	mu      sync.Mutex // guards all below; nothing slow runs under it
	queued  bool       // it is in the loop's inbox
	woken   bool       // Wake was called, Tick not yet
	resumed bool       // Resume was called, reading not yet resumed
	flush   bool       // Flush was called, and is left to the loop
	reads   bool       // it is to be told of what comes
	blocked bool       // the socket takes no more: it is to be told when it does
	busy    bool       // somebody is writing
	full    bool       // Write reported full, Drained is owed
	closing bool
	phase   phase   // how far its life is; the loop's goroutine sets it
	eof     bool    // the peer will send no more; the loop's goroutine alone knows. Here is room for it
	paused  bool    // nothing is read until Resume; likewise
	bulk    bool    // its last read brought much; likewise
	watched uint8   // the events that the poller reports
	out     *[]byte // unsent bytes; nil: none
	sent    int     // of which the first so many were sent
	unsent  int     // what is left of out, and what a writer has in hand
	since   int64   // when the socket last took a byte, while it is blocked
	werr    error
}

// phase is how far a connection's life is.
type phase uint8

const (
	fresh     phase = iota // not started
	open                   // its logic is called
	flushing               // its logic has ended; what is unsent is sent
	aside                  // all is sent; a moment for bytes of the peer that would make closing a reset
	lingering              // there were such bytes: the peer has been told our end, and has time to close, too
	closed
)

// ending is what a connection that ends needs to know.
type ending struct {
	err       error
	until     int64 // when all is over
	next      int64 // when the phase is
	forgotten int   // bytes of the peer
}

// newLoopConn takes over the socket, or returns nil where that can't be: the goroutine driver can do what it does.
func newLoopConn(tcp *net.TCPConn, opt *Options, logic Logic) Conn {
	fd, err := dupSocket(tcp)
	if err != nil {
		return nil
	}
	l, err := join()
	if err != nil {
		_ = syscall.Close(int(fd))
		return nil
	}
	c := &loopConn{local: unique.Make(addrPort(tcp.LocalAddr())), remote: addrPort(tcp.RemoteAddr()), logic: logic, loop: l, fd: fd}
	c.opt.now.Store(opt)
	_ = tcp.Close() // of Go's descriptor; the socket lives on
	return c
}

// Serve implements Conn.
func (c *loopConn) Serve(first []byte) error {
	done := make(chan error, 1)
	c.Start(first, EndFunc(func(err error) { done <- err }))
	err := <-done
	if p, ok := err.(*PanicError); ok {
		panic(p.Value)
	}
	return err
}

// Start implements Conn.
func (c *loopConn) Start(first []byte, e Ender) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ender = e
	if len(first) > 0 {
		u := unreads.Get().(*unread)
		u.rest = bytes.Clone(first)
		c.left.Store(u)
	}
	c.post()
	return true
}

// post has the loop look at the connection. c.mu is held.
func (c *loopConn) post() {
	if !c.queued && c.phase != closed {
		c.queued = true
		c.loop.post(c)
	}
}

// Wake implements Conn.
func (c *loopConn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	c.post()
}

// Resume implements Conn.
func (c *loopConn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resumed = true
	c.post()
}

// SetOptions implements Conn.
func (c *loopConn) SetOptions(o *Options) { c.opt.now.Store(o) }

// Unsent implements Conn.
func (c *loopConn) Unsent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent
}

// Backlog implements Conn.
func (c *loopConn) Backlog() (bytes int, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent, c.full
}

// Held implements Conn.
func (c *loopConn) Held() int { return c.Unsent() + c.holds() }

// NetConn implements Conn.
func (c *loopConn) NetConn() net.Conn {
	return &addresses{net.TCPAddrFromAddrPort(c.local.Value()), net.TCPAddrFromAddrPort(c.remote)}
}

// listen brings the poller up to date with what the connection wants to be told. c.mu is held.
func (c *loopConn) listen() {
	if c.phase == fresh || c.phase == closed {
		return
	}
	var events uint8
	if c.reads {
		events = readable
	}
	if c.blocked {
		events |= writable
	}
	c.loop.watch(c.fd, uint32(c.watched), uint32(events))
	c.watched = events
}

// read has the connection read on, or stop.
func (c *loopConn) read(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reads != on {
		c.reads = on
		c.listen()
	}
}

// addrPort is an address as a connection keeps it.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// addresses is what is left of a net.Conn whose socket a loop has taken.
type addresses struct{ local, remote net.Addr }

func (a *addresses) LocalAddr() net.Addr              { return a.local }
func (a *addresses) RemoteAddr() net.Addr             { return a.remote }
func (a *addresses) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (a *addresses) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (a *addresses) Close() error                     { return net.ErrClosed }
func (a *addresses) SetDeadline(time.Time) error      { return net.ErrClosed }
func (a *addresses) SetReadDeadline(time.Time) error  { return net.ErrClosed }
func (a *addresses) SetWriteDeadline(time.Time) error { return net.ErrClosed }

// Interface guards.
var (
	_ Conn     = (*loopConn)(nil)
	_ net.Conn = (*addresses)(nil)
)
