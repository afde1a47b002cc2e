package wire

import "fmt"

// field is a [Field] compiled: an unsigned integer in the header.
type field struct {
	offset int
	size   int // bytes, 0 to 8; of size 0 is a field that the format has not
	little bool
	mask   uint64 // the bits of the integer that are the field
	shift  uint8
}

// newField fills in the mask.
func newField(f Field, order ByteOrder) field {
	fd := field{offset: f.Offset, size: f.Size, little: order == LittleEndian, shift: uint8(f.Shift)}
	fd.mask = fd.all()
	if f.Mask != 0 {
		fd.mask = uint64(f.Mask)
	}
	return fd
}

// end is how many bytes of a frame must be there for the field to be read.
func (fd *field) end() int { return fd.offset + fd.size }

// all is every bit of the integer: none for a field that is not there.
func (fd *field) all() uint64 { return 1<<(8*fd.size) - 1 }

// max is the greatest value the field can hold: 0 for a field that is not there.
func (fd *field) max() uint64 { return fd.mask >> fd.shift }

// fits reports whether the field can hold v.
func (fd *field) fits(v uint64) bool { return v&^fd.max() == 0 }

// load reads the field out of a header; a field that is not there is 0.
func (fd *field) load(header []byte) uint64 {
	return fd.loadAll(header) & fd.mask >> (fd.shift & 63)
}

// loadAll reads the whole integer, with the bits that are not the field's.
func (fd *field) loadAll(header []byte) uint64 {
	b := header[fd.offset:fd.end()]
	if fd.little {
		return loadLittle(b)
	}
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(b[0])<<8 | uint64(b[1])
	}
	var v uint64
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

func loadLittle(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

// store writes the field into a header, and leaves the bits beside it. v fits.
func (fd *field) store(header []byte, v uint64) {
	v <<= fd.shift
	if rest := fd.all() &^ fd.mask; rest != 0 {
		v |= fd.loadAll(header) & rest
	}
	b := header[fd.offset:fd.end()]
	for i := range b {
		if fd.little {
			b[i] = byte(v >> (8 * i))
		} else {
			b[len(b)-1-i] = byte(v >> (8 * i))
		}
	}
}

// bits is the bits of the field in each of its bytes, in the order in which
// they lie in the frame.
func (fd *field) bits() []byte {
	b := make([]byte, fd.size)
	whole := field{size: fd.size, little: fd.little, mask: fd.all()}
	whole.store(b, fd.mask)
	return b
}

// place is where some bytes lie, for the reader of an error: "byte 4" or
// "bytes 5 to 8".
func place(offset, size int) string {
	if size == 1 {
		return fmt.Sprintf("byte %d", offset)
	}
	return fmt.Sprintf("bytes %d to %d", offset, offset+size-1)
}
