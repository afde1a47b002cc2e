package wire

import (
	"encoding/binary"
	"math/bits"
	"testing"
	"unsafe"
)

// Frames of 64 bytes of payload of every built-in format; a checksum is most of
// what mc and fram cost.
func BenchmarkNextBuiltIn(b *testing.B) {
	for _, format := range BuiltIn() {
		b.Run(format.Name(), func(b *testing.B) {
			frame, err := format.Append(nil, uint32(min(format.version.max(), 1)), 0, 0, make([]byte, 64))
			if err != nil {
				b.Fatal(err)
			}
			benchmarkNext(b, newDecoder(b, format, Rules{}), frame)
		})
	}
}

func BenchmarkFormatAppendDeclared(b *testing.B) {
	for _, format := range []*Format{twin, MC} {
		b.Run(format.Name(), func(b *testing.B) {
			p := make([]byte, 64)
			dst := make([]byte, 0, 128)
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = format.Append(dst[:0], 1, 1, 0, p)
			}
		})
	}
}

// What the gateway asks of each frame.
func BenchmarkMatch(b *testing.B) {
	frame := Frame{Cmd: CmdApp, Flag: FlagReq}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if GOPR.IsPing(&frame) {
			n++
		}
		if GOPR.Asks(&frame) {
			n++
		}
	}
	if n != b.N {
		b.Fatal(n, b.N)
	}
}

func BenchmarkLengthFieldBasedFrameDecoder(b *testing.B) {
	d := newLengthFieldDecoder(b, BigEndian, 1<<20, 0, 4, 0, 4, true)
	frame := make([]byte, 68)
	frame[3] = 64
	b.ReportAllocs()
	for b.Loop() {
		if f, _, err := d.Decode(frame); len(f) != 64 || err != nil {
			b.Fatal(len(f), err)
		}
	}
}

// A header read by encoding/binary, as the package does it, and by laying a
// struct over the bytes: the second has to earn its unsafe, by more than 10 %.
func BenchmarkHeaderAccess(b *testing.B) {
	headers := make([][]byte, 64)
	for i := range headers {
		headers[i] = AppendHeader(make([]byte, 0, HeaderLen), uint8(i), FlagReq, i)
	}
	for name, access := range map[string]func([][]byte) uint32{"encoding binary": accessBinary, "unsafe overlay": accessOverlay} {
		b.Run(name, func(b *testing.B) {
			want := accessBinary(headers)
			for b.Loop() {
				if access(headers) != want {
					b.Fatal("read something else")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(headers)), "ns/header")
		})
	}
}

func accessBinary(headers [][]byte) (sum uint32) {
	for _, h := range headers {
		if len(h) < HeaderLen || binary.BigEndian.Uint32(h) != Magic || binary.BigEndian.Uint16(h[OffsetVersion:]) != Version {
			return 0
		}
		sum += uint32(binary.BigEndian.Uint16(h[OffsetLength:])) ^ uint32(h[OffsetCmd]) ^ uint32(h[OffsetFlag])<<8
	}
	return sum
}

// accessOverlay is for little-endian machines, which is enough to compare on.
func accessOverlay(headers [][]byte) (sum uint32) {
	type header struct {
		magic           uint32
		version, length uint16
		cmd, flag       uint8
	}
	for _, b := range headers {
		if len(b) < HeaderLen {
			return 0
		}
		h := (*header)(unsafe.Pointer(unsafe.SliceData(b)))
		if bits.ReverseBytes32(h.magic) != Magic || bits.ReverseBytes16(h.version) != Version {
			return 0
		}
		sum += uint32(bits.ReverseBytes16(h.length)) ^ uint32(h.cmd) ^ uint32(h.flag)<<8
	}
	return sum
}
