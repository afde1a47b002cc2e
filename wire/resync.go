package wire

import "bytes"

// Resync says how many bytes of b to throw away after a wrong magic, so that
// what is left is empty, has the magic in its place, or is the beginning of
// that. It is 0 only if b is so already, and never for a b whose magic is wrong.
// A format without a magic has nothing to look for: 0.
//
// What it finds may be payload that looks like a magic, or turn out not to be
// one when more has come: the frame there is checked like any other, and may
// need another Resync. So a caller bounds the bytes of a search, and counts the
// search as one reject: into how many calls it falls depends on the pieces.
func (d *Decoder) Resync(b []byte) (n int) {
	t := &d.format.table
	if len(t.magic) == 0 || len(b) <= t.magicAt {
		return 0
	}
	// All bytes before the magic are any: the search is in what comes after.
	b = b[t.magicAt:]
	n = len(b)
	if t.answer == nil || d.from != FromServer {
		n = indexMagic(b, t.magic)
	}
	if t.answer != nil && d.from != FromClient {
		n = min(n, indexMagic(b, t.answer))
	}
	return n
}

// indexMagic is where in b the magic begins, perhaps with its end still to
// come; len(b) if nowhere.
func indexMagic(b, magic []byte) int {
	if i := bytes.Index(b, magic); i >= 0 {
		return i
	}
	// The magic may begin in the last bytes; the longest beginning is the first.
	for n := max(0, len(b)-len(magic)+1); n < len(b); n++ {
		if bytes.HasPrefix(magic, b[n:]) {
			return n
		}
	}
	return len(b)
}
