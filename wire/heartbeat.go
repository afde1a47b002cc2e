package wire

import (
	"bytes"
	"fmt"
	"slices"
)

// Heartbeat is how the peers of a protocol learn that the other one lives.
type Heartbeat struct {
	// Ping is which frames are a ping, by fields, by the magic's direction or
	// by a payload. A ping must be one that can be written from that, so Any
	// and Commands say too little.
	Ping Match

	// Pong is what answers a ping. nil: the ping comes back as it is, with the
	// magic of an answer where the format has one.
	Pong *Reply
}

// Reply is a frame that answers another. It is either a Frame given whole or
// put together: the version of the ping, its Cmd and Flag unless others are
// given, the magic of an answer, and no payload unless it is echoed. The id of
// the ping comes back in both, and length and checksum are always right.
type Reply struct {
	Frame []byte // nil: put together

	Cmd, Flag   *uint32 // nil: the ping's
	EchoPayload bool

	// Echo are bytes of the ping that come back in the same place: in the
	// header, or anywhere in a Frame given.
	Echo []Range
}

// IsPing reports whether a frame is a ping, which [Format.AppendPong] answers.
// A format without a heartbeat has none.
func (f *Format) IsPing(frame *Frame) bool { return f.ping.matches(&f.table, frame) }

// IsPong reports whether a frame answers a ping. Of a format whose pong is the
// ping itself every ping is: whoever has asked takes it for the answer, and
// does not answer it in turn.
func (f *Format) IsPong(frame *Frame) bool { return f.pong.matches(&f.table, frame) }

// AppendPong appends the frame that answers a ping. ping is one that a decoder
// of the format has read and [Format.IsPing] is true of; it is not kept.
func (f *Format) AppendPong(dst []byte, ping *Frame) []byte {
	start := len(dst)
	reply := f.declared.Heartbeat.Pong
	switch {
	case reply == nil:
		dst = append(dst, ping.Raw...)
		copy(dst[start+f.magicAt:], f.magicFrom(FromServer))
		f.seal(dst[start:])
		return dst
	case reply.Frame != nil:
		dst = append(dst, reply.Frame...)
	default:
		cmd, flag, payload := ping.Cmd, ping.Flag, []byte(nil)
		if reply.Cmd != nil {
			cmd = *reply.Cmd
		}
		if reply.Flag != nil {
			flag = *reply.Flag
		}
		if reply.EchoPayload {
			payload = ping.Payload
		}
		dst = f.put(dst, FromServer, ping.Version, cmd, flag, f.pad(payload))
	}

	frame := dst[start:]
	for _, r := range reply.Echo {
		copy(frame[r.From:r.To], ping.Raw[min(r.From, len(ping.Raw)):])
	}
	if id, ok := f.ID(ping); ok && f.hasID(frame) {
		f.id.store(frame, id)
	}
	f.seal(frame)
	return dst
}

// AppendPing appends a ping: the frame that Layout.Heartbeat.Ping describes,
// with 0 where it leaves bits open, of the format's own version. payload is
// carried where the ping's is not fixed: of a format whose pong echoes it, the
// sender finds it there again. It is an error if the format has no heartbeat,
// or a [*FieldError] if the payload does not fit.
func (f *Format) AppendPing(dst, payload []byte) ([]byte, error) {
	ping := &f.declared.Heartbeat.Ping
	if !f.ping.given {
		return dst, fmt.Errorf("format %s has no heartbeat", f.name)
	}
	if ping.Payload != nil {
		payload = ping.Payload
	}
	version := ping.Version.value()
	if ping.Version == nil && len(f.versions) > 0 {
		version = f.versions[0]
	}
	from := FromClient
	if ping.From == FromServer {
		from = FromServer
	}
	return f.AppendFrom(dst, from, version, ping.Cmd.value(), ping.Flag.value(), f.pad(payload))
}

// pad makes a payload as long as the shortest that a frame can have.
func (f *Format) pad(payload []byte) []byte {
	if short := f.minPayload() - len(payload); short > 0 {
		return append(slices.Clip(payload), make([]byte, short)...)
	}
	return payload
}

func (h Heartbeat) clone() Heartbeat {
	h.Ping = h.Ping.clone()
	if h.Pong != nil {
		r := *h.Pong
		r.Frame = bytes.Clone(r.Frame)
		r.Echo = slices.Clone(r.Echo)
		for _, v := range []**uint32{&r.Cmd, &r.Flag} {
			if *v != nil {
				*v = new(**v)
			}
		}
		h.Pong = &r
	}
	return h
}
