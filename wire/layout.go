package wire

// layout is a format's header as a table. The layout path of the decoder,
// [Format.Append] and [Decoder.Resync] walk it.
type layout struct {
	magic                      []byte // at offset 0
	version, length, cmd, flag field
}

// field is an unsigned big-endian integer in the header.
type field struct {
	offset int
	size   int // bytes, 0 to 4; of size 0 is a field that the format has not
}

// end is how many bytes of a frame must be there for the field to be read.
func (fd field) end() int { return fd.offset + fd.size }

// max is the greatest value the field can hold: 0 for a field that is not there.
func (fd field) max() uint64 { return 1<<(8*fd.size) - 1 }

// load reads the field out of a header; a field that is not there is 0.
func (fd field) load(header []byte) uint32 {
	var v uint32
	for _, c := range header[fd.offset:fd.end()] {
		v = v<<8 | uint32(c)
	}
	return v
}

// store writes the field into a header. v is at most max.
func (fd field) store(header []byte, v uint32) {
	for i := fd.end() - 1; i >= fd.offset; i-- {
		header[i] = byte(v)
		v >>= 8
	}
}
