package wire

import (
	"errors"
	"math"
	"testing"
)

func TestLookup(t *testing.T) {
	for name, want := range map[string]*Format{"gopr": GOPR, "mc": MC, "fram": FRAM, "golg": GOLG, "length": Length} {
		if f, ok := Lookup(name); !ok || f != want || f.Name() != name {
			t.Errorf("Lookup(%q) = %v, %t", name, f, ok)
		}
	}
	for _, name := range []string{"", "GOPR", "gopr ", "none"} {
		if f, ok := Lookup(name); ok || f != nil {
			t.Errorf("Lookup(%q) = %v, %t", name, f, ok)
		}
	}
}

// The constants that the encoders write and the straight path reads, and the
// table that the layout path reads, are the same protocol.
func TestGOPR(t *testing.T) {
	if GOPR.Name() != "gopr" || GOPR.HeaderLen() != 10 || GOPR.MaxPayload() != 65535 {
		t.Errorf("name %q, header %d, maximum %d", GOPR.Name(), GOPR.HeaderLen(), GOPR.MaxPayload())
	}
	l := GOPR.table
	if got := uint64(GOPR.MaxPayload()); got != l.length.max() {
		t.Errorf("maximum payload %d, but the field says up to %d", got, l.length.max())
	}
	if last := l.flag.end(); last != GOPR.HeaderLen() {
		t.Errorf("the last field ends at %d, the header at %d", last, GOPR.HeaderLen())
	}
	for _, next := range []struct {
		name        string
		field       field
		begins, end int
	}{
		{"version", l.version, len(l.magic), 6},
		{"length", l.length, l.version.end(), 8},
		{"cmd", l.cmd, l.length.end(), 9},
		{"flag", l.flag, l.cmd.end(), 10},
	} {
		if next.field.offset != next.begins || next.field.end() != next.end {
			t.Errorf("%s lies at %d to %d, want %d to %d", next.name, next.field.offset, next.field.end(), next.begins, next.end)
		}
	}
}

func TestFormatAppend(t *testing.T) {
	tests := []struct {
		version, cmd, flag uint32
		payload            string
		want               string
	}{
		{1, CmdPing, FlagReq, "", "GOPR\x00\x01\x00\x00\x01\x01"},
		{1, CmdApp, FlagRsp, "world", "GOPR\x00\x01\x00\x05\x10\x02world"},
		{0, 0, 0, "\x00", "GOPR\x00\x00\x00\x01\x00\x00\x00"},
		{0x1234, 0xAB, 0xCD, "x", "GOPR\x12\x34\x00\x01\xab\xcdx"},
		{0xFFFF, 0xFF, 0xFF, "", "GOPR\xff\xff\x00\x00\xff\xff"},
	}
	// A dirty buffer, and room in it, must not shine through.
	for _, room := range []int{0, 64} {
		for _, tt := range tests {
			dst := make([]byte, len("before"), len("before")+room)
			for i := range dst[:cap(dst)] {
				dst[:cap(dst)][i] = 0xEE
			}
			copy(dst, "before")
			got, err := GOPR.Append(dst, tt.version, tt.cmd, tt.flag, []byte(tt.payload))
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			if string(got) != "before"+tt.want {
				t.Errorf("%+v: got %q", tt, got)
			}
		}
	}
}

func TestFormatAppendRefusesWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		version, cmd, flag uint32
		length             int
		want               FieldError
		text               string
	}{
		{0x10000, 0, 0, 0, FieldError{"gopr", "version", 65536, 65535, 0}, "version 65536 does not fit a gopr frame: at most 65535"},
		{1, 0, 0, 65536, FieldError{"gopr", "length", 65536, 65535, 0}, "length 65536 does not fit a gopr frame: at most 65535"},
		{1, 0x100, 0, 0, FieldError{"gopr", "cmd", 256, 255, 0}, "cmd 256 does not fit a gopr frame: at most 255"},
		{1, 0, 0x100, 0, FieldError{"gopr", "flag", 256, 255, 0}, "flag 256 does not fit a gopr frame: at most 255"},
		{1, 0, math.MaxUint32, 0, FieldError{"gopr", "flag", math.MaxUint32, 255, 0}, "flag 4294967295 does not fit a gopr frame: at most 255"},
	}
	for _, tt := range tests {
		dst := []byte("before")
		got, err := GOPR.Append(dst, tt.version, tt.cmd, tt.flag, make([]byte, tt.length))
		if string(got) != "before" {
			t.Errorf("%s: dst came back as %q", tt.text, got)
		}
		var fe *FieldError
		if !errors.As(err, &fe) {
			t.Errorf("%s: err = %v", tt.text, err)
			continue
		}
		if *fe != tt.want || fe.Error() != tt.text {
			t.Errorf("got %+v, %q, want %+v, %q", *fe, fe, tt.want, tt.text)
		}
	}
}
