package wire

import (
	"fmt"
	"slices"
)

// Format says how the frames of a protocol lie in a stream. It is immutable
// and safe for use by any number of goroutines. [NewFormat] makes one of a
// declaration; [GOPR] and others are built in.
type Format struct {
	name     string
	path     path
	declared Layout
	table
}

// path is how a decoder reads most frames of a format. What it does not accept
// at once goes to the layout path.
type path uint8

const (
	pathLayout   path = iota // no other way than by the layout
	pathStraight             // GOPR, by heart
	pathCompiled             // any declared format
)

// Name is the name of the format in the configuration, such as "gopr".
func (f *Format) Name() string { return f.name }

// HeaderLen is the size of the header in bytes. With so many bytes of a frame
// there, its size is known, and the header's fields are.
func (f *Format) HeaderLen() int { return f.headerLen }

// MaxPayload is the longest payload that a frame can have, in bytes: what the
// length field can say, or what fits the format's longest frame.
func (f *Format) MaxPayload() int { return f.maxPayload() }

// Append appends a whole frame, as a client sends it. It copies payload, and
// allocates only if dst has no room. A value that does not fit its field is a
// [*FieldError], and dst comes back as it was. For GOPR, [AppendFrame] does the
// same faster.
//
// A field that lies in the payload is written over it. Bytes of the header that
// no field has are 0.
func (f *Format) Append(dst []byte, version, cmd, flag uint32, payload []byte) ([]byte, error) {
	return f.AppendFrom(dst, FromClient, version, cmd, flag, payload)
}

// AppendFrom is Append for frames of either direction, which matters to formats
// whose magic says it.
func (f *Format) AppendFrom(dst []byte, from Direction, version, cmd, flag uint32, payload []byte) ([]byte, error) {
	if f.path == pathStraight && version == Version && cmd|flag <= 0xFF && len(payload) <= MaxPayload {
		return AppendFrame(dst, uint8(cmd), uint8(flag), payload), nil
	}
	switch {
	case !f.version.fits(uint64(version)):
		return dst, f.misfit("version", uint64(version), f.version.max())
	case !f.cmd.fits(uint64(cmd)):
		return dst, f.misfit("cmd", uint64(cmd), f.cmd.max())
	case !f.flag.fits(uint64(flag)):
		return dst, f.misfit("flag", uint64(flag), f.flag.max())
	}
	if err := f.checkPayload(payload); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = f.put(dst, from, version, cmd, flag, payload)
	f.seal(dst[start:])
	return dst, nil
}

// checkPayload is an error if no frame can have the payload.
func (f *Format) checkPayload(payload []byte) error {
	if len(payload) > f.maxPayload() {
		return f.misfit("length", uint64(len(payload)), uint64(f.maxPayload()))
	}
	if least := f.minPayload(); len(payload) < least {
		return &FieldError{
			Format: f.name, Field: "length", Value: uint64(len(payload)),
			Min: uint64(least), Max: uint64(f.maxPayload()),
		}
	}
	return nil
}

// put appends a frame but for its checksum. The values fit their fields.
func (f *Format) put(dst []byte, from Direction, version, cmd, flag uint32, payload []byte) []byte {
	start, size := len(dst), f.payloadAt+len(payload)+f.tailLen
	dst = slices.Grow(dst, size)[:start+size]
	frame := dst[start:]
	clear(frame[:f.payloadAt])
	copy(frame[f.payloadAt:], payload)
	clear(frame[size-f.tailLen:])
	copy(frame[size-len(f.trailer):], f.trailer)

	copy(frame[f.magicAt:], f.magicFrom(from))
	f.version.store(frame, uint64(version))
	f.length.store(frame, uint64(size-f.base))
	f.cmd.store(frame, uint64(cmd))
	f.flag.store(frame, uint64(flag))
	return dst
}

func (f *Format) misfit(field string, value, most uint64) error {
	return &FieldError{Format: f.name, Field: field, Value: value, Max: most}
}

// FieldError is a value that does not fit its field of the header.
type FieldError struct {
	Format string // the format's name
	Field  string // version, length (of the payload), cmd, flag or id
	Value  uint64
	Max    uint64 // the greatest value that fits
	Min    uint64 // the least, which is not 0 where a field lies in the payload
}

func (e *FieldError) Error() string {
	if e.Value < e.Min {
		return fmt.Sprintf("%s %d does not fit a %s frame: at least %d", e.Field, e.Value, e.Format, e.Min)
	}
	return fmt.Sprintf("%s %d does not fit a %s frame: at most %d", e.Field, e.Value, e.Format, e.Max)
}
