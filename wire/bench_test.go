package wire

import (
	"fmt"
	"testing"
)

// The cost of a frame must not depend on its payload, which the decoder never
// touches.
func BenchmarkNext(b *testing.B) {
	for _, format := range []struct {
		name   string
		format *Format
	}{{"straight", GOPR}, {"compiled", twin}, {"layout", byLayout(GOPR)}} {
		for _, payload := range []int{64, 4096} {
			b.Run(fmt.Sprintf("%s/%dB", format.name, payload), func(b *testing.B) {
				d := newDecoder(b, format.format, gatewayRules())
				benchmarkNext(b, d, AppendFrame(nil, CmdApp, FlagReq, make([]byte, payload)))
			})
		}
	}
	b.Run("second version/64B", func(b *testing.B) {
		frame, err := GOPR.Append(nil, 2, CmdApp, FlagReq, make([]byte, 64))
		if err != nil {
			b.Fatal(err)
		}
		benchmarkNext(b, newDecoder(b, GOPR, gatewayRules()), frame)
	})
}

// benchmarkNext reads pieces of 64 KiB of frames, in the loop that every caller
// writes; an operation is one frame.
func benchmarkNext(b *testing.B, d *Decoder, frame []byte) {
	var piece []byte
	for len(piece) < 64<<10 {
		piece = append(piece, frame...)
	}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	var f Frame
	off := 0
	for b.Loop() {
		n, err := d.Next(piece[off:], &f)
		if err != nil {
			b.Fatal(err)
		}
		if off += n; n == 0 {
			off = 0
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	d := newDecoder(b, GOPR, gatewayRules())
	header := AppendHeader(nil, CmdApp, FlagReq, 64)
	b.ReportAllocs()
	var f Frame
	for b.Loop() {
		if size, err := d.Header(header, &f); size != HeaderLen+64 || err != nil {
			b.Fatal(size, err)
		}
	}
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, payload := range []int{0, 64, 4096} {
		b.Run(fmt.Sprintf("%dB", payload), func(b *testing.B) {
			p := make([]byte, payload)
			dst := make([]byte, 0, HeaderLen+payload)
			b.SetBytes(int64(HeaderLen + payload))
			b.ReportAllocs()
			for b.Loop() {
				dst = AppendFrame(dst[:0], CmdApp, FlagReq, p)
			}
		})
	}
}

func BenchmarkFormatAppend(b *testing.B) {
	p := make([]byte, 64)
	dst := make([]byte, 0, HeaderLen+len(p))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = GOPR.Append(dst[:0], Version, CmdApp, FlagReq, p)
	}
}

// What a reject costs bounds what garbage costs.
func BenchmarkReject(b *testing.B) {
	d := newDecoder(b, GOPR, gatewayRules())
	garbage := []byte("GET / HTTP/1.1\r\n\r\n")
	b.ReportAllocs()
	var f Frame
	for b.Loop() {
		if _, err := d.Next(garbage, &f); err == nil {
			b.Fatal("not rejected")
		}
	}
}

func BenchmarkResync(b *testing.B) {
	d := newDecoder(b, GOPR, Rules{})
	for name, fill := range map[string]byte{"zeros": 0, "first bytes": 'G'} {
		b.Run(name, func(b *testing.B) {
			garbage := make([]byte, 4096)
			for i := range garbage {
				garbage[i] = fill
			}
			b.SetBytes(int64(len(garbage)))
			for b.Loop() {
				d.Resync(garbage)
			}
		})
	}
}
