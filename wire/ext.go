package wire

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

// What an extended frame's payload has beside the application's own, in bytes.
const (
	idLen  = 4
	crcLen = 4
)

// Ext is an application frame of an extended connection: what its flag and its payload say, read or to be written. Commands below [CmdApp] have none of it.
type Ext struct {
	QoS  uint8 // 0, 1 or 2
	Flag uint8 // what of it is the application's: [FlagReq], [FlagRsp] or neither
	Dup  bool  // it was sent before, and perhaps received
	CRC  bool  // it carries a CRC-32

	// ID is the frame's number in its session and direction; of an answer, the request's. 0: it carries none, which QoS 1 and 2 must.
	ID uint32

	// Payload is the application's own, without id and CRC. [ParseExt] cuts it out of the frame.
	Payload []byte
}

// Overhead is how many bytes of the frame's payload the id and the CRC take: the application's own may be so much shorter than [MaxPayload].
func (e *Ext) Overhead() int {
	n := 0
	if e.ID != 0 {
		n += idLen
	}
	if e.CRC {
		n += crcLen
	}
	return n
}

func (e *Ext) flags() uint8 {
	flag := e.QoS<<qosShift&FlagQoS | e.Flag&(FlagReq|FlagRsp)
	if e.Dup {
		flag |= FlagDup
	}
	if e.ID != 0 {
		flag |= FlagID
	}
	if e.CRC {
		flag |= FlagCRC
	}
	return flag
}

const qosShift = 2

// ParseExt reads an application frame of an extended connection. The error is always a [*RejectError]: ReasonChecksum for a CRC that does not match, which is looked
// at first, or ReasonMalformed, whose Offset is the flag where its bits contradict each other, and else the field that is wrong. It allocates nothing unless it rejects.
func ParseExt(f *Frame) (Ext, error) {
	flag := uint8(f.Flag)
	e := Ext{
		QoS:  flag & FlagQoS >> qosShift,
		Flag: flag & (FlagReq | FlagRsp),
		Dup:  flag&FlagDup != 0,
		CRC:  flag&FlagCRC != 0,
	}
	rest := f.Payload
	if e.CRC {
		if len(rest) < crcLen {
			return Ext{}, malformed(f, OffsetLength)
		}
		rest = rest[: len(rest)-crcLen : len(rest)-crcLen]
		at := len(f.Raw) - crcLen
		got, want := binary.BigEndian.Uint32(f.Raw[at:]), crc32.ChecksumIEEE(f.Raw[:at])
		if got != want {
			return Ext{}, &RejectError{Reason: ReasonChecksum, Offset: at, Got: uint64(got), Want: uint64(want), Skip: len(f.Raw)}
		}
	}
	hasID := flag&FlagID != 0
	switch {
	case flag&FlagReserved != 0,
		e.QoS == 3,
		e.QoS > 0 && !hasID,
		e.Flag == FlagReq|FlagRsp,
		e.QoS > 0 && e.Flag == FlagRsp,
		e.QoS == 0 && e.Dup:
		return Ext{}, malformed(f, OffsetFlag)
	case !hasID:
		e.Payload = rest
		return e, nil
	case len(rest) < idLen:
		return Ext{}, malformed(f, OffsetLength)
	}
	e.ID = binary.BigEndian.Uint32(rest)
	if e.ID == 0 {
		return Ext{}, malformed(f, HeaderLen)
	}
	e.Payload = rest[idLen:]
	return e, nil
}

// malformed rejects a whole frame: the next begins behind it.
func malformed(f *Frame, offset int) *RejectError {
	return &RejectError{Reason: ReasonMalformed, Offset: offset, Skip: len(f.Raw)}
}

// AppendExt appends a whole application frame of an extended connection. It copies the payload, and allocates only if dst has no room. Where the payload does not fit
// beside id and CRC it returns a [*FieldError], which says how long it may be, and dst as it was. The rest of e is the caller's to keep right: what a receiver calls
// malformed is written as it is.
func AppendExt(dst []byte, cmd uint8, e *Ext) ([]byte, error) {
	overhead := e.Overhead()
	if len(e.Payload) > MaxPayload-overhead {
		return dst, GOPR.misfit("length", uint64(len(e.Payload)), uint64(MaxPayload-overhead))
	}
	start := len(dst)
	dst = slices.Grow(dst, HeaderLen+overhead+len(e.Payload))
	dst = AppendHeader(dst, cmd, e.flags(), overhead+len(e.Payload))
	if e.ID != 0 {
		dst = binary.BigEndian.AppendUint32(dst, e.ID)
	}
	dst = append(dst, e.Payload...)
	if e.CRC {
		dst = binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
	}
	return dst, nil
}

// SetDup marks a whole frame of [AppendExt]'s as sent before, and brings its CRC up to date.
func SetDup(raw []byte) {
	flag := raw[OffsetFlag]
	if flag&FlagDup != 0 {
		return
	}
	raw[OffsetFlag] = flag | FlagDup
	if flag&FlagCRC != 0 {
		at := len(raw) - crcLen
		binary.BigEndian.PutUint32(raw[at:], crc32.ChecksumIEEE(raw[:at]))
	}
}
