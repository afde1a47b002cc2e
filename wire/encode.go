package wire

import "slices"

// AppendHeader appends the header of a GOPR frame whose payload of payloadLen
// bytes the caller appends next.
//
// It panics if payloadLen is negative or over [MaxPayload]: no header can say
// it, and a wrapped length would make the peer read payload as frames. Check
// first where the length is not one's own, or use [Format.Append], which
// returns an error.
func AppendHeader(dst []byte, cmd, flag uint8, payloadLen int) []byte {
	if uint(payloadLen) > MaxPayload {
		panic("wire: payload does not fit a GOPR frame")
	}
	return append(dst,
		Magic>>24, Magic>>16&0xFF, Magic>>8&0xFF, Magic&0xFF,
		Version>>8, Version&0xFF,
		byte(payloadLen>>8), byte(payloadLen),
		cmd, flag)
}

// AppendFrame appends a whole GOPR frame. It copies payload, and allocates
// only if dst has no room for HeaderLen+len(payload) bytes more. Like
// [AppendHeader] it panics if payload is longer than [MaxPayload].
func AppendFrame(dst []byte, cmd, flag uint8, payload []byte) []byte {
	dst = slices.Grow(dst, HeaderLen+len(payload))
	dst = AppendHeader(dst, cmd, flag, len(payload))
	return append(dst, payload...)
}
