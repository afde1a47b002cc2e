package wire

import (
	"fmt"
	"slices"
)

// Format says how the frames of a protocol lie in a stream. It is immutable
// and safe for use by any number of goroutines.
type Format struct {
	name       string
	straight   bool // the decoder's straight path knows this format by heart
	version    uint32
	headerLen  int
	maxPayload int
	layout     layout
}

// GOPR is the built-in format "gopr": version 1 of the GOPR protocol.
var GOPR = &Format{
	name:       "gopr",
	straight:   true,
	version:    Version,
	headerLen:  HeaderLen,
	maxPayload: MaxPayload,
	layout: layout{
		magic:   []byte("GOPR"),
		version: field{OffsetVersion, 2},
		length:  field{OffsetLength, 2},
		cmd:     field{OffsetCmd, 1},
		flag:    field{OffsetFlag, 1},
	},
}

// Lookup finds a built-in format by the name it has in the configuration.
func Lookup(name string) (*Format, bool) {
	if name == GOPR.name {
		return GOPR, true
	}
	return nil, false
}

// Name is the name of the format in the configuration, such as "gopr".
func (f *Format) Name() string { return f.name }

// HeaderLen is how many bytes come before the payload. With so many bytes of
// a frame there, its size is known.
func (f *Format) HeaderLen() int { return f.headerLen }

// MaxPayload is the most that the length field can say, in bytes.
func (f *Format) MaxPayload() int { return f.maxPayload }

// Append appends a whole frame. It copies payload, and allocates only if dst
// has no room. A value that does not fit its field is a [*FieldError], and dst
// comes back as it was. For GOPR, [AppendFrame] does the same faster.
func (f *Format) Append(dst []byte, version, cmd, flag uint32, payload []byte) ([]byte, error) {
	l := &f.layout
	for _, v := range [...]struct {
		name  string
		field field
		value uint64
	}{
		{"version", l.version, uint64(version)},
		{"length", l.length, uint64(len(payload))},
		{"cmd", l.cmd, uint64(cmd)},
		{"flag", l.flag, uint64(flag)},
	} {
		if v.value > v.field.max() {
			return dst, &FieldError{Format: f.name, Field: v.name, Value: v.value, Max: v.field.max()}
		}
	}

	dst = slices.Grow(dst, f.headerLen+len(payload))
	header := dst[len(dst) : len(dst)+f.headerLen]
	copy(header, l.magic)
	l.version.store(header, version)
	l.length.store(header, uint32(len(payload)))
	l.cmd.store(header, cmd)
	l.flag.store(header, flag)
	return append(dst[:len(dst)+f.headerLen], payload...), nil
}

// FieldError is a value that does not fit its field of the header.
type FieldError struct {
	Format string // the format's name
	Field  string // version, length, cmd or flag
	Value  uint64
	Max    uint64 // the greatest value that fits
}

func (e *FieldError) Error() string {
	return fmt.Sprintf("%s %d does not fit a %s frame: at most %d", e.Field, e.Value, e.Format, e.Max)
}
