package wire

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// compile turns the decoder's format and rules into a compiled header. It
// reports false for a format whose fields do not lie in two words, or whose
// magic and version not in the first.
func (d *Decoder) compile() (c compiled, ok bool) {
	t := &d.format.table
	c = compiled{
		need:      max(t.headerLen, 8),
		little:    t.length.little,
		minLength: t.minLength,
		lengths:   d.maxLength - t.minLength,
		base:      t.base,
		payloadAt: t.payloadAt,
		verify:    t.tailLen > 0 || t.sum.algorithm != NoChecksum,
		low:       d.low,
		maxCmd:    t.cmd.max(),
	}
	if d.commands != nil {
		c.maxCmd = lowEnd - 1
	}
	magic := field{offset: t.magicAt, size: len(t.magic)}
	if !holds(0, &magic) || len(d.versions) > 0 && !holds(0, &t.version) ||
		!c.placeSecond(&t.version, &t.length, &t.cmd, &t.flag) {
		return c, false
	}
	c.version, c.length, c.cmd, c.flag = c.part(&t.version), c.part(&t.length), c.part(&t.cmd), c.part(&t.flag)
	c.compileLeads(d)
	return c, true
}

// placeSecond lets the second word begin with the first field that the first
// word does not hold.
func (c *compiled) placeSecond(fields ...*field) bool {
	slices.SortFunc(fields, func(a, b *field) int { return cmp.Compare(a.offset, b.offset) })
	for _, fd := range fields {
		if c.second == 0 && !holds(0, fd) {
			c.second = min(fd.offset, c.need-8)
		}
		if !holds(0, fd) && !holds(c.second, fd) {
			return false
		}
	}
	return true
}

// holds reports whether the word at this offset has all of a field.
func holds(word int, fd *field) bool {
	return fd.size == 0 || word <= fd.offset && fd.end() <= word+8
}

// part finds a field in the words.
func (c *compiled) part(fd *field) part {
	if fd.size == 0 {
		return part{}
	}
	p, word := part{mask: fd.mask >> fd.shift}, 0
	if !holds(0, fd) {
		p.second, word = true, c.second
	}
	if fd.little {
		p.shift = uint8(8*(fd.offset-word)) + fd.shift
	} else {
		p.shift = uint8(8*(word+8-fd.end())) + fd.shift
	}
	return p
}

// compileLeads writes out the first two beginnings that the rules accept: of
// each version with each magic.
func (c *compiled) compileLeads(d *Decoder) {
	t := &d.format.table
	header := make([]byte, 8)
	lead := func() uint64 {
		if c.little {
			return binary.LittleEndian.Uint64(header)
		}
		return binary.BigEndian.Uint64(header)
	}

	for i := range t.magic {
		header[t.magicAt+i] = 0xFF
	}
	versions := []uint32{0}
	if len(d.versions) > 0 {
		t.version.store(header, t.version.max())
		versions = d.versions
	}
	c.leadMask = lead()

	var leads []uint64
	for _, version := range versions {
		for _, magic := range d.magics() {
			clear(header)
			copy(header[min(t.magicAt, 8):], magic)
			if len(d.versions) > 0 {
				t.version.store(header, uint64(version))
			}
			leads = append(leads, lead())
		}
	}
	c.leads = [2]uint64{leads[0], leads[min(1, len(leads)-1)]}
}

// magics is those that the rules accept, without the format's own if it has
// none.
func (d *Decoder) magics() (magics [][]byte) {
	t := &d.format.table
	if t.answer == nil || d.from != FromServer {
		magics = append(magics, t.magic)
	}
	if t.answer != nil && d.from != FromClient {
		magics = append(magics, t.answer)
	}
	return magics
}
