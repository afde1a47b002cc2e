package wire

import "bytes"

// Resync says how many bytes of b to throw away after a wrong magic, so that
// what is left is empty, begins with the magic, or is the beginning of one. It
// is 0 only if b is so already, and never for a b whose first bytes are wrong.
//
// What it finds may be payload that looks like a magic, or turn out not to be
// one when more has come: the frame there is checked like any other, and may
// need another Resync. So a caller bounds the bytes of a search, and counts the
// search as one reject: into how many calls it falls depends on the pieces.
func (d *Decoder) Resync(b []byte) (n int) {
	magic := d.format.layout.magic
	if i := bytes.Index(b, magic); i >= 0 {
		return i
	}
	// The magic may begin in the last bytes; the longest beginning is the first.
	for n = max(0, len(b)-len(magic)+1); n < len(b); n++ {
		if bytes.HasPrefix(magic, b[n:]) {
			return n
		}
	}
	return len(b)
}
