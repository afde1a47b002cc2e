package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// everything has each kind of field, with gaps in memory between them.
type everything struct {
	Bool bool
	I8   int8
	U8   uint8
	I16  int16
	U16  uint16
	I32  int32
	U32  uint32
	F32  float32
	I64  int64
	U64  uint64
	F64  float64
	C64  complex64
	C128 complex128
	ID   [3]byte
	_    [2]byte
	Path [2]point
	None struct{}
	Gone [0]uint64
}

type point struct {
	X int16
	Y uint32
}

// The bytes are those of Python:
//
//	struct.pack('>?bBhHiIfqQd2f2d3sxxhIhI', True, -2, 0xA1, -0x1234, 0xBEEF, -0x12345678, 0xDEADBEEF, 1.5, -0x123456789ABCDEF0,
//	            0xFEEDFACECAFEBEEF, -0.1, 1.0, -2.0, 3.0, -4.0, b'abc', 0x0102, 0x03040506, -1, 7)
//
// and the same with '<' for little-endian.
var (
	everythingValue = everything{
		Bool: true, I8: -2, U8: 0xA1, I16: -0x1234, U16: 0xBEEF, I32: -0x12345678, U32: 0xDEADBEEF, F32: 1.5,
		I64: -0x123456789ABCDEF0, U64: 0xFEEDFACECAFEBEEF, F64: -0.1, C64: 1 - 2i, C128: 3 - 4i,
		ID: [3]byte{'a', 'b', 'c'}, Path: [2]point{{0x0102, 0x03040506}, {-1, 7}},
	}
	everythingBig = "\x01\xFE\xA1\xED\xCC\xBE\xEF\xED\xCB\xA9\x88\xDE\xAD\xBE\xEF\x3F\xC0\x00\x00" +
		"\xED\xCB\xA9\x87\x65\x43\x21\x10\xFE\xED\xFA\xCE\xCA\xFE\xBE\xEF\xBF\xB9\x99\x99\x99\x99\x99\x9A" +
		"\x3F\x80\x00\x00\xC0\x00\x00\x00\x40\x08\x00\x00\x00\x00\x00\x00\xC0\x10\x00\x00\x00\x00\x00\x00" +
		"\x61\x62\x63\x00\x00\x01\x02\x03\x04\x05\x06\xFF\xFF\x00\x00\x00\x07"
	everythingLittle = "\x01\xFE\xA1\xCC\xED\xEF\xBE\x88\xA9\xCB\xED\xEF\xBE\xAD\xDE\x00\x00\xC0\x3F" +
		"\x10\x21\x43\x65\x87\xA9\xCB\xED\xEF\xBE\xFE\xCA\xCE\xFA\xED\xFE\x9A\x99\x99\x99\x99\x99\xB9\xBF" +
		"\x00\x00\x80\x3F\x00\x00\x00\xC0\x00\x00\x00\x00\x00\x00\x08\x40\x00\x00\x00\x00\x00\x00\x10\xC0" +
		"\x61\x62\x63\x00\x00\x02\x01\x06\x05\x04\x03\xFF\xFF\x07\x00\x00\x00"
)

func TestFixedEverything(t *testing.T) {
	full := everythingValue
	full.Path[1] = point{-1, math.MaxUint32}
	for order, payload := range map[ByteOrder]string{BigEndian: everythingBig, LittleEndian: everythingLittle} {
		t.Run(order.String(), func(t *testing.T) {
			c := MustFixed[everything](order)
			if c.Size() != 84 {
				t.Errorf("size %d, want 84", c.Size())
			}
			testCodec(t, Codec[everything](c), full,
				codecRow[everything]{"all", everythingValue, payload},
				codecRow[everything]{"zero", everything{}, strings.Repeat("\x00", 84)},
			)
			for size := range 100 {
				if size == c.Size() {
					continue
				}
				v := full
				var err *PayloadSizeError
				if !errors.As(c.Unmarshal(make([]byte, size), &v), &err) || *err != (PayloadSizeError{Got: size, Want: 84}) {
					t.Errorf("%d bytes: %v", size, err)
				}
				if v != full {
					t.Errorf("%d bytes were refused, and the value is now %v", size, v)
				}
			}
		})
	}
}

// Numbers and arrays need no struct around them.
func TestFixedSingle(t *testing.T) {
	type level uint16
	testCodec(t, Codec[level](MustFixed[level](BigEndian)), 7, codecRow[level]{"big", 0x0102, "\x01\x02"})
	testCodec(t, Codec[level](MustFixed[level](LittleEndian)), 7, codecRow[level]{"little", 0x0102, "\x02\x01"})
	testCodec(t, Codec[bool](MustFixed[bool](BigEndian)), true, codecRow[bool]{"false", false, "\x00"}, codecRow[bool]{"true", true, "\x01"})
	testCodec(t, Codec[[4]byte](MustFixed[[4]byte](LittleEndian)), [4]byte{9}, codecRow[[4]byte]{"bytes", [4]byte{1, 2, 3, 4}, "\x01\x02\x03\x04"})
	testCodec(t, Codec[[2][2]int16](MustFixed[[2][2]int16](BigEndian)), [2][2]int16{{9}},
		codecRow[[2][2]int16]{"rows", [2][2]int16{{1, 2}, {3, -1}}, "\x00\x01\x00\x02\x00\x03\xFF\xFF"})
	testCodec(t, Codec[time.Duration](MustFixed[time.Duration](BigEndian)), 9,
		codecRow[time.Duration]{"a named int64", time.Second, "\x00\x00\x00\x00\x3B\x9A\xCA\x00"})
	testCodec(t, Codec[struct{}](MustFixed[struct{}](BigEndian)), struct{}{}, codecRow[struct{}]{"nothing", struct{}{}, ""})
	testCodecRefuses(t, Codec[struct{}](MustFixed[struct{}](BigEndian)), codecRefusal{"a byte", "\x00", "payload of 1 bytes, want 0"})
}

// A struct embedded is its fields.
func TestFixedEmbedded(t *testing.T) {
	type Header struct{ Kind, Seq uint8 }
	type message struct {
		Header
		At uint32
	}
	testCodec(t, Codec[message](MustFixed[message](BigEndian)), message{Header{9, 9}, 9},
		codecRow[message]{"a message", message{Header{1, 2}, 3}, "\x01\x02\x00\x00\x00\x03"})
}

// Padding is what the struct says, and never what the compiler does: a byte before a number of four bytes is five.
func TestFixedPadding(t *testing.T) {
	type packed struct {
		A uint8
		B uint32
	}
	type padded struct {
		A uint8
		_ [3]byte
		B uint32
		_ struct{ C, D uint16 }
	}
	testCodec(t, Codec[packed](MustFixed[packed](BigEndian)), packed{9, 9}, codecRow[packed]{"packed", packed{1, 2}, "\x01\x00\x00\x00\x02"})
	c := MustFixed[padded](BigEndian)
	const payload = "\x01\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00"
	testCodec(t, Codec[padded](c), padded{A: 9, B: 9}, codecRow[padded]{"padded", padded{A: 1, B: 2}, payload})

	// What a peer leaves there is no matter, and what dst has there is not sent.
	var v padded
	if err := c.Unmarshal([]byte("\x01xxx\x00\x00\x00\x02xxxx"), &v); err != nil || v.A != 1 || v.B != 2 {
		t.Errorf("got %v, %v", v, err)
	}
	got, err := c.MarshalAppend([]byte("xxxxxxxxxxxxxxxx")[:0], v)
	if err != nil || string(got) != payload {
		t.Errorf("got % X, %v, want % X", got, err, payload)
	}
}

// A Go bool that is neither 0 nor 1 in memory would be neither true nor false.
func TestFixedBool(t *testing.T) {
	c := MustFixed[[256]bool](BigEndian)
	payload := make([]byte, 256)
	for i := range payload {
		payload[i] = byte(i)
	}
	var v [256]bool
	if err := c.Unmarshal(payload, &v); err != nil {
		t.Fatal(err)
	}
	want := slices.Repeat([]byte{1}, 256)
	want[0] = 0
	if got, err := c.MarshalAppend(nil, v); err != nil || !slices.Equal(got, want) {
		t.Errorf("got % X, %v", got, err)
	}
}

// The bits of a number that is none come through.
func TestFixedNaN(t *testing.T) {
	c := MustFixed[[2]float32](BigEndian)
	const payload = "\x7F\xA0\x00\x01\xFF\xC0\x00\x00" // one signals, one is quiet
	var v [2]float32
	if err := c.Unmarshal([]byte(payload), &v); err != nil || !math.IsNaN(float64(v[0])) || !math.IsNaN(float64(v[1])) {
		t.Fatalf("got %v, %v", v, err)
	}
	if got, err := c.MarshalAppend(nil, v); err != nil || string(got) != payload {
		t.Errorf("got % X, %v", got, err)
	}
}

// The bytes are those of encoding/binary; FuzzFixed says the same of any bytes that come.
func TestFixedAsEncodingBinary(t *testing.T) {
	for order, std := range map[ByteOrder]binary.AppendByteOrder{BigEndian: binary.BigEndian, LittleEndian: binary.LittleEndian} {
		want, err := binary.Append(nil, std.(binary.ByteOrder), everythingValue)
		if err != nil {
			t.Fatal(err)
		}
		got, err := MustFixed[everything](order).MarshalAppend(nil, everythingValue)
		if err != nil || string(got) != string(want) {
			t.Errorf("%v: got % X, %v, want % X", order, got, err, want)
		}
	}
}

func TestNewFixedRefuses(t *testing.T) {
	type node struct {
		At   int64
		Next *node
	}
	type inner struct {
		Names [2]struct{ First, Last string }
	}
	tests := []struct {
		name string
		make func() error
		want string
	}{
		{"a string", newFixed[string], "string has no fixed layout: it is of type string, whose size varies"},
		{"a slice", newFixed[[]byte], "[]uint8 has no fixed layout: it is of type []uint8, whose size varies"},
		{"a map", newFixed[map[int8]int8], "whose size varies"},
		{"an interface", newFixed[any], "it is of type interface {}, whose size varies"},
		{"a func", newFixed[func()], "whose size varies"},
		{"a chan", newFixed[chan int8], "whose size varies"},
		{"an int", newFixed[int], "int has no fixed layout: it is of type int, whose size depends on the machine: say which, as in int64"},
		{"a uint", newFixed[struct{ N uint }], "field N is of type uint, whose size depends on the machine"},
		{"a uintptr", newFixed[[3]uintptr], "element [] is of type uintptr, whose size depends on the machine"},
		{"a pointer", newFixed[node], "wire.node has no fixed layout: field Next is of type *wire.node, whose size varies"},
		{"deep inside", newFixed[struct{ In [4]inner }], "field In[].Names[].First is of type string, whose size varies"},
		{"none of them", newFixed[struct{ Gone [0]string }], "field Gone[] is of type string, whose size varies"},
		{"padding", newFixed[struct{ _ string }], "field _ is of type string, whose size varies"},
		{"padding inside", newFixed[struct{ _ struct{ A int } }], "field _.A is of type int, whose size depends on the machine"},
		{"unexported", newFixed[struct{ at int64 }], "field at is unexported: export it, or call it _ if it is padding"},
		{"a lock", newFixed[struct{ Lock sync.Mutex }], "is unexported"},
		{"another package's", newFixed[netip.Addr], "netip.Addr has no fixed layout: field addr is unexported"},
		{"a byte order", func() error { _, err := NewFixed[int8](2); return err }, "byte order 2: want BigEndian or LittleEndian"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.make(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that says %q", err, tt.want)
			}
		})
	}
}

func newFixed[T any]() error {
	c, err := NewFixed[T](BigEndian)
	if (c == nil) != (err != nil) {
		return errors.New("both, or neither")
	}
	return err
}

func TestMustFixedPanics(t *testing.T) {
	defer func() {
		const want = "wire: int has no fixed layout: it is of type int, whose size depends on the machine: say which, as in int64"
		if got := recover(); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	MustFixed[int](BigEndian)
}

// Neighbours in memory and on the wire are one run: an array costs what one number does.
func TestFixedRuns(t *testing.T) {
	tests := []struct {
		name string
		runs []fixedRun
		want []fixedRun
	}{
		{"an array", MustFixed[[1000]uint16](BigEndian).layout.runs, []fixedRun{{fixedTwo, 0, 1000}}},
		{"points", MustFixed[[2]point](BigEndian).layout.runs, []fixedRun{{fixedTwo, 0, 1}, {fixedFour, 4, 1}, {fixedTwo, 8, 1}, {fixedFour, 12, 1}}},
		{"pairs", MustFixed[[3]struct{ A, B int32 }](BigEndian).layout.runs, []fixedRun{{fixedFour, 0, 6}}},
		{"names for one width", MustFixed[struct {
			A int32
			B float32
			C complex64
		}](BigEndian).layout.runs, []fixedRun{{fixedFour, 0, 4}}},
		{"a bool is no byte", MustFixed[struct {
			A byte
			B bool
		}](BigEndian).layout.runs, []fixedRun{{fixedByte, 0, 1}, {fixedBool, 1, 1}}},
		{"a gap in memory", MustFixed[struct {
			A byte
			B struct {
				_ [0]uint32
				C byte
			}
		}](BigEndian).layout.runs, []fixedRun{{fixedByte, 0, 1}, {fixedByte, 4, 1}}},
		{"padding", MustFixed[struct {
			_ byte
			_ [3]uint16
			A byte
		}](BigEndian).layout.runs, []fixedRun{{fixedPad, 0, 7}, {fixedByte, 8, 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !slices.Equal(tt.runs, tt.want) {
				t.Errorf("got %v, want %v", tt.runs, tt.want)
			}
		})
	}
}
