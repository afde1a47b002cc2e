package wire

import (
	"fmt"
	"slices"
)

// Rules is what a receiver accepts beyond the format itself. The zero value
// accepts every frame of the format's own version.
type Rules struct {
	// Versions are the versions accepted; empty: the format's own, 1 for GOPR.
	Versions []uint32

	// Commands is the allow-list; nil: every command.
	Commands *CommandSet

	// MaxPayload is the longest payload accepted, in bytes; 0: the format's
	// maximum, 65535 for GOPR.
	MaxPayload int
}

// NewDecoder makes a decoder of the format under the rules. It copies them:
// what happens to them later does not reach the decoder. Rules that the format
// cannot keep are an error that says what would be right.
func (f *Format) NewDecoder(r Rules) (*Decoder, error) {
	d := &Decoder{
		format:     f,
		straight:   f.straight,
		versions:   slices.Clone(r.Versions),
		maxPayload: r.MaxPayload,
		low:        everyLow,
	}

	if len(d.versions) == 0 {
		d.versions = []uint32{f.version}
	}
	for _, v := range d.versions {
		if most := f.layout.version.max(); uint64(v) > most {
			return nil, fmt.Errorf("version %d: the version field of %s says at most %d", v, f.name, most)
		}
	}
	d.lead = Magic<<16 | uint64(d.versions[0])

	switch {
	case d.maxPayload < 0:
		return nil, fmt.Errorf("maximum payload of %d bytes: want 1 to %d, or 0 for %[2]d", r.MaxPayload, f.maxPayload)
	case d.maxPayload > f.maxPayload:
		return nil, fmt.Errorf("maximum payload of %d bytes: the length field of %s says at most %d", r.MaxPayload, f.name, f.maxPayload)
	case d.maxPayload == 0:
		d.maxPayload = f.maxPayload
	}

	if r.Commands != nil {
		ranges := r.Commands.Ranges()
		if len(ranges) == 0 {
			return nil, fmt.Errorf("the command allow-list is empty and no frame would pass: name commands, or leave it out to accept all")
		}
		if last, most := ranges[len(ranges)-1], f.layout.cmd.max(); uint64(last.Last) > most {
			return nil, fmt.Errorf("command %v: the command field of %s says at most 0x%02X", last, f.name, most)
		}
		d.commands = r.Commands.clone()
		d.low = r.Commands.low
	}
	return d, nil
}

// everyLow is the allow-list of who has none.
var everyLow = lowCommands{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
