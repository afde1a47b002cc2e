package wire

import (
	"bytes"
	"fmt"
	"hash/adler32"
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// The check values that catalogues of such algorithms have.
func TestChecksumOf123456789(t *testing.T) {
	want := map[string]struct {
		size int
		sum  uint32
	}{
		"crc32":        {4, 0xCBF43926},
		"crc32c":       {4, 0xE3069283},
		"crc16-ccitt":  {2, 0x29B1},
		"crc16-modbus": {2, 0x4B37},
		"adler32":      {4, 0x091E01DE},
		"xor8":         {1, 0x31},
		"sum8":         {1, 0xDD},
		"none":         {0, 0},
	}
	if len(want) != len(algorithmNames) {
		t.Errorf("%d algorithms are tested of %d", len(want), len(algorithmNames))
	}
	for name, w := range want {
		a, err := ParseAlgorithm(name)
		if err != nil || a.String() != name || a.Size() != w.size {
			t.Errorf("%s: %v of %d bytes, %v", name, a, a.Size(), err)
		}
		in := []byte("123456789")
		for cut := range len(in) {
			if sum := a.update(a.update(a.start(), in[:cut]), in[cut:]); sum != w.sum {
				t.Errorf("%s, split at %d: %#x, want %#x", name, cut, sum, w.sum)
			}
		}
	}
	if a, err := ParseAlgorithm("md5"); a != NoChecksum || err == nil {
		t.Errorf("md5: %v, %v", a, err)
	}
	if got := Algorithm(99).String(); got != "algorithm(99)" {
		t.Error(got)
	}
}

// Long inputs, at which sums overflow, against the standard library.
func TestChecksumOfMuch(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, 5551, 5552, 5553, 20000} {
		for _, b := range [][]byte{randomBytes(r, n), bytes.Repeat([]byte{0xFF}, n)} {
			if got, want := Adler32.update(1, b), adler32.Checksum(b); got != want {
				t.Errorf("adler32 of %d bytes: %#x, want %#x", n, got, want)
			}
			if got, want := CRC32C.update(0, b), crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)); got != want {
				t.Errorf("crc32c of %d bytes: %#x, want %#x", n, got, want)
			}
			var sum byte
			for _, c := range b {
				sum += c
			}
			if got := Sum8.update(0, b); got != uint32(sum) {
				t.Errorf("sum8 of %d bytes: %#x, want %#x", n, got, sum)
			}
		}
	}
}

// Which bytes a checksum is over, and where it stands. The sum of bytes makes
// it plain: each byte of the frame counts once, or not at all.
func TestChecksumCovers(t *testing.T) {
	base := Layout{Magic: []byte{1, 2}, Cmd: Field{Offset: 2, Size: 1}, LengthFieldOffset: 3, LengthFieldLength: 1}
	tests := []struct {
		name     string
		checksum Checksum
		want     string // of cmd 0x10 and the payload 0x40 0x80
	}{
		{"all but itself", Checksum{Algorithm: Sum8, Offset: 4}, "\x01\x02\x10\x02\xD5\x40\x80"},
		{"in the middle of what it covers", Checksum{Algorithm: Sum8, Offset: 5}, "\x01\x02\x10\x02\x00\xD5\x40\x80"},
		{"a range and the payload", Checksum{Algorithm: Sum8, Offset: 4, Covers: []Range{{2, 3}}, CoversPayload: true}, "\x01\x02\x10\x02\xD0\x40\x80"},
		{"the payload alone", Checksum{Algorithm: Sum8, Offset: 4, CoversPayload: true}, "\x01\x02\x10\x02\xC0\x40\x80"},
		{"the header alone", Checksum{Algorithm: Sum8, Offset: 4, Covers: []Range{{0, 4}}}, "\x01\x02\x10\x02\x15\x40\x80"},
		{"behind the payload, all", Checksum{Algorithm: Sum8, Trailer: true}, "\x01\x02\x10\x02\x40\x80\xD5"},
		{"behind the payload, two ranges", Checksum{Algorithm: Sum8, Trailer: true, Covers: []Range{{3, 4}, {0, 1}}}, "\x01\x02\x10\x02\x40\x80\x03"},
		{"behind the payload, the end of the header", Checksum{Algorithm: Sum8, Trailer: true, Covers: []Range{{0, 1}, {2, 4}}, CoversPayload: true}, "\x01\x02\x10\x02\x40\x80\xD3"},
	}
	for _, tt := range tests {
		for _, trailer := range []string{"", "\r\n"} {
			l := base
			l.Checksum, l.Trailer = tt.checksum, []byte(trailer)
			f, err := NewFormat("sums", l)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			got, err := f.Append([]byte("before"), 0, 0x10, 0, []byte{0x40, 0x80})
			if err != nil || string(got) != "before"+tt.want+trailer {
				t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want+trailer)
				continue
			}
			got = got[len("before"):]
			d := newDecoder(t, f, Rules{})
			var frame Frame
			if n, err := d.Next(got, &frame); n != len(got) || err != nil || !bytes.Equal(frame.Payload, []byte{0x40, 0x80}) {
				t.Errorf("%s: %d, %v, %+v", tt.name, n, err, frame)
			}
			if trailer == "" {
				continue
			}
			got[len(got)-1] = 0
			_, err = d.Next(got, &frame)
			want := RejectError{ReasonMalformed, len(got) - 1, 0, '\n', len(got)}
			if reject, ok := err.(*RejectError); !ok || *reject != want || err.Error() != fmt.Sprintf("wrong trailer: byte %d is 0x00, want 0x0A", len(got)-1) {
				t.Errorf("%s: %v, want %+v", tt.name, err, want)
			}
		}
	}
}
