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

// words loads the two words of a b that has at least need bytes.
func (c *compiled) words(b []byte) (first, second uint64) {
	if c.little {
		return binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[c.second:])
	}
	return binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[c.second:])
}

// accepts is all the checks of a header.
func (c *compiled) accepts(first, length, cmd uint64) bool {
	lead := first & c.leadMask
	return (lead == c.leads[0] || lead == c.leads[1]) &&
		length-c.minLength <= c.lengths &&
		cmd <= c.maxCmd && c.low.contains(uint8(cmd))
}

// verified is the end of [Decoder.Next] for a frame whose header is accepted
// and behind which there is something to verify.
func (d *Decoder) verified(raw []byte, f *Frame, version, cmd, flag uint64) (int, error) {
	if reject := d.format.verify(raw); reject != nil {
		return 0, reject
	}
	*f = Frame{
		Version: uint32(version), Cmd: uint32(cmd), Flag: uint32(flag),
		Raw: raw, Payload: d.format.payload(raw),
	}
	return len(raw), nil
}
