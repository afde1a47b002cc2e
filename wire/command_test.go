package wire

import (
	"math"
	"strings"
	"testing"
)

func TestParseCommandRange(t *testing.T) {
	tests := []struct {
		in   string
		want CommandRange
	}{
		{"0", CommandRange{0, 0}},
		{"16", CommandRange{16, 16}},
		{"010", CommandRange{10, 10}}, // decimal, not octal
		{"0x01", CommandRange{1, 1}},
		{"0x1", CommandRange{1, 1}},
		{"0XfF", CommandRange{255, 255}},
		{"0x10-0xFF", CommandRange{16, 255}},
		{"1-0x10", CommandRange{1, 16}},
		{"7-7", CommandRange{7, 7}},
		{"0-4294967295", CommandRange{0, math.MaxUint32}},
		{"0xFFFFFFFF", CommandRange{math.MaxUint32, math.MaxUint32}},
	}
	for _, tt := range tests {
		got, err := ParseCommandRange(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseCommandRange(%q) = %v, %v, want %v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseCommandRangeRefuses(t *testing.T) {
	const how = "want a number such as 16 or 0x10, or a range such as 0x10-0xFF"
	tests := []struct{ in, want string }{
		{"", how},
		{"x", how},
		{"PING", how},
		{"0x", how},
		{"0x1G", how},
		{"ff", how},
		{"-", how},
		{"-1", how},
		{"1-", how},
		{"1-2-3", how},
		{"+1", how},
		{"1_0", how},
		{"0b1", how},
		{"0o7", how},
		{" 1", how},
		{"1 - 2", how},
		{"1.5", how},
		{"4294967296", how},
		{"0x100000000", how},
		{"0xFF-0x10", "want 0x10-0xFF"},
		{"2-1", "want 1-2"},
	}
	for _, tt := range tests {
		got, err := ParseCommandRange(tt.in)
		if err == nil {
			t.Errorf("ParseCommandRange(%q) = %v, want an error", tt.in, got)
			continue
		}
		if got != (CommandRange{}) {
			t.Errorf("ParseCommandRange(%q) = %v beside an error", tt.in, got)
		}
		if text := err.Error(); !strings.HasSuffix(text, tt.want) || !strings.Contains(text, `"`+tt.in+`"`) {
			t.Errorf("ParseCommandRange(%q): %q, want it to quote the input and to end in %q", tt.in, text, tt.want)
		}
	}
}

func TestCommandRangeString(t *testing.T) {
	tests := []struct {
		r    CommandRange
		want string
	}{
		{CommandRange{0, 0}, "0x00"},
		{CommandRange{1, 1}, "0x01"},
		{CommandRange{16, 255}, "0x10-0xFF"},
		{CommandRange{0x1000, 0xABCDE}, "0x1000-0xABCDE"},
	}
	for _, tt := range tests {
		if got := tt.r.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if back, err := ParseCommandRange(tt.want); err != nil || back != tt.r {
			t.Errorf("ParseCommandRange(%q) = %v, %v", tt.want, back, err)
		}
	}
}
