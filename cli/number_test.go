package cli

import "testing"

func TestNumber(t *testing.T) {
	tests := []struct {
		in       string
		min, max uint64
		want     int // -1: refused
	}{
		{"0", 0, 255, 0},
		{"16", 0, 255, 16},
		{"255", 0, 255, 255},
		{"256", 0, 255, -1},
		{"0x10", 0, 255, 16},
		{"0X10", 0, 255, 16},
		{"0xff", 0, 255, 255},
		{"0xFF", 0, 255, 255},
		{"0x100", 0, 255, -1},
		{"010", 0, 255, 10}, // not octal
		{"0", 1, 255, -1},
		{"1", 1, 255, 1},
		{"-1", 0, 255, -1},
		{"0b1", 0, 255, -1},
		{"1_0", 0, 255, -1},
		{"0x", 0, 255, -1},
		{"", 0, 255, -1},
		{"ten", 0, 255, -1},
		{"18446744073709551616", 0, 255, -1},
	}
	for _, tt := range tests {
		got := 7
		err := number[int]{to: &got, min: tt.min, max: tt.max}.Set(tt.in)
		switch {
		case tt.want < 0 && (err == nil || got != 7):
			t.Errorf("Set(%q) within %d-%d made it %d, error %v; want it refused", tt.in, tt.min, tt.max, got, err)
		case tt.want >= 0 && (err != nil || got != tt.want):
			t.Errorf("Set(%q) within %d-%d made it %d, error %v; want %d", tt.in, tt.min, tt.max, got, err, tt.want)
		}
	}
}

func TestNumberError(t *testing.T) {
	cmd := uint8(16)
	err := number[uint8]{to: &cmd, max: 255}.Set("300")
	if want := "want a number from 0 to 255, such as 16 or 0x10"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestNumberString(t *testing.T) {
	cmd, conns := uint8(1), 50
	for want, n := range map[string]interface{ String() string }{
		"0x01": number[uint8]{to: &cmd, hex: true},
		"50":   number[int]{to: &conns},
		"0":    number[int]{},
	} {
		if got := n.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
