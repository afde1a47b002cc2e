package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"testing"
)

// The examples of the documentation of Netty's class, with its parameters.
func TestLengthFieldBasedFrameDecoder(t *testing.T) {
	tests := []struct {
		name                              string
		offset, length, adjustment, strip int
		in, want                          string
	}{
		{"length of the content, header kept", 0, 2, 0, 0, "\x00\x0CHELLO, WORLD", "\x00\x0CHELLO, WORLD"},
		{"length of the content, header stripped", 0, 2, 0, 2, "\x00\x0CHELLO, WORLD", "HELLO, WORLD"},
		{"length of the whole", 0, 2, -2, 0, "\x00\x0EHELLO, WORLD", "\x00\x0EHELLO, WORLD"},
		{"length at the end of the header", 2, 3, 0, 0, "\xCA\xFE\x00\x00\x0CHELLO, WORLD", "\xCA\xFE\x00\x00\x0CHELLO, WORLD"},
		{"length at the start of the header", 0, 3, 2, 0, "\x00\x00\x0C\xCA\xFEHELLO, WORLD", "\x00\x00\x0C\xCA\xFEHELLO, WORLD"},
		{"length in the middle, half stripped", 1, 2, 1, 3, "\xCA\x00\x0C\xFEHELLO, WORLD", "\xFEHELLO, WORLD"},
		{"length of the whole in the middle", 1, 2, -3, 3, "\xCA\x00\x10\xFEHELLO, WORLD", "\xFEHELLO, WORLD"},
		{"nothing but a length", 0, 1, 0, 1, "\x00", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for cut := range len(tt.in) {
				d := newLengthFieldDecoder(t, BigEndian, 100, tt.offset, tt.length, tt.adjustment, tt.strip, true)
				if frame, n, err := d.Decode([]byte(tt.in[:cut])); frame != nil || n != 0 || err != nil {
					t.Fatalf("of %d bytes: %q, %d, %v", cut, frame, n, err)
				}
				frame, n, err := d.Decode([]byte(tt.in + "next"))
				if string(frame) != tt.want || frame == nil || n != len(tt.in) || err != nil {
					t.Fatalf("%q, %d, %v, want %q, %d", frame, n, err, tt.want, len(tt.in))
				}
				if cap(frame) != len(frame) {
					t.Errorf("append would write into the next frame: capacity %d", cap(frame))
				}
			}
		})
	}
}

// What is left of a frame that is too long is discarded as it comes, and the
// next frame is read.
func TestLengthFieldDiscards(t *testing.T) {
	for _, failFast := range []bool{true, false} {
		d := newLengthFieldDecoder(t, BigEndian, 8, 0, 1, 0, 1, failFast)
		steps := []struct {
			in    string
			frame string
			n     int
			fails bool
		}{
			{"\x0Aab", "", 3, failFast},
			{"cdef", "", 4, false},
			{"ghij\x02ok", "ok", 7, false}, // the four that are left, and the frame behind them
		}
		if !failFast {
			steps[2] = steps[1]
			steps[2].in, steps[2].fails = "ghij\x02ok", true
			steps = append(steps, steps[0])
			steps[3].in, steps[3].frame, steps[3].n, steps[3].fails = "\x02ok", "ok", 3, false
		}
		for i, s := range steps {
			frame, n, err := d.Decode([]byte(s.in))
			if string(frame) != s.frame || n != s.n || (err != nil) != s.fails {
				t.Errorf("fail fast %t, step %d: %q, %d, %v, want %+v", failFast, i, frame, n, err, s)
			}
			var tooLong *TooLongFrameError
			if s.fails && (!errors.As(err, &tooLong) || *tooLong != TooLongFrameError{FrameLength: 11, MaxFrameLength: 8}) {
				t.Errorf("fail fast %t, step %d: %v", failFast, i, err)
			}
		}
	}
}

func TestLengthFieldParametersRefused(t *testing.T) {
	tests := []struct {
		max, offset, length, adjustment, strip int
		want                                   string
	}{
		{0, 0, 1, 0, 0, "maxFrameLength: 0 (expected: > 0)"},
		{9, -1, 1, 0, 0, "lengthFieldOffset: -1 (expected: >= 0)"},
		{9, 0, 1, 0, -2, "initialBytesToStrip: -2 (expected: >= 0)"},
		{9, 0, 5, 0, 0, "lengthFieldLength must be either 1, 2, 3, 4, or 8: 5"},
		{9, 0, 0, 0, 0, "lengthFieldLength must be either 1, 2, 3, 4, or 8: 0"},
		{5, 2, 4, 0, 0, "maxFrameLength (5) must be equal to or greater than lengthFieldOffset (2) + lengthFieldLength (4)."},
		{1 << 31, 2, 4, 0, 0, "maxFrameLength: 2147483648 (expected: a number of 32 bits)"},
		{9, 0, 1, math.MinInt32 - 1, 0, "lengthAdjustment: -2147483649 (expected: a number of 32 bits)"},
	}
	for _, tt := range tests {
		d, err := NewLengthFieldBasedFrameDecoder(BigEndian, tt.max, tt.offset, tt.length, tt.adjustment, tt.strip, true)
		if d != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%+v: %v, %v", tt, d, err)
		}
	}
	if p, err := NewLengthFieldPrepender(BigEndian, 6, 0, false); p != nil || err == nil {
		t.Errorf("a length field of 6 bytes: %v, %v", p, err)
	}
	if p, err := NewLengthFieldPrepender(BigEndian, 4, 1<<31, false); p != nil || err == nil {
		t.Errorf("an adjustment over 32 bits: %v, %v", p, err)
	}
}

func TestLengthFieldPrepender(t *testing.T) {
	tests := []struct {
		order      ByteOrder
		length     int
		adjustment int
		includes   bool
		want       string // "" where it is an error
		err        string
	}{
		{BigEndian, 2, 0, false, "\x00\x0CHELLO, WORLD", ""},
		{BigEndian, 2, 0, true, "\x00\x0EHELLO, WORLD", ""},
		{LittleEndian, 3, 0, false, "\x0C\x00\x00HELLO, WORLD", ""},
		{BigEndian, 8, -2, false, "\x00\x00\x00\x00\x00\x00\x00\x0AHELLO, WORLD", ""},
		{BigEndian, 1, 243, false, "\xFFHELLO, WORLD", ""},
		{BigEndian, 1, 244, false, "", "length does not fit into a byte: 256"},
		{BigEndian, 2, 1 << 16, false, "", "length does not fit into a short integer: 65548"},
		{BigEndian, 3, 1 << 24, false, "", "length does not fit into a medium integer: 16777228"},
		{BigEndian, 4, -13, false, "", "length: -1 (expected: >= 0)"},
	}
	for _, tt := range tests {
		p, err := NewLengthFieldPrepender(tt.order, tt.length, tt.adjustment, tt.includes)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Append([]byte("before"), []byte("HELLO, WORLD"))
		if string(got) != "before"+tt.want || fmt.Sprint(err) != tt.err && tt.err != "" || tt.err == "" && err != nil {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
}

// What the one writes the other reads, and neither allocates.
func TestLengthFieldRoundTrip(t *testing.T) {
	msg := []byte("HELLO, WORLD")
	buf := make([]byte, 0, 64)
	for _, order := range []ByteOrder{BigEndian, LittleEndian} {
		for _, length := range []int{1, 2, 3, 4, 8} {
			p, err := NewLengthFieldPrepender(order, length, 0, true)
			if err != nil {
				t.Fatal(err)
			}
			d := newLengthFieldDecoder(t, order, 64, 0, length, -length, length, true)
			run := func() bool {
				out, err := p.Append(buf, msg)
				frame, n, err2 := d.Decode(out)
				return err == nil && err2 == nil && bytes.Equal(frame, msg) && n == len(out)
			}
			if !run() {
				t.Fatalf("%v, %d bytes: not read back", order, length)
			}
			if n := testing.AllocsPerRun(100, func() { run() }); n != 0 {
				t.Errorf("%v, %d bytes: %v allocations", order, length, n)
			}
		}
	}
}

func newLengthFieldDecoder(t testing.TB, order ByteOrder, maxFrame, offset, length, adjustment, strip int, failFast bool) *LengthFieldBasedFrameDecoder {
	t.Helper()
	d, err := NewLengthFieldBasedFrameDecoder(order, maxFrame, offset, length, adjustment, strip, failFast)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
