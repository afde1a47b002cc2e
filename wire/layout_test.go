package wire

import (
	"bytes"
	"testing"
)

func TestField(t *testing.T) {
	header := []byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}
	tests := []struct {
		field field
		value uint32
		max   uint64
	}{
		{field{0, 1}, 0x11, 0xFF},
		{field{5, 1}, 0x66, 0xFF},
		{field{1, 2}, 0x2233, 0xFFFF},
		{field{2, 3}, 0x334455, 0xFFFFFF},
		{field{2, 4}, 0x33445566, 0xFFFFFFFF},
		{field{6, 0}, 0, 0}, // not there
	}
	for _, tt := range tests {
		if got := tt.field.load(header); got != tt.value {
			t.Errorf("%+v: load = %#x, want %#x", tt.field, got, tt.value)
		}
		if got := tt.field.max(); got != tt.max {
			t.Errorf("%+v: max = %#x, want %#x", tt.field, got, tt.max)
		}

		// What store writes is what load reads, and nothing beside it is touched.
		got := bytes.Clone(header)
		clear(got[tt.field.offset:tt.field.end()])
		tt.field.store(got, tt.value)
		if !bytes.Equal(got, header) {
			t.Errorf("%+v: store made %x, want %x", tt.field, got, header)
		}
	}
}
