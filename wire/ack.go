package wire

import "encoding/binary"

// AckLen is the length of the payload of a PUBACK, PUBREC, PUBREL or PUBCOMP, in bytes.
const AckLen = 4

// AppendAck appends a whole frame of the command given: [CmdPubAck], [CmdPubRec], [CmdPubRel] or [CmdPubComp].
func AppendAck(dst []byte, cmd uint8, id uint32) []byte {
	dst = AppendHeader(dst, cmd, 0, AckLen)
	return binary.BigEndian.AppendUint32(dst, id)
}

// ParseAck reads the payload of such a frame. It reports false for one of any other length than [AckLen], and for the id 0, which nothing has.
func ParseAck(payload []byte) (id uint32, ok bool) {
	if len(payload) != AckLen {
		return 0, false
	}
	id = binary.BigEndian.Uint32(payload)
	return id, id != 0
}
