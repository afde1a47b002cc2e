package wire

import (
	"encoding/binary"
	"slices"
)

// Frame is one frame as it lies in a piece of the stream. Raw and Payload are
// sub-slices of the slice given to the decoder: never copied, valid as long as
// that one is, and without room to append into what follows.
type Frame struct {
	Version uint32
	Cmd     uint32
	Flag    uint32
	Raw     []byte // header, payload, and trailer where the format has one
	Payload []byte
}

// Decoder cuts a stream into frames under one set of rules. It holds no bytes
// and no state: one may serve any number of connections at once.
// [Format.NewDecoder] makes one.
type Decoder struct {
	// What the straight path reads, together.
	path       path
	lead       uint64 // magic and first accepted version: a header's first six bytes
	maxPayload int
	low        lowCommands

	compiled compiled // what the compiled path reads

	format    *Format
	from      Direction
	versions  []uint32    // empty: all
	commands  *CommandSet // nil: all
	maxFrame  int
	maxLength uint64 // what the length field of the longest frame says
}

// MaxFrame is the size of the longest frame accepted, in bytes: a buffer of
// this size holds any frame that [Decoder.Next] can wait for.
func (d *Decoder) MaxFrame() int { return d.maxFrame }

// Next reads the first frame of b into f. n is the frame's size, len(f.Raw).
// It is 0 without an error while b holds no whole frame yet, and not even a
// wrong one: the caller keeps b and comes back with more behind it.
//
// The error is always a [*RejectError], and but for a checksum or a trailer is
// given before the payload is there: the magic is refused at its first wrong
// byte, the version and the length once the length has come, the command with
// its last byte. f is written only if n is not 0. Next allocates nothing unless
// it rejects.
func (d *Decoder) Next(b []byte, f *Frame) (n int, err error) {
	if d.path == pathStraight && len(b) >= HeaderLen {
		lead := binary.BigEndian.Uint64(b) // magic, version, length
		length := int(lead & 0xFFFF)
		if d.accepts(lead) && length <= d.maxPayload && d.low.contains(b[OffsetCmd]) {
			n = HeaderLen + length
			if len(b) < n {
				return 0, nil
			}
			f.Version = uint32(lead >> 16 & 0xFFFF)
			f.Cmd = uint32(b[OffsetCmd])
			f.Flag = uint32(b[OffsetFlag])
			f.Raw = b[:n:n]
			f.Payload = b[HeaderLen:n:n]
			return n, nil
		}
	}
	if c := &d.compiled; d.path == pathCompiled && len(b) >= c.need {
		first, second := c.words(b)
		length, cmd := c.length.of(first, second), c.cmd.of(first, second)
		if c.accepts(first, length, cmd) {
			n = c.base + int(length)
			if len(b) < n {
				return 0, nil
			}
			version, flag := c.version.of(first, second), c.flag.of(first, second)
			if c.verify {
				return d.verified(b[:n:n], f, version, cmd, flag)
			}
			f.Version = uint32(version)
			f.Cmd = uint32(cmd)
			f.Flag = uint32(flag)
			f.Raw = b[:n:n]
			f.Payload = b[c.payloadAt:n:n]
			return n, nil
		}
	}
	return d.nextByLayout(b, f)
}

// accepts is the straight path's check of magic and version, which lead has in
// its upper six bytes. All but a peer of a second accepted version end at the
// first comparison.
func (d *Decoder) accepts(lead uint64) bool {
	return lead>>16 == d.lead ||
		lead>>32 == Magic && slices.Contains(d.versions, uint32(lead>>16&0xFFFF))
}

// nextByLayout is Next for any format and any b.
func (d *Decoder) nextByLayout(b []byte, f *Frame) (int, error) {
	var h Frame
	size, err := d.Header(b, &h)
	if err != nil || size == 0 || len(b) < size {
		return 0, err
	}
	h.Raw = b[:size:size]
	if reject := d.format.verify(h.Raw); reject != nil {
		return 0, reject
	}
	h.Payload = d.format.payload(h.Raw)
	*f = h
	return size, nil
}

// Header is the first half of [Decoder.Next]: it reads and checks the header
// alone, with the same verdict. size is that of the whole frame, of which b
// may hold less; 0 without an error: not enough bytes to decide. Where size is
// not 0, f has the header's fields, and Raw and Payload are nil.
//
// It works by the layout, whatever the format, and is the one place that knows
// the order of the checks. Each waits for the bytes that decide it and all that
// its reject reports, and none is made before those above it: so the verdict is
// the same wherever b ends.
func (d *Decoder) Header(b []byte, f *Frame) (size int, err error) {
	t := &d.format.table
	if whole, reject := d.checkMagic(b); reject != nil {
		return 0, reject
	} else if !whole {
		return 0, nil
	}

	// A reject of the version says where the next frame begins.
	if len(b) < t.length.end() || len(b) < t.version.end() {
		return 0, nil
	}
	length := t.length.load(b)
	if t.minLength <= length && length <= t.maxLength {
		size = t.frameSize(length)
	}
	version := uint32(t.version.load(b))
	if len(d.versions) > 0 && !slices.Contains(d.versions, version) {
		return 0, &RejectError{
			Reason: ReasonVersion, Offset: t.version.offset,
			Got: uint64(version), Want: uint64(d.versions[0]), Skip: size,
		}
	}
	if length < t.minLength || length > d.maxLength {
		return 0, d.rejectLength(length)
	}

	if len(b) < t.cmd.end() {
		return 0, nil
	}
	cmd := uint32(t.cmd.load(b))
	if !d.commands.Contains(cmd) {
		return 0, &RejectError{Reason: ReasonCommand, Offset: t.cmd.offset, Got: uint64(cmd), Skip: size}
	}

	if len(b) < t.headerLen {
		return 0, nil
	}
	*f = Frame{Version: version, Cmd: cmd, Flag: uint32(t.flag.load(b))}
	return size, nil
}

// checkMagic reports whether b has all of a magic that is accepted.
func (d *Decoder) checkMagic(b []byte) (whole bool, reject *RejectError) {
	t := &d.format.table
	client := t.answer == nil || d.from != FromServer
	server := t.answer != nil && d.from != FromClient
	if end := t.magicAt + len(t.magic); client && len(b) >= end && string(b[t.magicAt:end]) == string(t.magic) {
		return true, nil
	}
	for i := range t.magic {
		at := t.magicAt + i
		if at >= len(b) {
			return false, nil
		}
		want := t.magic[i]
		if !client {
			want = t.answer[i]
		}
		client = client && b[at] == t.magic[i]
		server = server && b[at] == t.answer[i]
		if !client && !server {
			return false, &RejectError{Reason: ReasonMagic, Offset: at, Got: uint64(b[at]), Want: uint64(want)}
		}
	}
	return true, nil
}

// rejectLength is the reject of a length out of bounds. Where it ends is told
// only of a frame that is too long and that the format discards, if its end can
// be said at all.
func (d *Decoder) rejectLength(length uint64) *RejectError {
	t := &d.format.table
	r := &RejectError{Reason: ReasonLength, Offset: t.length.offset, Got: length, Want: d.maxLength}
	switch {
	case length < t.minLength:
		r.Want = t.minLength
	case t.discardTooLong && length < maxSkip:
		r.Skip = t.frameSize(length)
	}
	return r
}

// maxSkip bounds what a receiver is told to discard: above it a length is
// noise, and its sum with an offset might not fit an int.
const maxSkip = 1<<31 - 1<<20
