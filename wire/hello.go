package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// HelloVersion is the version of HELLO and WELCOME that this package writes.
const HelloVersion = 1

// Capability is what a client asks for in HELLO, and a gateway grants in WELCOME; bits.
type Capability uint8

const (
	CapQoS    Capability = 0x01 // frames of QoS 1 and 2
	CapCRC    Capability = 0x02 // frames with a CRC
	CapResume Capability = 0x04 // the session outlives the connection
	CapPong   Capability = 0x08 // the client answers the gateway's PINGs
)

// Hello is what a client says first on a connection that it wants extended. Its byte slices are no copies.
type Hello struct {
	Version      uint8      // of HELLO; [AppendHello] writes [HelloVersion] for 0
	Capabilities Capability // that it asks for. Bits without a meaning are not granted
	// Expiry is how long the session is to outlive its connection, in whole seconds: 0 not at all, the most some 136 years. The gateway may grant less.
	Expiry     time.Duration
	ClientID   []byte // 1 to 255 bytes of any kind
	Token      []byte // of the session that it wants back; empty: it wants a new one
	Credential []byte // for the gateway's authenticator; empty: none
}

// AppendHello appends a whole HELLO. What does not fit is a [*FieldError], and dst comes back as it was.
func AppendHello(dst []byte, h *Hello) ([]byte, error) {
	size := 1 + 1 + 4 + 1 + len(h.ClientID) + 1 + len(h.Token) + 2 + len(h.Credential)
	switch {
	case len(h.ClientID) == 0 || len(h.ClientID) > math.MaxUint8:
		return dst, &FieldError{Format: "HELLO", Field: "client id's length", Value: uint64(len(h.ClientID)), Min: 1, Max: math.MaxUint8}
	case len(h.Token) > math.MaxUint8:
		return dst, &FieldError{Format: "HELLO", Field: "token's length", Value: uint64(len(h.Token)), Max: math.MaxUint8}
	case size > MaxPayload:
		return dst, &FieldError{Format: "HELLO", Field: "credential's length", Value: uint64(len(h.Credential)), Max: uint64(MaxPayload - size + len(h.Credential))}
	}
	version := h.Version
	if version == 0 {
		version = HelloVersion
	}
	dst = AppendHeader(dst, CmdHello, 0, size)
	dst = append(dst, version, byte(h.Capabilities))
	dst = binary.BigEndian.AppendUint32(dst, wholeSeconds32(h.Expiry))
	dst = append(append(dst, byte(len(h.ClientID))), h.ClientID...)
	dst = append(append(dst, byte(len(h.Token))), h.Token...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Credential)))
	return append(dst, h.Credential...), nil
}

// ParseHello reads the payload of a HELLO, of which Hello has sub-slices. It reports false for version 0, for an empty client id, and where the fields do not fill the
// payload; but a later version than [HelloVersion] may have more behind them.
func ParseHello(payload []byte) (Hello, bool) {
	p := parser{rest: payload}
	h := Hello{Version: p.u8(), Capabilities: Capability(p.u8()), Expiry: time.Duration(p.u32()) * time.Second}
	h.ClientID = p.bytes(int(p.u8()))
	h.Token = p.bytes(int(p.u8()))
	h.Credential = p.bytes(int(p.u16()))
	if p.short || h.Version == 0 || len(h.ClientID) == 0 || h.Version <= HelloVersion && len(p.rest) > 0 {
		return Hello{}, false
	}
	return h, true
}

// parser takes fields off a payload. Past its end it has zeros, and is short.
type parser struct {
	rest  []byte
	short bool
}

func (p *parser) bytes(n int) []byte {
	if len(p.rest) < n {
		p.short, p.rest = true, nil
		return nil
	}
	b := p.rest[:n:n]
	p.rest = p.rest[n:]
	return b
}

func (p *parser) number(size int) (n uint32) {
	for _, b := range p.bytes(size) {
		n = n<<8 | uint32(b)
	}
	return n
}

func (p *parser) u8() uint8   { return uint8(p.number(1)) }
func (p *parser) u16() uint16 { return uint16(p.number(2)) }
func (p *parser) u32() uint32 { return p.number(4) }

// wholeSeconds32 and wholeSeconds16 are the nearest that a field can say, and never 0 for what is more.
func wholeSeconds32(d time.Duration) uint32 { return uint32(wholeSeconds(d, math.MaxUint32)) }
func wholeSeconds16(d time.Duration) uint16 { return uint16(wholeSeconds(d, math.MaxUint16)) }

func wholeSeconds(d time.Duration, most int64) int64 {
	if 0 < d && d < time.Second {
		return 1
	}
	return min(max(int64(d/time.Second), 0), most)
}
