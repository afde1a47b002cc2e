package wire

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// maxHeader bounds what stands around a payload, in bytes.
const maxHeader = 1 << 16

// NewFormat makes a format of its declaration, which it copies. What cannot be
// is an error that says what clashes with what, by the names that the
// configuration has for them.
func NewFormat(name string, l Layout) (*Format, error) {
	f := &Format{name: name, path: pathCompiled, declared: l.clone()}
	if err := f.declare(&f.declared); err != nil {
		return nil, fmt.Errorf("format %q: %w", name, err)
	}
	return f, nil
}

// mustFormat is NewFormat for the formats built in.
func mustFormat(name string, l Layout) *Format {
	f, err := NewFormat(name, l)
	if err != nil {
		panic(err)
	}
	return f
}

// Layout is the declaration of the format, with nothing filled in. It is the
// caller's own copy.
func (f *Format) Layout() Layout { return f.declared.clone() }

// clone is an own copy, so that no change to l reaches a format.
func (l Layout) clone() Layout {
	l.Magic = bytes.Clone(l.Magic)
	l.AnswerMagic = bytes.Clone(l.AnswerMagic)
	l.Versions = slices.Clone(l.Versions)
	if l.LengthAdjustment != nil {
		l.LengthAdjustment = new(*l.LengthAdjustment)
	}
	l.Checksum.Covers = slices.Clone(l.Checksum.Covers)
	l.Trailer = bytes.Clone(l.Trailer)
	l.Heartbeat = l.Heartbeat.clone()
	l.Asks = l.Asks.clone()
	l.Answers = l.Answers.clone()
	return l
}

// declare checks l and fills in f's table, each step with what the steps before
// it have settled.
func (f *Format) declare(l *Layout) error {
	if f.name == "" {
		return errors.New("a format needs a name")
	}
	if l.ByteOrder > LittleEndian {
		return fmt.Errorf("byte order %d: want BigEndian or LittleEndian", l.ByteOrder)
	}
	for _, step := range []func(*Layout) error{
		f.declareMagic, f.declareFields, f.declareHeader, f.declareChecksum, f.declareLength,
		f.declareMatches, f.declareHeartbeat,
	} {
		if err := step(l); err != nil {
			return err
		}
	}
	return nil
}

func (f *Format) declareMagic(l *Layout) error {
	switch {
	case len(l.Magic) == 0 && len(l.AnswerMagic) > 0:
		return errors.New("an answer has a magic, but a request has none")
	case len(l.Magic) == 0 && l.MagicOffset != 0:
		return fmt.Errorf("magic_offset %d, but there is no magic", l.MagicOffset)
	case len(l.AnswerMagic) > 0 && len(l.AnswerMagic) != len(l.Magic):
		return fmt.Errorf("the magic %X and that of an answer %X differ in length", l.Magic, l.AnswerMagic)
	case len(l.Magic) > 0 && bytes.Equal(l.Magic, l.AnswerMagic):
		return fmt.Errorf("the magic %X and that of an answer are the same: leave the second out", l.Magic)
	}
	f.magic, f.magicAt = l.Magic, l.MagicOffset
	if len(l.AnswerMagic) > 0 {
		f.answer = l.AnswerMagic
	}
	return nil
}

func (f *Format) declareFields(l *Layout) error {
	for _, fd := range []struct {
		name string
		in   Field
		out  *field
	}{
		{"version", l.Version, &f.version},
		{"cmd", l.Cmd, &f.cmd},
		{"flag", l.Flag, &f.flag},
	} {
		if fd.in.Size == 0 && fd.in != (Field{}) {
			return fmt.Errorf("%s has an offset, a mask or a shift, but no size", fd.name)
		}
		if fd.in.Size < 0 || fd.in.Size > 4 {
			return fmt.Errorf("%s of %d bytes: want 1 to 4", fd.name, fd.in.Size)
		}
		*fd.out = newField(fd.in, l.ByteOrder)
		if all := fd.out.all(); fd.out.mask&^all != 0 {
			return fmt.Errorf("%s: the mask 0x%X has bits that are not in %s", fd.name, fd.in.Mask, place(fd.in.Offset, fd.in.Size))
		}
		if s := fd.in.Shift; s < 0 || s > 31 || fd.out.mask>>s<<s != fd.out.mask {
			return fmt.Errorf("%s: the shift %d moves bits of the mask 0x%X out of the value", fd.name, s, fd.out.mask)
		}
	}
	for _, v := range l.Versions {
		if l.Version.Size == 0 {
			return fmt.Errorf("version %d is to be accepted, but the format has no version field", v)
		}
		if !f.version.fits(uint64(v)) {
			return fmt.Errorf("version %d does not fit the version field: at most %d", v, f.version.max())
		}
	}
	f.versions = l.Versions

	switch l.LengthFieldLength {
	case 1, 2, 3, 4, 8:
		f.length = newField(Field{Offset: l.LengthFieldOffset, Size: l.LengthFieldLength}, l.ByteOrder)
	case 0:
		return errors.New("there is no length field: want one of 1, 2, 3, 4 or 8 bytes")
	default:
		return fmt.Errorf("length of %d bytes: want 1, 2, 3, 4 or 8", l.LengthFieldLength)
	}
	switch l.ID.Size {
	case 1, 2, 4, 8:
	case 0:
		if l.ID.Offset != 0 {
			return errors.New("id has an offset, but no size")
		}
	default:
		return fmt.Errorf("id of %d bytes: want 1, 2, 4 or 8", l.ID.Size)
	}
	f.id = newField(Field{Offset: l.ID.Offset, Size: l.ID.Size}, l.ByteOrder)
	return nil
}
