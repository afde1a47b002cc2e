package wire

import "encoding/binary"

// PingLen is the length of a PING's payload that carries a [Ping], in bytes.
const PingLen = 12

// Ping is the payload that a PING may carry: the PONG echoes it, so its sender
// measures the round trip without keeping state. Only the sender reads it.
type Ping struct {
	Seq  uint32
	Time int64 // the sender's own, in nanoseconds since the Unix epoch
}

// AppendPing appends a whole PING frame that carries p.
func AppendPing(dst []byte, p Ping) []byte {
	dst = AppendHeader(dst, CmdPing, FlagReq, PingLen)
	dst = binary.BigEndian.AppendUint32(dst, p.Seq)
	return binary.BigEndian.AppendUint64(dst, uint64(p.Time))
}

// ParsePing reads the payload of a PONG that answers an [AppendPing]. It
// reports false for a payload of any other length than [PingLen]: that one
// answers another kind of PING, such as an empty one.
func ParsePing(payload []byte) (Ping, bool) {
	if len(payload) != PingLen {
		return Ping{}, false
	}
	return Ping{
		Seq:  binary.BigEndian.Uint32(payload),
		Time: int64(binary.BigEndian.Uint64(payload[4:])),
	}, true
}
