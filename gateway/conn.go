package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Conn is a live client connection, as the registry sees it. Its methods may be called from any goroutine, and hold up no traffic.
type Conn interface {
	// ID is the connection's own, from NewConnID.
	ID() ConnID
	Info() Info
	// Pending returns how many bytes wait for the client to read them, and whether they are so many that nothing more is read for it.
	Pending() (bytes int, full bool)
	// Weight returns how many bytes of memory its buffers take, and when its last frame came; zero: none has.
	Weight() (held int, heard time.Time)
	// Recent returns the headers of the last frames, the oldest first.
	Recent() []Frame
	// End closes the connection soon, for the reason given.
	End(reason string)
	// Generation returns Info's Generation and Differs.
	Generation() (id uint64, differs []string)
	// Renew has the connection look for new settings soon.
	Renew()
	// Leave has the connection end, for ReasonDraining, with the answer to its last request; nothing more is read from the client.
	Leave()
}

// ReasonKilled is what a connection ends for when an operator says so.
const ReasonKilled = "killed"

// What a connection is doing.
const (
	StateActive   = "active"   // an application frame in the last ActiveFor, or something unsent or unanswered
	StateIdle     = "idle"     // none of that
	StateWaiting  = "waiting"  // its frames wait for a link to a backend, or for room on one
	StatePaused   = "paused"   // the gateway does not read from it: who gets what it sends does not keep up
	StateLeaving  = "leaving"  // the client sends no more, and waits for its answers
	StateDraining = "draining" // it will be closed within the drain
	StateClosing  = "closing"  // it is being closed
)

// States are all states.
var States = []string{StateActive, StateIdle, StateWaiting, StatePaused, StateLeaving, StateDraining, StateClosing}

// ActiveFor is how long a connection counts as active after an application frame.
const ActiveFor = 10 * time.Second

// Info is what is known of a connection at one moment.
type Info struct {
	ID                  ConnID
	State               string
	Remote, Local       net.Addr
	Client              string // the client id of a connection with a session; "": it has none
	Session             string // the session's id; "": it has none
	TLSSubject          string // of the client's certificate; "": there is none
	Since               time.Time
	LastFrame           time.Time     // the last application frame, either way; zero: none yet
	LastHeard           time.Time     // the last frame from the client, heartbeats included; zero: none yet
	RTT                 time.Duration // smoothed round trip of the gateway's own pings; 0: not measured
	FramesIn, FramesOut uint64
	BytesIn, BytesOut   uint64
	Unsent              int
	Unanswered          int
	Generation          uint64   // of the configuration whose settings it has; see App.Generation
	Differs             []string // what of the settings in force it has not adopted: format, upstream, sessions
	Links               []Link   // to backends; none: the gateway has answered all itself
}

// Link is what a connection has of a group of backends.
type Link struct {
	Group      string
	Backend    string // that serves it now; "": none
	Unanswered int    // requests
}

// Frame is the header of a frame as the flight recorder keeps it.
type Frame struct {
	At        time.Time
	Out       bool // to the client
	Heartbeat bool
	Cmd, Flag uint32
	Bytes     int    // the whole frame
	Times     int    // this often in a row, last at At; heartbeats alone
	Rejected  string // why it was not accepted; Cmd and Flag are then not known, Bytes may be 0
}

// ConnID names a connection for the life of the process. IDs ascend in the order in which connections came.
type ConnID uint64

var lastID atomic.Uint64

// NewConnID returns the next ConnID.
func NewConnID() ConnID { return ConnID(lastID.Add(1)) }

// run is different in each process: an id that was written down before a restart is no other connection's after it.
var run = func() string {
	var b [3]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}()

// String is what ParseConnID reads, such as 5f3a9c-1042.
func (id ConnID) String() string { return run + "-" + strconv.FormatUint(uint64(id), 10) }

// ParseConnID reads a ConnID of this process.
func ParseConnID(s string) (ConnID, error) {
	of, number, _ := strings.Cut(s, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	switch {
	case err != nil || n == 0 || len(of) != len(run):
		return 0, fmt.Errorf("%q is no connection's id: ids are such as %v, as GET /gopr/connections lists them", s, ConnID(1042))
	case of != run:
		return 0, fmt.Errorf("the id %q is of another run of this process: ids of this run begin with %s", s, run)
	}
	return ConnID(n), nil
}
