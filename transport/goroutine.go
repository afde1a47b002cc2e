package transport

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// goroutineConn is a Conn under the goroutine driver: the goroutine that calls Serve owns it.
type goroutineConn struct {
	// Set by New, never changed.
	nc    net.Conn
	raw   syscall.RawConn // nil where the connection can't be asked whether it is readable
	below below           // where raw is nil
	logic Logic

	opt options

	// The goroutine in Serve owns these.
	unread            // rest is in piece, in own, or a small copy
	own        []byte // the buffer of read_any
	next       Next   // what the logic said last
	eof        bool   // the peer will send no more
	rerr       error  // why reading ended
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

func newGoroutineConn(nc net.Conn, opt *Options, l Logic) *goroutineConn {
	c := &goroutineConn{nc: nc, logic: l}
	c.opt.now.Store(opt)
	if tcp, ok := nc.(*net.TCPConn); ok && rawIO {
		if raw, err := tcp.SyscallConn(); err == nil {
			c.raw = raw
			c.onReadable = c.readable
			c.onWritable = c.writable
		}
	}
	if c.raw == nil {
		c.below.lookBelow(nc)
	}
	return c
}

func (c *goroutineConn) NetConn() net.Conn { return c.nc }

func (c *goroutineConn) Unsent() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent
}

func (c *goroutineConn) Backlog() (bytes int, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unsent, c.full
}

func (c *goroutineConn) Held() int { return c.Unsent() + c.holds.get() }

func (c *goroutineConn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakeLocked()
}

func (c *goroutineConn) wakeLocked() {
	if c.woken {
		return
	}
	c.woken = true
	_ = c.nc.SetReadDeadline(time.Unix(1, 0)) // in the past: a waiting read returns
	c.ring()
}

func (c *goroutineConn) Resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resumed = true
	c.ring()
}

// ring tells a pausing owner that something changed. c.mu is held.
func (c *goroutineConn) ring() {
	if c.bell != nil {
		select {
		case c.bell <- struct{}{}:
		default:
		}
	}
}
