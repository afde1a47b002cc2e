package wire

import (
	"math"
	"testing"
)

func TestRulesRefused(t *testing.T) {
	tests := []struct {
		name  string
		rules Rules
		want  string
	}{
		{
			"version over the field",
			Rules{Versions: []uint32{1, 65536}},
			"version 65536: the version field of gopr says at most 65535",
		},
		{
			"payload over the field",
			Rules{MaxPayload: 65536},
			"maximum payload of 65536 bytes: the length field of gopr says at most 65535",
		},
		{
			"payload below zero",
			Rules{MaxPayload: -1},
			"maximum payload of -1 bytes: want 1 to 65535, or 0 for 65535",
		},
		{
			"command over the field",
			Rules{Commands: NewCommandSet(CommandRange{1, 1}, CommandRange{256, 256})},
			"command 0x100: the command field of gopr says at most 0xFF",
		},
		{
			"commands over the field",
			Rules{Commands: NewCommandSet(CommandRange{0x10, 0xFFFF})},
			"command 0x10-0xFFFF: the command field of gopr says at most 0xFF",
		},
		{
			"every command there is",
			Rules{Commands: NewCommandSet(CommandRange{0, math.MaxUint32})},
			"command 0x00-0xFFFFFFFF: the command field of gopr says at most 0xFF",
		},
		{
			"an empty allow-list",
			Rules{Commands: NewCommandSet()},
			"the command allow-list is empty and no frame would pass: name commands, or leave it out to accept all",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := GOPR.NewDecoder(tt.rules)
			if d != nil || err == nil {
				t.Fatalf("got %v, %v", d, err)
			}
			if err.Error() != tt.want {
				t.Errorf("got  %q\nwant %q", err, tt.want)
			}
		})
	}
}

func TestRulesAtTheirLimits(t *testing.T) {
	tests := []struct {
		name     string
		rules    Rules
		maxFrame int
	}{
		{"none", Rules{}, 65545},
		{"greatest version", Rules{Versions: []uint32{65535}}, 65545},
		{"empty versions", Rules{Versions: []uint32{}}, 65545},
		{"greatest payload", Rules{MaxPayload: 65535}, 65545},
		{"least payload", Rules{MaxPayload: 1}, 11},
		{"greatest command", Rules{Commands: NewCommandSet(CommandRange{0, 255})}, 65545},
		{"all of them", gatewayRules(), 4106},
	}
	for _, tt := range tests {
		if got := newDecoder(t, GOPR, tt.rules).MaxFrame(); got != tt.maxFrame {
			t.Errorf("%s: MaxFrame() = %d, want %d", tt.name, got, tt.maxFrame)
		}
	}
}

// A decoder serves many connections: what its maker does with the rules later
// must not reach them.
func TestDecoderCopiesRules(t *testing.T) {
	rules := Rules{
		Versions: []uint32{1, 2},
		Commands: NewCommandSet(CommandRange{0x10, 0x10}),
	}
	for _, format := range everyPath {
		d := newDecoder(t, format, rules)
		rules.Versions[1] = 3
		rules.Commands.Add(CommandRange{0x20, 0x20})

		for _, tt := range []struct {
			version, cmd uint32
			want         Reason // 0: accepted
		}{
			{1, 0x10, 0},
			{2, 0x10, 0},
			{3, 0x10, ReasonVersion},
			{1, 0x20, ReasonCommand},
		} {
			frame, err := GOPR.Append(nil, tt.version, tt.cmd, 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			var f Frame
			_, err = d.Next(frame, &f)
			var got Reason
			if err != nil {
				got = err.(*RejectError).Reason
			}
			if got != tt.want {
				t.Errorf("version %d, command %#x: %v, want %v", tt.version, tt.cmd, got, tt.want)
			}
		}
		rules.Versions[1] = 2
		rules.Commands = NewCommandSet(CommandRange{0x10, 0x10})
	}
}
