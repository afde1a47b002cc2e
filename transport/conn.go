package transport

import (
	"fmt"
	"net"
)

// Conn is one connection. [New] makes it, Serve or Start runs it; the other methods may be called from any goroutine, at any time, from within the
// logic's calls too.
type Conn interface {
	// Serve runs the connection until it ends, closes it and waits for its writer. Serve and Start are called once, one of them. When Serve has
	// returned, the logic is not called any more. first is what somebody else has already read; the logic is given it as it is, and what it
	// leaves is copied.
	//
	// What is unsent when the logic says Close, or after the peer's end, is still sent, within 2 s or Options.WriteTimeout, whichever is shorter. A
	// peer that is still sending then sees the end of our side, and has the rest of that time to close its own. After any other error what is unsent
	// is dropped.
	//
	// The error says why it ended: nil, the logic said Close; io.EOF, the peer closed; ErrWriteTimeout; or the network's error. A panic of the logic
	// is Serve's own.
	Serve(first []byte) error
	// Start is Serve that does not wait: the connection runs on an event loop, and costs no goroutine. e is told when it is over, by the loop,
	// so it must not block, with what Serve would have returned; a panic of the logic is a *[PanicError] to it. Start returns false where the
	// connection does not run on a loop: nothing has happened then, and the caller must call Serve.
	Start(first []byte, e Ender) bool

	// Write sends b, or keeps what the socket does not take at once, to go on with it as soon as it does. It copies what it keeps, and never blocks.
	//
	// full: more than Options.High bytes are unsent. The caller should stop what feeds this connection; Logic.Drained tells when to go on. The bytes
	// of a Write that reports full are taken none the less, so what is held exceeds the bound by one Write at most for each writer that obeys.
	//
	// Bytes of one Write stay together; two Writes are in the order in which they were called, and so are Write and Append. An error says why the
	// connection ended, and that nothing of b was written.
	Write(b []byte) (full bool, err error)
	// Append keeps a copy of b for the next Flush, Write or Close. Many that append to one connection leave with one system call. It returns what
	// Write returns. Whoever appends must flush, whatever it reports: what nobody flushes stays, and Drained with it.
	Append(b []byte) (full bool, err error)
	// Flush sends what was appended. atOnce tries it in the calling goroutine, as Write does: for a lone request, which must not wait for anybody.
	// Otherwise others that are about to append are let do so first. On an event loop that has work at hand both leave at the end of its turn.
	Flush(atOnce bool)
	// Wake has the logic's Tick called soon, by whoever owns the connection, in a Pause and after the peer's end, too. It is how others tell a
	// connection to look up: to end, or to adopt new settings. Before Serve and after the end it does no harm.
	Wake()
	// Resume ends a Pause. Called before the pause has begun, it prevents it; so it may be called by Drained whether or not the Write that was full
	// has returned yet. Several calls count as one.
	Resume()
	// SetOptions has other options hold from now on; nil: all defaults. What is under way goes on as it was begun: a write that waits for the peer may keep
	// its timeout until the peer takes something, and a Write that was full is drained when the unsent bytes have fallen to half of the new bound. The
	// driver stays the same.
	SetOptions(o *Options)
	// Unsent returns the number of bytes written that the socket has not taken yet. When writing has failed it says what was lost, roughly.
	Unsent() int
	// Backlog is Unsent, and whether it is full: it was above Options.High, and has not fallen to half of that since.
	Backlog() (bytes int, full bool)
	// Held returns how many bytes of memory the connection's buffers take: for what was read and not used, and what is unsent. It is right to within one buffer that is
	// in hand.
	Held() int
	// Socket calls do with the TCP connection at the bottom, to set its options, and returns what do returns. It may be one made for the call: do must not keep it. Where
	// there is none to be found, or the connection is closed, do is not called.
	Socket(do func(*net.TCPConn) error) error
	// NetConn returns the connection underneath, for its addresses and, on the goroutine driver, its socket options. It must not be read, written
	// or closed.
	NetConn() net.Conn
}

// New wraps an established connection. With Options.EventLoop, and where the system has event loops, a *net.TCPConn goes to one. Otherwise a
// *net.TCPConn is read only when it is readable, and written without blocking; any other connection is read and written by its own methods, and its
// deadlines must work. No deadline may be set on it, and the handshake of a TLS connection must be complete: one that a deadline cuts short can't be
// taken up again. opt may be nil: all defaults. The caller must call Start or Serve; nc is New's to close.
func New(nc net.Conn, opt *Options, l Logic) Conn {
	if tcp, ok := nc.(*net.TCPConn); ok && opt != nil && opt.EventLoop {
		if c := newLoopConn(tcp, opt, l); c != nil {
			return c
		}
	}
	return newGoroutineConn(nc, opt, l)
}

// PanicError is the end of a connection whose logic has panicked on an event loop, where it must not take the others with it.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }
