package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// GoAwayLen is the length of a GOAWAY's payload, in bytes.
const GoAwayLen = 6

// GoAwayReason is why a gateway sends a client away.
type GoAwayReason uint16

// The reasons. A client comes back after each of them, and after those that it does not know, but for GoAwayTakenOver: two connections would go on taking it from each other.
const (
	GoAwayOther     GoAwayReason = 0 // none of these
	GoAwayDrain     GoAwayReason = 1 // the gateway stops, or lets its clients go
	GoAwayTakenOver GoAwayReason = 2 // the session has been resumed on another connection, which has it now
	GoAwayEnded     GoAwayReason = 3 // an operator has ended the session: its token is good no more
)

// GoAway is what a gateway says to a client of an extended connection before it closes it.
type GoAway struct {
	Reason GoAwayReason
	// After is how long the client is to wait before it comes back, in whole milliseconds; different for each client, so that a fleet does not come back at
	// once. 0: no time of its own. At most 2^32-1 ms, some 49 days.
	After time.Duration
}

// AppendGoAway appends a whole GOAWAY frame. A time below or above what the frame can say is the nearest that it can.
func AppendGoAway(dst []byte, g GoAway) []byte {
	after := min(max(g.After.Milliseconds(), 0), math.MaxUint32)
	dst = AppendHeader(dst, CmdGoAway, 0, GoAwayLen)
	dst = binary.BigEndian.AppendUint16(dst, uint16(g.Reason))
	return binary.BigEndian.AppendUint32(dst, uint32(after))
}

// ParseGoAway reads the payload of a GOAWAY. It reports false for one of any other length than [GoAwayLen].
func ParseGoAway(payload []byte) (GoAway, bool) {
	if len(payload) != GoAwayLen {
		return GoAway{}, false
	}
	return GoAway{
		Reason: GoAwayReason(binary.BigEndian.Uint16(payload)),
		After:  time.Duration(binary.BigEndian.Uint32(payload[2:])) * time.Millisecond,
	}, true
}
