package client

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Receiver is given what a [Conn] reads. All calls but Drained come from the connection's own goroutine; none may block.
type Receiver interface {
	// Frame is called for each frame that is the application's. It is piece[start:end], and as valid as piece is: until Flush returns.
	// A run of neighbouring frames can so be passed on with one copy, or none.
	Frame(piece []byte, start, end int, f *wire.Frame)
	// Flush is called when a piece is used up. It returns false to stop reading until Conn.Resume.
	Flush(piece []byte) (more bool)
	// Drained is called, from any goroutine, once after a Write that returned full, when the unsent bytes have fallen to half of the bound.
	Drained()
}

// EndReceiver is a [Receiver] that wants to know of the end as soon as it is decided. Conn.Serve returns later: what is unsent is still sent, for up to
// two seconds, and meanwhile Write only fails.
type EndReceiver interface {
	Receiver
	// Ending is called once, by the connection's goroutine, with what Conn.Serve will return.
	Ending(cause error)
}

// PongReceiver is a [Receiver] that sends pings of its own beside the heartbeat's.
type PongReceiver interface {
	Receiver
	// Pong is called, like Frame, for each PONG that does not answer a ping of the heartbeat. payload is valid during the call.
	Pong(now time.Time, payload []byte)
}

// BeatReceiver is a [Receiver] that wants to know of each pong that answers a ping of the heartbeat.
type BeatReceiver interface {
	Receiver
	// Beat is called, like Frame, with the round trip; 0: the ping is answered, but reading was paused meanwhile, and nothing was measured.
	Beat(rtt time.Duration)
}
