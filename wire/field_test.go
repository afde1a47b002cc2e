package wire

import (
	"bytes"
	"testing"
)

func TestField(t *testing.T) {
	header := []byte{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99}
	tests := []struct {
		name  string
		field Field
		order ByteOrder
		value uint64
		max   uint64
		bits  []byte
	}{
		{"a byte", Field{Offset: 0, Size: 1}, BigEndian, 0x11, 0xFF, []byte{0xFF}},
		{"the last byte", Field{Offset: 8, Size: 1}, LittleEndian, 0x99, 0xFF, []byte{0xFF}},
		{"two bytes", Field{Offset: 1, Size: 2}, BigEndian, 0x2233, 0xFFFF, []byte{0xFF, 0xFF}},
		{"two bytes, little", Field{Offset: 1, Size: 2}, LittleEndian, 0x3322, 0xFFFF, []byte{0xFF, 0xFF}},
		{"three bytes", Field{Offset: 2, Size: 3}, BigEndian, 0x334455, 0xFFFFFF, []byte{0xFF, 0xFF, 0xFF}},
		{"three bytes, little", Field{Offset: 2, Size: 3}, LittleEndian, 0x554433, 0xFFFFFF, []byte{0xFF, 0xFF, 0xFF}},
		{"four bytes", Field{Offset: 2, Size: 4}, BigEndian, 0x33445566, 0xFFFFFFFF, []byte{0xFF, 0xFF, 0xFF, 0xFF}},
		{"four bytes, little", Field{Offset: 2, Size: 4}, LittleEndian, 0x66554433, 0xFFFFFFFF, []byte{0xFF, 0xFF, 0xFF, 0xFF}},
		{"eight bytes", Field{Offset: 1, Size: 8}, BigEndian, 0x2233445566778899, 1<<64 - 1, bytes.Repeat([]byte{0xFF}, 8)},
		{"eight bytes, little", Field{Offset: 1, Size: 8}, LittleEndian, 0x9988776655443322, 1<<64 - 1, bytes.Repeat([]byte{0xFF}, 8)},
		{"lower half of a byte", Field{Offset: 4, Size: 1, Mask: 0x0F}, BigEndian, 0x05, 0x0F, []byte{0x0F}},
		{"upper half in its place", Field{Offset: 5, Size: 1, Mask: 0xF0}, BigEndian, 0x60, 0xF0, []byte{0xF0}},
		{"upper half moved down", Field{Offset: 5, Size: 1, Mask: 0xF0, Shift: 4}, BigEndian, 0x06, 0x0F, []byte{0xF0}},
		{"across two bytes", Field{Offset: 1, Size: 2, Mask: 0x0FF0, Shift: 4}, BigEndian, 0x23, 0xFF, []byte{0x0F, 0xF0}},
		{"across two bytes, little", Field{Offset: 1, Size: 2, Mask: 0x0FF0, Shift: 4}, LittleEndian, 0x32, 0xFF, []byte{0xF0, 0x0F}},
		{"not there", Field{}, BigEndian, 0, 0, []byte{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fd := newField(tt.field, tt.order)
			if got := fd.load(header); got != tt.value {
				t.Errorf("load = %#x, want %#x", got, tt.value)
			}
			if got := fd.max(); got != tt.max {
				t.Errorf("max = %#x, want %#x", got, tt.max)
			}
			if got := fd.bits(); !bytes.Equal(got, tt.bits) {
				t.Errorf("bits = %x, want %x", got, tt.bits)
			}

			// What store writes is what load reads, and no bit beside it is touched.
			for _, fill := range []byte{0x00, 0xFF, 0xA5} {
				before := bytes.Repeat([]byte{fill}, len(header))
				got := bytes.Clone(before)
				fd.store(got, tt.value)
				if v := fd.load(got); v != tt.value {
					t.Errorf("stored %#x, loaded %#x", tt.value, v)
				}
				for i := range got {
					var mine byte
					if i >= fd.offset && i < fd.end() {
						mine = tt.bits[i-fd.offset]
					}
					if (got[i]^before[i])&^mine != 0 {
						t.Errorf("byte %d was %#x and is %#x: bits beside %#x are touched", i, before[i], got[i], mine)
					}
				}
			}
		})
	}
}

func TestFieldFits(t *testing.T) {
	tests := []struct {
		field Field
		fits  []uint64
		not   []uint64
	}{
		{Field{Size: 1}, []uint64{0, 255}, []uint64{256, 1 << 40}},
		{Field{Size: 1, Mask: 0xF0, Shift: 4}, []uint64{0, 15}, []uint64{16}},
		{Field{Size: 1, Mask: 0xF0}, []uint64{0, 0x10, 0xF0}, []uint64{1, 0x1F, 0x100}},
		{Field{}, []uint64{0}, []uint64{1}},
	}
	for _, tt := range tests {
		fd := newField(tt.field, BigEndian)
		for _, v := range tt.fits {
			if !fd.fits(v) {
				t.Errorf("%+v: %#x does not fit", tt.field, v)
			}
		}
		for _, v := range tt.not {
			if fd.fits(v) {
				t.Errorf("%+v: %#x fits", tt.field, v)
			}
		}
	}
}
