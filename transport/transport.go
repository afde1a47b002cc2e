// Package transport moves the bytes of a connection, apart from what they mean.
//
// What they mean is a [Logic]: the life of one connection written without I/O. It is given a piece of bytes, or a tick of the clock, and
// says what next: read on, pause, close. A driver does the rest, so the same logic is tested without sockets and runs unchanged under
// every driver. A [Conn] is a connection under either of two:
//
//	conn.go        what both offer, and who gets which
//	options.go     other options for a connection that lives
//	buffer.go      the buffers that connections borrow; held.go, how much memory they take
//
// The goroutine driver, for any net.Conn:
//
//	goroutine.go   the connection: what it holds
//	serve.go       its goroutine: read, pause, tick, and when it wakes
//	read.go        reading a plain TCP connection only when it is readable, into a borrowed buffer
//	read_any.go    reading any other connection (TLS, pipes) into a small buffer that grows and shrinks with use
//	write.go       writing: at once if the socket takes it, else by a writer that lives while bytes are left
//	below.go       writing at once where layers such as TLS lie on the socket; room_linux.go, whether it has room
//	append.go      writing in two steps, so that many writers share one system call
//	close.go       last words, and the end
//
// The event-loop driver, for plain TCP connections on Linux, where Options.EventLoop asks for it:
//
//	loop_linux.go         a loop: one thread that waits for many connections, and what a turn of it is
//	loops_linux.go        which loop a connection goes to
//	loop_conn_linux.go    the connection: what it holds
//	loop_serve_linux.go   what the loop does for it: read, pause, tick
//	loop_unread_linux.go  what its logic has left of what was read
//	loop_write_linux.go   writing: at once, or at the end of the turn, or when the socket takes more
//	loop_gather_linux.go  reading and writing for many at once; ring_linux.go, the system call that does
//	loop_close_linux.go   last words, and the end
//	loop_timers_linux.go  who is to be called when
//	loop_sys_linux.go     the system calls
//
// An idle TCP connection holds no buffer, and no timer of its own beside the poller's; under the goroutine driver, one goroutine.
package transport

import (
	"errors"
	"time"
)

// Next is what a connection does after its logic has spoken.
type Next uint8

const (
	// More reads on.
	More Next = iota
	// Pause stops reading until Conn.Resume. Ticks go on; of their answers only Close counts meanwhile. The peer's end is not noticed before
	// reading goes on; a failed write is.
	Pause
	// Close sends what is unsent, within bounds, and closes the connection. What the peer still sends is not given to the logic any more.
	Close
)

// Logic is the life of one connection. All calls but Drained come from the goroutine that owns the connection (the one that runs Conn.Serve, or
// the event loop's), one at a time; none may block: a loop's other connections would wait with it. All may call the methods of their Conn, except Serve and Start.
type Logic interface {
	// Data is given the bytes that were read and not yet used, oldest first. It returns how many of them it used; the rest comes again, with
	// more behind it. b is valid during the call only. The driver allocates no more than a small multiple of what the peer has sent, but sets
	// no limit to it: what a logic waits for, it must bound.
	//
	// Data is also what ends a Pause: it is called after Resume, with what was left, even where nothing was. It must pause anew where the
	// reason for the pause still stands: a Resume that came when nothing was paused ends the next Pause at once, however late that begins.
	Data(now time.Time, b []byte) (used int, next Next)
	// EOF tells that the peer will send no more (it may still read), at most a second after it was so. What Data left is forgotten, and Data
	// is not called again. Close ends the connection; any other answer keeps it open for writing, until a Tick says Close.
	EOF(now time.Time) Next
	// Tick is called when the moment of Deadline has come, and after Conn.Wake: once for all the calls of Wake before it. It may come early.
	// It comes a little late where this process itself was stopped or starved: then what the peer has sent is read first, so that silence that
	// was ours is not taken for the peer's.
	Tick(now time.Time) Next
	// Deadline is the next moment at which Tick has something to do; zero: never. It is asked after each of the calls above, and may move on
	// with every piece at no cost: the driver moves its timer only when the moment comes nearer, or has passed. It is not asked when something
	// else has moved it; Wake has the driver look. A Tick that is due must move it on, or it is called again and again.
	Deadline() time.Time
	// Drained is called, from any goroutine, once after a Write or an Append that returned full, when the unsent bytes have fallen to half of
	// the bound. That may be before that Write has returned. It is not called any more when writing has failed.
	Drained()
}

// Ender is told of the end of a connection that runs on an event loop.
type Ender interface{ Ended(err error) }

// EndFunc is a function as an Ender.
type EndFunc func(error)

// Ended implements Ender.
func (f EndFunc) Ended(err error) { f(err) }

// Options bound what a connection holds and waits for. One value is shared by many connections and is never changed; Conn.SetOptions gives a connection another.
type Options struct {
	// WriteTimeout is how long the peer may take no byte while there are bytes for it, before the connection ends with ErrWriteTimeout. It is
	// kept to an eighth of it. What counts is what the socket takes, and a full one takes more only when a good part of its send buffer (a third,
	// on Linux) is free again; so it should not be below the time in which the slowest peer worth serving reads that much. A TLS connection must
	// take 64 KiB in that time. 0: 10 s.
	WriteTimeout time.Duration
	// High is the number of unsent bytes beyond which Write reports full. 0: 1 MiB.
	High int
	// ReadMax is the most that one read brings of a plain TCP connection: so much of a peer that sends faster than the logic takes it may have to be held. 0: 128 KiB.
	ReadMax int
	// EventLoop has the plain TCP connections of systems with event loops (Linux) served by one, instead of a goroutine each. The socket is then the
	// loop's alone: the net.Conn given to New is closed, and of Conn.NetConn only the addresses are left.
	EventLoop bool
}

const (
	defaultWriteTimeout = 10 * time.Second
	defaultHigh         = 1 << 20

	// lastWords is how long a closing connection may take to send what is unsent.
	lastWords = 2 * time.Second
)

func (o *Options) writeTimeout() time.Duration {
	if o == nil || o.WriteTimeout <= 0 {
		return defaultWriteTimeout
	}
	return o.WriteTimeout
}

func (o *Options) high() int {
	if o == nil || o.High <= 0 {
		return defaultHigh
	}
	return o.High
}

func (o *Options) readMax() int {
	if o == nil || o.ReadMax <= 0 {
		return pieceSize
	}
	return o.ReadMax
}

var (
	// ErrWriteTimeout: the peer took no byte within Options.WriteTimeout.
	ErrWriteTimeout = errors.New("write timeout: the peer does not read")
	// ErrClosed: the connection has ended; nothing was written.
	ErrClosed = errors.New("connection closed")
)
