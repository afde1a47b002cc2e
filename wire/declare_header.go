package wire

import "fmt"

// declareHeader settles where the header ends and that nothing in it overlaps.
func (f *Format) declareHeader(l *Layout) error {
	claims := f.claims(l)
	for _, c := range claims {
		if c.offset < 0 || c.offset > maxHeader {
			return fmt.Errorf("%s at byte %d: want 0 to %d, counted from the start of the frame", c.name, c.offset, maxHeader)
		}
		f.headerLen = max(f.headerLen, c.offset+c.size)
	}
	if s := l.InitialBytesToStrip; s < 0 || s > maxHeader {
		return fmt.Errorf("initial_bytes_to_strip %d: want 0 to %d", s, maxHeader)
	}
	f.headerLen = max(f.headerLen, l.InitialBytesToStrip)
	if l.Header != 0 {
		if l.Header < 0 || l.Header > maxHeader {
			return fmt.Errorf("header of %d bytes: want 1 to %d", l.Header, maxHeader)
		}
		for _, c := range claims {
			if c.offset+c.size > l.Header {
				return fmt.Errorf("%v does not lie in the header of %d bytes", c, l.Header)
			}
		}
		if l.InitialBytesToStrip > l.Header {
			return fmt.Errorf("initial_bytes_to_strip %d is more than the header of %d bytes", l.InitialBytesToStrip, l.Header)
		}
		f.headerLen = l.Header
	}
	f.payloadAt = f.headerLen
	if l.InitialBytesToStrip > 0 {
		f.payloadAt = l.InitialBytesToStrip
	}

	if id := f.idClaim(); id.size > 0 {
		switch {
		case id.offset < 0 || id.offset > maxHeader:
			return fmt.Errorf("id at byte %d: want 0 to %d, counted from the start of the frame", id.offset, maxHeader)
		case id.offset < f.headerLen && id.offset+id.size > f.headerLen:
			return fmt.Errorf("%v lies half in the header of %d bytes and half in the payload", id, f.headerLen)
		}
		claims = append(claims, id)
	}
	return overlap(claims)
}

// claim is what a part of the header takes of it.
type claim struct {
	name         string
	offset, size int
	bits         []byte // of each byte; nil: all
}

// String is the part and its place, for the reader of an error.
func (c claim) String() string {
	return fmt.Sprintf("%s (%s)", c.name, place(c.offset, c.size))
}

// claims lists the parts of the header that are declared, but for the id, which
// may lie behind it.
func (f *Format) claims(l *Layout) []claim {
	all := []claim{{name: "magic", offset: f.magicAt, size: len(f.magic)}}
	for _, fd := range []struct {
		name string
		*field
	}{
		{"version", &f.version},
		{"cmd", &f.cmd},
		{"flag", &f.flag},
		{"length", &f.length},
	} {
		all = append(all, claim{fd.name, fd.offset, fd.size, fd.bits()})
	}
	if c := l.Checksum; !c.Trailer {
		all = append(all, claim{name: "checksum", offset: c.Offset, size: c.Algorithm.Size()})
	}
	declared := all[:0]
	for _, c := range all {
		if c.size > 0 {
			declared = append(declared, c)
		}
	}
	return declared
}

func (f *Format) idClaim() claim {
	return claim{name: "id", offset: f.id.offset, size: f.id.size}
}

// overlap is an error if two parts of the header claim the same bit.
func overlap(claims []claim) error {
	for i, a := range claims {
		for _, b := range claims[:i] {
			from := max(a.offset, b.offset)
			to := min(a.offset+a.size, b.offset+b.size)
			for at := from; at < to; at++ {
				if a.at(at)&b.at(at) != 0 {
					return fmt.Errorf("%v and %v overlap", b, a)
				}
			}
		}
	}
	return nil
}

// at is the bits claimed of a byte of the header.
func (c claim) at(offset int) byte {
	if c.bits == nil {
		return 0xFF
	}
	return c.bits[offset-c.offset]
}
