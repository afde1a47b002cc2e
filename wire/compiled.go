package wire

import "encoding/binary"

// compiled is a format's header under one set of rules, as the fewest loads and
// compares: all its fields are bits of two words of eight bytes that lie within
// the header, and magic and version are compared at once. It does nothing but
// accept; all else goes by the layout.
type compiled struct {
	need   int // with fewer bytes there, a word would reach beyond them
	second int // where the second word begins; the first begins the frame
	little bool

	// The bits of magic and version in the first word, and the two values of
	// them that are accepted at once. More go by the layout.
	leadMask uint64
	leads    [2]uint64

	version, length, cmd, flag part

	minLength uint64
	lengths   uint64 // how far above minLength a length may be
	base      int
	payloadAt int
	tailLen   int

	verify bool // there is a checksum or a trailer

	// A command is accepted at once whose lowest byte is in low: of an
	// allow-list only those that are in it are not over maxCmd.
	low    lowCommands
	maxCmd uint64
}

// part is a field as some bits of one of the words.
type part struct {
	mask   uint64
	shift  uint8
	second bool
}

func (p *part) of(first, second uint64) uint64 {
	if p.second {
		first = second
	}
	return first >> (p.shift & 63) & p.mask
}

// nextCompiled is [Decoder.Next] for a compiled format.
func (d *Decoder) nextCompiled(b []byte, f *Frame) (int, error) {
	c := &d.compiled
	if len(b) < 8 || len(b) < c.need {
		return d.nextByLayout(b, f)
	}
	var first, second uint64
	if c.little {
		first, second = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[c.second:])
	} else {
		first, second = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[c.second:])
	}
	length, cmd := c.length.of(first, second), c.cmd.of(first, second)
	if lead := first & c.leadMask; lead != c.leads[0] && lead != c.leads[1] ||
		length-c.minLength > c.lengths ||
		!c.low.contains(uint8(cmd)) || cmd > c.maxCmd {
		return d.nextByLayout(b, f)
	}
	n := c.base + int(length)
	if len(b) < n {
		return 0, nil
	}
	if c.verify {
		if reject := d.format.verify(b[:n]); reject != nil {
			return 0, reject
		}
	}
	f.Version = uint32(c.version.of(first, second))
	f.Cmd = uint32(cmd)
	f.Flag = uint32(c.flag.of(first, second))
	f.Raw = b[:n:n]
	end := n - c.tailLen
	f.Payload = b[c.payloadAt:end:end]
	return n, nil
}
