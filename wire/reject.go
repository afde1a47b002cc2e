package wire

import "fmt"

// Reason is why a frame was rejected. Its values are the numbers of the list
// in docs/protocol.md, "What a receiver rejects", which is the order of the
// checks; 0 is no reason.
type Reason uint8

// The decoder gives ReasonMagic to ReasonChecksum, and ReasonMalformed for a
// wrong trailer. The others have their place here for the one who finds them:
// extended connections, and whoever holds the clock.
const (
	ReasonMagic        Reason = iota + 1 // the frame does not begin with the magic
	ReasonVersion                        // the version is not accepted
	ReasonLength                         // the payload is longer than accepted
	ReasonCommand                        // the command is not on the allow-list
	ReasonChecksum                       // the checksum does not match
	ReasonMalformed                      // the extension fields do not parse
	ReasonFrameTimeout                   // the frame did not complete in time
)

var reasonNames = [...]string{
	ReasonMagic:        "magic",
	ReasonVersion:      "version",
	ReasonLength:       "length",
	ReasonCommand:      "command",
	ReasonChecksum:     "checksum",
	ReasonMalformed:    "malformed",
	ReasonFrameTimeout: "frame_timeout",
}

// Reasons lists all reasons in their order, for whoever counts by reason.
func Reasons() []Reason {
	return []Reason{
		ReasonMagic, ReasonVersion, ReasonLength, ReasonCommand,
		ReasonChecksum, ReasonMalformed, ReasonFrameTimeout,
	}
}

// String is the reason as the metrics label it: magic, version, length,
// command, checksum, malformed or frame_timeout.
func (r Reason) String() string {
	if r == 0 || int(r) >= len(reasonNames) {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// RejectError is a frame that a receiver refuses. It is the same however the
// stream was split into pieces.
type RejectError struct {
	Reason Reason

	// Offset is the byte that is to blame, counted from the start of the slice
	// given, where the frame begins: the first wrong byte of a magic, else the
	// first byte of the field that is wrong.
	Offset int

	// Got and Want are what came and what would have been right:
	//
	//	magic          the wrong byte              the byte expected there
	//	version        the version                 the first of those accepted
	//	length         what the length field says  the most accepted there, or,
	//	                                           if that is more, the least
	//	command        the command                 0: an allow-list is no number
	//	checksum       the checksum carried        the checksum computed
	//	malformed      0; the wrong byte of a      0; the byte expected there
	//	               format's trailer
	//	frame_timeout  the bytes that came         the frame's size, 0 if unknown
	Got, Want uint64

	// Skip is how many bytes from the start of that slice the next frame begins.
	// It may be more than the slice holds. 0: the boundary is not known (magic;
	// see [Decoder.Resync]) or not to be trusted (length, but for a format that
	// declares DiscardTooLong; or a version with a length that no frame has).
	Skip int
}

// Error names the two numbers and the byte.
func (e *RejectError) Error() string {
	switch e.Reason {
	case ReasonMagic:
		return fmt.Sprintf("wrong magic: byte %d is 0x%02X, want 0x%02X", e.Offset, e.Got, e.Want)
	case ReasonVersion:
		return fmt.Sprintf("version %d at byte %d is not accepted, want %d", e.Got, e.Offset, e.Want)
	case ReasonLength:
		if e.Got < e.Want {
			return fmt.Sprintf("length %d at byte %d is under the minimum of %d", e.Got, e.Offset, e.Want)
		}
		return fmt.Sprintf("length %d at byte %d is over the maximum of %d", e.Got, e.Offset, e.Want)
	case ReasonCommand:
		return fmt.Sprintf("command 0x%02X at byte %d is not on the allow-list", e.Got, e.Offset)
	case ReasonChecksum:
		return fmt.Sprintf("checksum 0x%X at byte %d does not match, want 0x%X", e.Got, e.Offset, e.Want)
	case ReasonMalformed:
		if e.Got != e.Want {
			return fmt.Sprintf("wrong trailer: byte %d is 0x%02X, want 0x%02X", e.Offset, e.Got, e.Want)
		}
		return fmt.Sprintf("malformed extension fields at byte %d", e.Offset)
	case ReasonFrameTimeout:
		if e.Want == 0 {
			return fmt.Sprintf("frame did not complete in time: %d bytes came", e.Got)
		}
		return fmt.Sprintf("frame did not complete in time: %d of %d bytes came", e.Got, e.Want)
	}
	return fmt.Sprintf("%v at byte %d", e.Reason, e.Offset)
}
