package wire

import "bytes"

// Match says which frames are meant, by what they carry: those that have all
// of it. The zero value matches no frame.
type Match struct {
	// Any is true for every frame; whatever else is given narrows it.
	Any bool

	// From is the direction that the frame's magic says. Only formats with an
	// AnswerMagic can be asked.
	From Direction

	// Version, Cmd and Flag are tests of the frame's fields; nil: any value.
	Version, Cmd, Flag *Bits

	// Commands are the commands meant, where they are many; nil: any.
	Commands *CommandSet

	// Payload is all of the frame's payload; nil: any.
	Payload []byte
}

// Bits is a test of a field: under the mask, it has this value.
type Bits struct {
	Mask  uint32 // 0: all bits
	Value uint32
}

// Is tests that a field has this value.
func Is(value uint32) *Bits { return &Bits{Value: value} }

// Has tests that a field has these bits set, whatever its others.
func Has(bits uint32) *Bits { return &Bits{Mask: bits, Value: bits} }

// mask is the bits looked at: none for the test that is not there.
func (b *Bits) mask() uint32 {
	switch {
	case b == nil:
		return 0
	case b.Mask == 0:
		return ^uint32(0)
	}
	return b.Mask
}

// value is the bits wanted.
func (b *Bits) value() uint32 {
	if b == nil {
		return 0
	}
	return b.Value
}

// given reports whether m matches any frame at all.
func (m *Match) given() bool {
	return m.Any || m.From != AnyDirection || m.Version != nil || m.Cmd != nil || m.Flag != nil ||
		m.Commands != nil || m.Payload != nil
}

// clone is an own copy, so that no change to m reaches a format.
func (m Match) clone() Match {
	for _, b := range []**Bits{&m.Version, &m.Cmd, &m.Flag} {
		if *b != nil {
			*b = new(**b)
		}
	}
	if m.Commands != nil {
		m.Commands = m.Commands.clone()
	}
	m.Payload = bytes.Clone(m.Payload)
	return m
}

// predicate is a Match compiled: the tests of the three fields take a compare
// each, whether they are there or not. The zero value matches nothing.
type predicate struct {
	given              bool
	version, cmd, flag maskedValue
	rest               bool // there are tests below
	from               Direction
	commands           *CommandSet
	payload            []byte
}

type maskedValue struct{ mask, value uint32 }

func (m maskedValue) matches(v uint32) bool { return v&m.mask == m.value }

func (m *Match) compile() predicate {
	return predicate{
		given:    m.given(),
		version:  maskedValue{m.Version.mask(), m.Version.value()},
		cmd:      maskedValue{m.Cmd.mask(), m.Cmd.value()},
		flag:     maskedValue{m.Flag.mask(), m.Flag.value()},
		rest:     m.From != AnyDirection || m.Commands != nil || m.Payload != nil,
		from:     m.From,
		commands: m.Commands,
		payload:  m.Payload,
	}
}

// matches reports whether p is true of a frame of the format t.
func (p *predicate) matches(t *table, f *Frame) bool {
	if !p.given || !p.cmd.matches(f.Cmd) || !p.flag.matches(f.Flag) || !p.version.matches(f.Version) {
		return false
	}
	return !p.rest || p.matchesRest(t, f)
}

func (p *predicate) matchesRest(t *table, f *Frame) bool {
	return (p.from == AnyDirection || t.direction(f.Raw) == p.from) &&
		p.commands.Contains(f.Cmd) &&
		(p.payload == nil || bytes.Equal(p.payload, f.Payload))
}
