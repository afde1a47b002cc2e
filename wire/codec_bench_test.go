package wire

import (
	"encoding/binary"
	"math"
	"testing"
)

// sample is a payload as devices send it: 20 bytes.
type sample struct {
	Device uint32
	At     int64
	Value  float32
	Status uint16
	Seq    uint16
}

var sampleValue = sample{Device: 42, At: 1_760_000_000_000_000_000, Value: 21.5, Status: 1, Seq: 7}

// What the layout done once is worth, against encoding/binary, which looks at the type for every value.
func BenchmarkCodecMarshal(b *testing.B) {
	dst := make([]byte, 0, 256)
	b.Run("fixed", func(b *testing.B) {
		c := MustFixed[sample](BigEndian)
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.MarshalAppend(dst, sampleValue)
		}
	})
	b.Run("fixed behind Codec", func(b *testing.B) {
		c := Codec[sample](MustFixed[sample](BigEndian))
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.MarshalAppend(dst, sampleValue)
		}
	})
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = appendSample(dst, &sampleValue)
		}
	})
	b.Run("encoding/binary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = binary.Append(dst, binary.BigEndian, &sampleValue)
		}
	})
	b.Run("json", func(b *testing.B) {
		c := JSON[sample]{}
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.MarshalAppend(dst, sampleValue)
		}
	})
}

func BenchmarkCodecUnmarshal(b *testing.B) {
	payload := appendSample(nil, &sampleValue)
	var v sample
	b.Run("fixed", func(b *testing.B) {
		c := MustFixed[sample](BigEndian)
		b.ReportAllocs()
		for b.Loop() {
			_ = c.Unmarshal(payload, &v)
		}
	})
	b.Run("encoding/binary", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = binary.Decode(payload, binary.BigEndian, &v)
		}
	})
	b.Run("json", func(b *testing.B) {
		text, err := JSON[sample]{}.MarshalAppend(nil, sampleValue)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			_ = JSON[sample]{}.Unmarshal(text, &v)
		}
	})
}

func appendSample(dst []byte, s *sample) []byte {
	dst = binary.BigEndian.AppendUint32(dst, s.Device)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.At))
	dst = binary.BigEndian.AppendUint32(dst, math.Float32bits(s.Value))
	dst = binary.BigEndian.AppendUint16(dst, s.Status)
	return binary.BigEndian.AppendUint16(dst, s.Seq)
}
