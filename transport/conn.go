package transport

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// Conn is one connection under the goroutine driver. [New] makes it, [Conn.Serve] runs it; the other methods may be called from any goroutine, at
// any time, from within the logic's calls too.
type Conn struct {
	// Set by New, never changed.
	nc    net.Conn
	raw   syscall.RawConn // nil where the connection can't be asked whether it is readable
	opt   *Options
	logic Logic

	// The goroutine in Serve owns these.
	rest       []byte  // read, not yet used; in piece, in own, or a small copy
	piece      *[]byte // borrowed; kept only while a large frame is unfinished
	own        []byte  // the buffer of read_any
	next       Next    // what the logic said last
	eof        bool    // the peer will send no more
	rerr       error   // why reading ended
	onReadable func(fd uintptr) bool
	armed      time.Time // the read deadline that is set
	fired      bool      // it has passed, so it must be set anew
	unsettled  bool      // the last read may have left something to do: see settle
	readAt     time.Time
	look       time.Time // the logic's deadline is put off until then: see lateBy

	mu         sync.Mutex // guards all below; nothing slow runs under it
	woken      bool       // Wake was called, Tick not yet
	resumed    bool       // Resume was called, reading not yet resumed
	bell       chan struct{}
	out        *[]byte // unsent bytes; nil: none
	unsent     int     // len(out) and what the writer has in hand
	busy       bool    // somebody is writing
	full       bool    // Write reported full, Drained is owed
	closing    bool
	werr       error
	onWritable func(fd uintptr) bool
	wbuf       []byte // onWritable's input and output; owned by who set busy
	wn         int
	wsys       error
	warmed     time.Time      // the write deadline that is set; owned by who set busy
	writers    sync.WaitGroup // whoever has set busy, and a Drained that is still running
}

// settle is how long after its last read a busy connection is looked at again. A busy connection skips the read that would only say "nothing
// more", and so can miss the end of the stream when it came together with the last bytes; this finds it. It is also the moment at which
// buffers grown for a burst are given up.
const settle = time.Second

// lateBy is how far behind its deadline a Tick may come before the delay is taken for ours: the process was stopped, or starved. What the peer has
// sent meanwhile waits in the socket, and without a look at it a peer that was never silent would be taken for dead. So reading goes on for
// lookFor, once, before the Tick.
const (
	lateBy  = 100 * time.Millisecond
	lookFor = 10 * time.Millisecond
)

// New wraps an established connection. A *net.TCPConn is read only when it is readable, and written without blocking; any other connection is
// read and written by its own methods, and its deadlines must work. No deadline may be set on it, and the handshake of a TLS connection must be
// complete: one that a deadline cuts short can't be taken up again. opt may be nil: all defaults. The caller must call Serve, which closes nc.
func New(nc net.Conn, opt *Options, l Logic) *Conn {
	c := &Conn{nc: nc, opt: opt, logic: l}
	if tcp, ok := nc.(*net.TCPConn); ok && rawIO {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.raw = raw
			c.onReadable = c.readable
			c.onWritable = c.writable
		}
	}
	return c
}

// NetConn returns the connection underneath, for its addresses and socket options. It must not be read, written or closed.
func (c *Conn) NetConn() net.Conn { return c.nc }

// Unsent returns the number of bytes written to c that the socket has not taken yet. When writing has failed it says what was lost, roughly.
func (c *Conn) Unsent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent
}

// Backlog is Unsent, and whether it is full: it was above Options.High, and has not fallen to half of that since.
func (c *Conn) Backlog() (bytes int, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent, c.full
}

// Wake has the logic's Tick called soon, by the goroutine that owns the connection, in a Pause and after the peer's end, too. It is how others tell a
// connection to look up: to end, or to adopt new settings. Before Serve and after the end it does no harm.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked()
}

func (c *Conn) wakeLocked() {
	if c.woken {
		return
	}
	c.woken = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // in the past: a waiting read returns
	c.ring()
}

// Resume ends a Pause. Called before the pause has begun, it prevents it; so it may be called by Drained whether or not the Write that was full has
// returned yet. Several calls count as one.
func (c *Conn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resumed = true
	c.ring()
}

// ring tells a pausing owner that something changed. c.mu is held.
func (c *Conn) ring() {
	if c.bell != nil {
		select {
		case c.bell <- struct{}{}:
		default:
		}
	}
}
