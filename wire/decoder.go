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
	Raw     []byte // header, payload (and trailer, where the format has one)
	Payload []byte
}

// Decoder cuts a stream into frames under one set of rules. It holds no bytes
// and no state: one may serve any number of connections at once.
// [Format.NewDecoder] makes one.
type Decoder struct {
	// What the straight path reads, together.
	straight   bool
	lead       uint64 // magic and first accepted version: a header's first six bytes
	maxPayload int
	low        lowCommands

	format   *Format
	versions []uint32    // at least one
	commands *CommandSet // nil: all
}

// MaxFrame is the size of the longest frame accepted, in bytes: a buffer of
// this size holds any frame that [Decoder.Next] can wait for.
func (d *Decoder) MaxFrame() int { return d.format.headerLen + d.maxPayload }

// Next reads the first frame of b into f. n is the frame's size, len(f.Raw).
// It is 0 without an error while b holds no whole frame yet, and not even a
// wrong one: the caller keeps b and comes back with more behind it.
//
// The error is always a [*RejectError], and is given before the payload is
// there: the magic is refused at its first wrong byte, the version and the
// length once the length has come, the command with its byte. f is written only
// if n is not 0. Next allocates nothing unless it rejects.
func (d *Decoder) Next(b []byte, f *Frame) (n int, err error) {
	if d.straight && len(b) >= HeaderLen {
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
	h.Payload = b[d.format.headerLen:size:size]
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
	l := &d.format.layout
	for i, want := range l.magic {
		if i == len(b) {
			return 0, nil
		}
		if b[i] != want {
			return 0, &RejectError{Reason: ReasonMagic, Offset: i, Got: uint64(b[i]), Want: uint64(want)}
		}
	}

	// A reject of the version says where the next frame begins.
	if len(b) < l.length.end() || len(b) < l.version.end() {
		return 0, nil
	}
	length := int(l.length.load(b))
	size = d.format.headerLen + length
	version := l.version.load(b)
	if !slices.Contains(d.versions, version) {
		return 0, &RejectError{
			Reason: ReasonVersion, Offset: l.version.offset,
			Got: uint64(version), Want: uint64(d.versions[0]), Skip: size,
		}
	}
	if length > d.maxPayload {
		return 0, &RejectError{
			Reason: ReasonLength, Offset: l.length.offset,
			Got: uint64(length), Want: uint64(d.maxPayload),
		}
	}

	if len(b) < l.cmd.end() {
		return 0, nil
	}
	cmd := l.cmd.load(b)
	if !d.commands.Contains(cmd) {
		return 0, &RejectError{Reason: ReasonCommand, Offset: l.cmd.offset, Got: uint64(cmd), Skip: size}
	}

	if len(b) < d.format.headerLen {
		return 0, nil
	}
	*f = Frame{Version: version, Cmd: cmd, Flag: l.flag.load(b)}
	return size, nil
}
