package wire

import (
	"fmt"
	"slices"
)

// Rules is what a receiver accepts beyond the format itself. The zero value
// accepts every frame of the format's own version.
type Rules struct {
	// Versions are the versions accepted; empty: the format's own, 1 for GOPR,
	// and all of a format that declares none.
	Versions []uint32

	// Commands is the allow-list; nil: every command.
	Commands *CommandSet

	// From is the direction whose frames are accepted, where the format's magic
	// says it; AnyDirection, the zero value: both.
	From Direction

	// MaxPayload is the longest payload accepted, in bytes; 0: the format's
	// maximum, 65535 for GOPR.
	MaxPayload int
}

// NewDecoder makes a decoder of the format under the rules. It copies them:
// what happens to them later does not reach the decoder. Rules that the format
// cannot keep are an error that says what would be right.
func (f *Format) NewDecoder(r Rules) (*Decoder, error) {
	d := &Decoder{
		format:   f,
		path:     f.path,
		from:     r.From,
		versions: slices.Clone(r.Versions),
		low:      everyLow,
	}

	if len(d.versions) == 0 {
		d.versions = f.versions
	}
	for _, v := range d.versions {
		switch {
		case f.version.size == 0:
			return nil, fmt.Errorf("version %d: the frames of %s have no version", v, f.name)
		case !f.version.fits(uint64(v)):
			return nil, fmt.Errorf("version %d: the version field of %s says at most %d", v, f.name, f.version.max())
		}
	}

	least, most := f.minPayload(), f.maxPayload()
	maxPayload := r.MaxPayload
	switch {
	case maxPayload == 0:
		maxPayload = most
	case maxPayload < max(least, 1):
		return nil, fmt.Errorf("maximum payload of %d bytes: want %d to %d, or 0 for %[3]d", r.MaxPayload, max(least, 1), most)
	case maxPayload > most && f.maxLength == f.length.max():
		return nil, fmt.Errorf("maximum payload of %d bytes: the length field of %s says at most %d", maxPayload, f.name, most)
	case maxPayload > most:
		return nil, fmt.Errorf("maximum payload of %d bytes: the longest frame of %s, of %d bytes, has %d", maxPayload, f.name, f.maxFrame, most)
	}
	d.maxFrame = f.payloadAt + maxPayload + f.tailLen
	d.maxLength = f.maxLength - uint64(f.maxFrame-d.maxFrame)

	if r.Commands != nil {
		ranges := r.Commands.Ranges()
		if len(ranges) == 0 {
			return nil, fmt.Errorf("the command allow-list is empty and no frame would pass: name commands, or leave it out to accept all")
		}
		if f.cmd.size == 0 {
			return nil, fmt.Errorf("commands %v: the frames of %s have no command", r.Commands, f.name)
		}
		if last, most := ranges[len(ranges)-1], f.cmd.max(); uint64(last.Last) > most {
			return nil, fmt.Errorf("command %v: the command field of %s says at most 0x%02X", last, f.name, most)
		}
		d.commands = r.Commands.clone()
		d.low = r.Commands.low
	}

	switch d.path {
	case pathStraight:
		d.lead = Magic<<16 | uint64(d.versions[0])
		d.maxPayload = maxPayload
	case pathCompiled:
		var ok bool
		if d.compiled, ok = d.compile(); !ok {
			d.path = pathLayout
		}
	}
	return d, nil
}

// everyLow is the allow-list of who has none.
var everyLow = lowCommands{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
