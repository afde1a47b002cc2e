package main

import "encoding/binary"

// A message is what the checker counts: the number-th of a device in one direction. It is the whole meaning of an application frame's payload; the rest is padding.
type message struct {
	device uint32
	down   bool // from the backend to the device
	qos    uint8
	number uint32 // from 1, per device and direction
}

// messageLen is the shortest payload that holds a message.
const messageLen = 10

// append appends the payload, padded to size bytes.
func (m message) append(dst []byte, size int) []byte {
	from := len(dst)
	dst = binary.BigEndian.AppendUint32(dst, m.device)
	var down uint8
	if m.down {
		down = 1
	}
	dst = append(dst, down, m.qos)
	dst = binary.BigEndian.AppendUint32(dst, m.number)
	for len(dst)-from < size {
		dst = append(dst, byte(len(dst)))
	}
	return dst
}

// parseMessage reads a payload. It reports false for one that no program of this kind has made.
func parseMessage(b []byte) (m message, ok bool) {
	if len(b) < messageLen || b[4] > 1 || b[5] > 2 {
		return m, false
	}
	return message{
		device: binary.BigEndian.Uint32(b),
		down:   b[4] == 1,
		qos:    b[5],
		number: binary.BigEndian.Uint32(b[6:]),
	}, true
}
