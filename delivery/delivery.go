// Package delivery is what stands between a client that comes and goes and a backend that does: sessions that live, and their messages.
//
// A [Service] has the sessions of one handler. A [Session] takes what its [Client] sends, has it stored, acknowledges it, and sends it to the backend until that has it;
// and the same the other way. It does no I/O of its own: the client's connection, a lease of a group of backends, and the stores do that.
//
//	delivery.go  what a service is made of, and what it tells
//	service.go   the service
//	hello.go     how a client gets its session: a new one, or its own from wherever it is; hello_log.go, what is said of it
//	begin.go     a new one, in place of the one that the client is known to have
//	session.go   a session: its state, its lock, and what follows from whatever it is told
//	rare.go      what a session has only when something is amiss
//	client.go    its client's side: what that sends
//	link.go      its backend's side: leases and their links
//	uplink.go    messages to a plain backend, and the barriers that prove them
//	hop.go       a backend that acknowledges
//	downlink.go  what a plain backend sends
//	flow.go      messages to who acknowledges each: a client, or such a backend
//	box.go       what is stored, one batch after the other
//	outbox.go    stored messages that are next to be sent, in memory or read back
//	outgoing.go  frames that leave together
//	life.go      park, touch, end
//	orphan.go    messages that an earlier process or another gateway has left behind
//	forgotten.go what the queue remembers of sessions that are no more
//	alarm.go     one timer for all sessions; crew.go, goroutines for what waits for a store
//	admin.go     what operators see and do; count.go, what is counted
//
// A message goes through a session like this. What a client sends is put into the session's box of the queue; when the store says that it is safe, the client gets its PUBACK or
// PUBREC, and the message goes to the backend, out of memory where it is still there, else read back. A plain backend has proved that it has it when the barrier behind it comes
// back; one that speaks the extended protocol acknowledges it. Then it is taken out of the box. The other way is the same, with the client acknowledging. Whatever has not come to
// its end when a connection is lost, a gateway dies, or a session goes to another, is begun again from the box, in order.
package delivery

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Config is what a [Service] is made of.
type Config struct {
	// Name is the handler's: what an earlier process has left behind is delivered by the handler that took it.
	Name string
	// Owner is, with Name, what the session store knows the service by: of this process, this service, and no other. It has no slash.
	Owner string
	// Sessions and Queue keep the sessions and their messages. They are the caller's to close, after the service.
	Sessions session.Store
	Queue    queue.Store
	// Local keeps sessions while Sessions can't be reached. nil: HELLO is refused then.
	Local session.Store
	// Strays says whether nobody else uses the queue at the time: so messages whose session nobody knows any more, as its store has forgotten it, are this service's to deliver,
	// and what the queue remembers of such sessions is its to have forgotten. nil: others do.
	Strays func() bool
	// Forgets says that the queue is this process's alone, and ends with it: so a session that was with another service gets its client a new one, as its messages and their
	// numbers are not here; and what such a session has taken here is delivered from here.
	Forgets bool
	// Lease takes a lease of the group of backends. It neither blocks nor dials. release is called once, after the lease was closed; it may block. The client's parts may be
	// missing: there are messages whose client is away.
	Lease func(upstream.LinkPeer, upstream.Client) (lease upstream.Lease, release func(), err error)
	// Notify is told of what happens, by one goroutine at a time, which may block for a moment. nil: nobody is.
	Notify func(Event)
	// Logger gets what an operator should know. nil: it is discarded.
	Logger *slog.Logger
}

// Settings may change while a service lives: see Service.Set. All but Inflight hold from the next message or HELLO on; Inflight, from the next HELLO.
type Settings struct {
	Expiry     time.Duration // the longest that a session lasts after its client has gone; a client may ask for less. 0: 24 h
	Park       time.Duration // how long the link of a client that has gone is kept. 0: not at all
	Heartbeat  time.Duration // what WELCOME says of heartbeats, less up to a tenth, that a fleet does not ping at once
	Idle       time.Duration // and of silence. 0: no limit
	TTL        time.Duration // how long a message is kept. 0: 24 h
	AckTimeout time.Duration // after which a message is repeated. 0: 3 s
	MaxRetries int           // how often, before it has failed. 0: never
	Inflight   int           // messages that may be unacknowledged, each way. 0: 64
	Downlink   uint8         // the quality of service of what a plain backend sends without saying: 0, 1 or 2
	Extended   bool          // the backend says HELLO back, and acknowledges; it holds from the next link on
	// Bounds are those of the queue: the client is not read from when three quarters of what is kept of one session are used.
	Bounds queue.Bounds
}

// Hello is what a client has said, and who it is.
type Hello struct {
	Client      string // its id, 1 to 255 bytes of any kind
	Token       []byte // what it was given with its last WELCOME; nil: it has none
	Wanted      wire.Capability
	Expiry      time.Duration // how long its session is to last without it. 0: it ends with the connection
	Certificate session.Hash  // of the certificate that it shows; zero: none. The session is bound to it
	From        upstream.Client
	// Present asks the client whether it is still there, before a new session takes the place of the one that it has: a HELLO may come late, when its client has given it up and
	// come back over another connection. An error says that it is not, or does not answer. nil: it can't be asked.
	Present func(context.Context) error
	// Authorize says whether the client may have a new session: it is asked where the token is missing or not good. nil: it may. What wraps a *Refusal is told to the client;
	// any other error, that it is not authorized.
	Authorize func() error

	away error // why the store of sessions could not be asked about the token; nil: it could, or there is none
}

// Welcome is the answer to a HELLO.
type Welcome struct {
	Frame     []byte // the whole WELCOME, to be written before Session.Attach
	Resumed   bool
	Granted   wire.Capability
	Heartbeat time.Duration // as the frame says
	Idle      time.Duration

	turn   uint32 // which of the session's connections it is for
	fence  uint64 // of the session then
	window uint16
}

// Client is the connection of a session's client, as the session sees it. None of its methods may block, nor call the session before it has returned: the session's lock is
// held. They may be called by any goroutine, also after the connection's end, and do nothing then.
type Client interface {
	// Write sends n whole frames, back to back. It copies what it keeps. full: no more, please, until Session.Drained, which may be called at once by another goroutine.
	Write(frames []byte, n int) (full bool)
	// Resume goes on reading after Session.Flush returned full. It may come once too often.
	Resume()
	// From says who the client is to backends. It is asked when a lease is taken, and made anew each time: an idle connection keeps its addresses in less memory.
	From() upstream.Client
	// End ends the connection: err is one of this package's, or a *Violation. It is called once at the most, and the session calls nothing after it.
	End(err error)
}

// Why a connection ends.
var (
	// ErrBye: the client has said BYE, and its session has ended.
	ErrBye = errors.New("the client said bye")
	// ErrTaken: the client came back over another connection, here or at another gateway. It is to be told GOAWAY.
	ErrTaken = errors.New("session taken over by another connection")
	// ErrEnded: an operator has ended the session.
	ErrEnded = errors.New("session ended by an operator")
	// ErrExpired: the session's expiry is over, as it could not be kept alive.
	ErrExpired = errors.New("session expired")
	// ErrClosed: the service has ended.
	ErrClosed = errors.New("delivery service closed")
)

// Violation is what a client must not do. The connection sends it as an ERROR, and closes.
type Violation struct {
	Code wire.ErrorCode
	Text string
	// Reason is the same in one word, for metrics: malformed, checksum, protocol, id, inflight, qos, requests, full.
	Reason string
}

func (v *Violation) Error() string { return v.Text }

// Refusal is why a client has not got a session. The connection sends it as an ERROR, and closes.
type Refusal struct {
	Code wire.ErrorCode
	Text string
	Err  error // behind it, for the log; nil: there is none
}

func (r *Refusal) Error() string {
	if r.Err != nil {
		return r.Text + ": " + r.Err.Error()
	}
	return r.Text
}

// Unwrap returns what is behind it.
func (r *Refusal) Unwrap() error { return r.Err }

// EventKind is what has happened.
type EventKind string

// The kinds.
const (
	SessionTaken  EventKind = "session.taken"  // a client has come back while its old connection was there
	MessageFailed EventKind = "message.failed" // a message was given up after its last repeat
	StoreDown     EventKind = "store.down"     // a store has failed, after it had worked
	StoreUp       EventKind = "store.up"       // it works again
)

// Event is what has happened to a session, a message or a store.
type Event struct {
	Kind      EventKind
	Client    string     // the session's client; "": it is none's
	Session   session.ID // zero: it is none's
	Direction queue.Direction
	Message   uint64 // its id; 0: it is of none
	Store     string // "sessions" or "queue"; "": it is neither's
	Err       error  // why; nil: there is nothing to say
}

// State is where a session is.
type State string

// The states.
const (
	Attached State = "attached" // its client is there
	Parked   State = "parked"   // its client is away, and the link to its backend is kept
	Orphan   State = "orphan"   // its client is away or has another session, and its messages are being delivered
	Away     State = "away"     // it is in the store alone
)

// Info is what is known of a session.
type Info struct {
	Client   string
	ID       session.ID
	State    State
	Owner    string // of the session, as the store says; the service's own for those that it has
	Fence    uint64
	Since    time.Time
	Seen     time.Time // when its client was last known to be there
	Expiry   time.Duration
	Remote   net.Addr   // of its client; nil: it is not there, or not said
	Backend  string     // that it has a link to; "": none
	Up, Down queue.Info // its messages to the backend, and to the client; of those that are away, nothing
	InFlight int        // messages that were sent to the client and have not been acknowledged
	Unproved int        // messages that were sent to the backend, and not been proved
	Requests int        // without an answer
}

// Stat is what a service looks like at one moment. What counts, counts since it began.
type Stat struct {
	Attached, Parked, Orphans int
	Hellos                    map[string]uint64 // by outcome: new, resumed, unknown, token, certificate (a new session, as the token was not good), refused, store
	Takeovers                 uint64            // connections that ended as their client came back over another
	Fenced                    uint64            // sessions that another gateway has taken, as a store said
	Violations                map[string]uint64 // by Violation.Reason
	Taken                     [2]uint64         // messages stored, by direction
	Delivered                 [2]uint64         // messages that have arrived, by direction
	Redelivered               [2]uint64         // messages sent once more, by direction
	Failed                    [2]uint64         // messages given up, by direction
	Refused                   uint64            // messages that the queue had no room for, and whose client was told
	Dropped                   uint64            // messages of QoS 0 for clients that were away, or which no link could take
	Lost                      uint64            // requests whose answers were lost with their link
	StoreErrors               map[string]uint64 // by store: sessions, queue
	StoreDown                 map[string]bool   // by store: it failed when it was last asked
	Queue                     queue.Stat
}
