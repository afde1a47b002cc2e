package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// Welcome is what a gateway answers to HELLO. Its token is no copy.
type Welcome struct {
	Version      uint8         // of WELCOME, no later than HELLO's; [AppendWelcome] writes [HelloVersion] for 0
	Resumed      bool          // the session is the one whose token came; false: it is a new one
	Capabilities Capability    // that are granted: of those asked for, none else
	Heartbeat    time.Duration // between the client's PINGs, in whole seconds; 0: the client's own
	Idle         time.Duration // after so long without a frame the gateway closes, in whole seconds; 0: never
	Expiry       time.Duration // how long the session outlives its connection, in whole seconds; 0: not at all
	Window       uint16        // how many messages each side may have in flight. 0: none may be sent
	LastID       uint32        // the highest id received from the client; 0: none was
	Token        []byte        // for the next HELLO; empty: the session can't be resumed
}

// AppendWelcome appends a whole WELCOME. Times below or above what a field can say are the nearest that it can. A token of more than 255 bytes is a [*FieldError], and
// dst comes back as it was.
func AppendWelcome(dst []byte, w *Welcome) ([]byte, error) {
	if len(w.Token) > math.MaxUint8 {
		return dst, &FieldError{Format: "WELCOME", Field: "token's length", Value: uint64(len(w.Token)), Max: math.MaxUint8}
	}
	version, status := w.Version, uint8(0)
	if version == 0 {
		version = HelloVersion
	}
	if w.Resumed {
		status = 1
	}
	dst = AppendHeader(dst, CmdWelcome, 0, 1+1+1+2+2+4+2+4+1+len(w.Token))
	dst = append(dst, version, status, byte(w.Capabilities))
	dst = binary.BigEndian.AppendUint16(dst, wholeSeconds16(w.Heartbeat))
	dst = binary.BigEndian.AppendUint16(dst, wholeSeconds16(w.Idle))
	dst = binary.BigEndian.AppendUint32(dst, wholeSeconds32(w.Expiry))
	dst = binary.BigEndian.AppendUint16(dst, w.Window)
	dst = binary.BigEndian.AppendUint32(dst, w.LastID)
	return append(append(dst, byte(len(w.Token))), w.Token...), nil
}

// ParseWelcome reads the payload of a WELCOME, of which Welcome has a sub-slice. It reports false for version 0, for a status that is neither new nor resumed, and where
// the fields do not fill the payload; but a later version than [HelloVersion] may have more behind them.
func ParseWelcome(payload []byte) (Welcome, bool) {
	p := parser{rest: payload}
	version, status := p.u8(), p.u8()
	w := Welcome{
		Version:      version,
		Resumed:      status == 1,
		Capabilities: Capability(p.u8()),
		Heartbeat:    time.Duration(p.u16()) * time.Second,
		Idle:         time.Duration(p.u16()) * time.Second,
		Expiry:       time.Duration(p.u32()) * time.Second,
		Window:       p.u16(),
		LastID:       p.u32(),
	}
	w.Token = p.bytes(int(p.u8()))
	if p.short || version == 0 || status > 1 || version <= HelloVersion && len(p.rest) > 0 {
		return Welcome{}, false
	}
	return w, true
}
