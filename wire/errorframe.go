package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrorCode is what an ERROR is about.
type ErrorCode uint16

// The codes. With an id, [ErrorQueueFull], [ErrorStore], [ErrorLost] and [ErrorLimit] are about that message alone. All others are the last frame but for GOAWAY: who
// sends them closes the connection.
const (
	ErrorMalformed     ErrorCode = 1 // a frame that does not parse
	ErrorNotAuthorized ErrorCode = 2 // the credential is not accepted, or is missing
	ErrorQueueFull     ErrorCode = 3 // the message can't be taken: the queue has no room
	ErrorStore         ErrorCode = 4 // the store of sessions or messages can't be reached
	ErrorLost          ErrorCode = 5 // the request gets no answer any more: its link has died
	ErrorID            ErrorCode = 6 // an id that is used again, or acknowledged and was never sent
	ErrorLimit         ErrorCode = 7 // too many: connections, tries, unanswered requests
	ErrorProtocol      ErrorCode = 8 // what the protocol does not allow here: HELLO twice, an unknown command
)

var errorNames = [...]string{
	ErrorMalformed:     "malformed",
	ErrorNotAuthorized: "not authorized",
	ErrorQueueFull:     "queue full",
	ErrorStore:         "store unavailable",
	ErrorLost:          "request lost",
	ErrorID:            "wrong id",
	ErrorLimit:         "too many",
	ErrorProtocol:      "protocol",
}

func (c ErrorCode) String() string {
	if c == 0 || int(c) >= len(errorNames) {
		return fmt.Sprintf("code %d", uint16(c))
	}
	return errorNames[c]
}

// MaxErrorText is the longest text that [AppendError] writes, in bytes: what is longer is cut.
const MaxErrorText = 1024

// ErrorFrame is what an ERROR says. It is an error, too: for the one who got it.
type ErrorFrame struct {
	Code ErrorCode
	ID   uint32 // of the message that it is about; 0: it is about the connection
	Text string // for people; may be empty
}

func (e *ErrorFrame) Error() string {
	s := "the peer says: " + e.Code.String()
	if e.ID != 0 {
		s += fmt.Sprintf(", of message %d", e.ID)
	}
	if e.Text != "" {
		s += fmt.Sprintf(": %q", e.Text)
	}
	return s
}

// AppendError appends a whole ERROR.
func AppendError(dst []byte, e ErrorFrame) []byte {
	text := strings.ToValidUTF8(e.Text, "\uFFFD")
	if len(text) > MaxErrorText {
		end := MaxErrorText
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end]
	}
	flag, size := uint8(0), 2+len(text)
	if e.ID != 0 {
		flag, size = FlagID, size+idLen
	}
	dst = AppendHeader(dst, CmdError, flag, size)
	if e.ID != 0 {
		dst = binary.BigEndian.AppendUint32(dst, e.ID)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(e.Code))
	return append(dst, text...)
}

// ParseError reads an ERROR, of which it copies the text, what is no UTF-8 in it replaced. It reports false for a payload that is too short, and for the id 0.
func ParseError(f *Frame) (ErrorFrame, bool) {
	p := parser{rest: f.Payload}
	var e ErrorFrame
	if f.Flag&FlagID != 0 {
		if e.ID = p.u32(); e.ID == 0 {
			return ErrorFrame{}, false
		}
	}
	e.Code = ErrorCode(p.u16())
	if p.short {
		return ErrorFrame{}, false
	}
	e.Text = strings.ToValidUTF8(string(p.rest), "\uFFFD")
	return e, true
}
