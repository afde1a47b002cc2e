package wire

import (
	"bytes"
	"errors"
	"testing"
	"unsafe"
)

// outcome is what a receiver makes of a stream. The frames lie in the stream.
type outcome struct {
	frames []Frame
	reject *RejectError // nil where the stream was never wrong
	at     int          // where in the stream the rejected frame begins
	rest   int          // bytes of a frame not yet complete
}

// receive reads stream as a receiver does that closes at the first reject. The
// stream comes in pieces that end at the offsets ends, of which the last is its
// length; it is never copied, and a decoder sees no byte behind a piece.
func receive(t testing.TB, d *Decoder, stream []byte, ends ...int) outcome {
	t.Helper()
	var o outcome
	off := 0
	for _, end := range ends {
		for {
			piece := stream[off:end:end]
			f := Frame{Cmd: 0xDEAD}
			n, err := d.Next(piece, &f)
			if err != nil {
				if n != 0 || f.Cmd != 0xDEAD || f.Raw != nil {
					t.Fatalf("reject with n = %d and frame %+v, want 0 and the frame left alone", n, f)
				}
				if !errors.As(err, &o.reject) {
					t.Fatalf("err is a %T, want *RejectError", err)
				}
				o.at = off
				return o
			}
			if n == 0 {
				if f.Cmd != 0xDEAD || f.Raw != nil {
					t.Fatalf("n = 0 but the frame was written: %+v", f)
				}
				break
			}
			checkShape(t, d, piece, n, f)
			o.frames = append(o.frames, f)
			off += n
		}
	}
	o.rest = len(stream) - off
	return o
}

// checkShape holds a frame to what its documentation says about its slices.
func checkShape(t testing.TB, d *Decoder, piece []byte, n int, f Frame) {
	t.Helper()
	if n != len(f.Raw) || n > len(piece) {
		t.Fatalf("n = %d, len(Raw) = %d, piece of %d bytes", n, len(f.Raw), len(piece))
	}
	if unsafe.SliceData(f.Raw) != unsafe.SliceData(piece) {
		t.Fatal("Raw does not lie at the beginning of the piece")
	}
	if f.Payload == nil || len(f.Payload) != n-d.format.payloadAt-d.format.tailLen {
		t.Fatalf("payload of %d bytes (nil: %t) in a frame of %d", len(f.Payload), f.Payload == nil, n)
	}
	if len(f.Payload) > 0 && &f.Payload[0] != &piece[d.format.payloadAt] {
		t.Fatal("Payload does not lie behind the header")
	}
	if cap(f.Raw) != n || cap(f.Payload) != len(f.Payload) {
		t.Fatalf("append would write into the next frame: cap(Raw) = %d, cap(Payload) = %d", cap(f.Raw), cap(f.Payload))
	}
}

// sameOutcome compares two readings of one stream: the frames must lie at the
// same place.
func sameOutcome(a, b outcome) bool {
	if len(a.frames) != len(b.frames) || a.at != b.at || a.rest != b.rest {
		return false
	}
	for i, f := range a.frames {
		g := b.frames[i]
		if f.Version != g.Version || f.Cmd != g.Cmd || f.Flag != g.Flag || len(f.Raw) != len(g.Raw) ||
			unsafe.SliceData(f.Raw) != unsafe.SliceData(g.Raw) {
			return false
		}
	}
	if a.reject == nil || b.reject == nil {
		return a.reject == b.reject
	}
	return *a.reject == *b.reject
}

// dropped is what a receiver makes of a stream that drops what it rejects.
type dropped struct {
	frames   []Frame
	rest     int // bytes of a frame not yet complete
	skipping int // bytes of a dropped frame that are still to come
}

// receiveDropping reads on after a reject, as `on_invalid drop` does. It stops
// after a wrong length.
func receiveDropping(t testing.TB, d *Decoder, stream []byte, ends ...int) dropped {
	t.Helper()
	var o dropped
	off := 0
	for _, end := range ends {
		for off <= end {
			piece := stream[off:end:end]
			var f Frame
			n, err := d.Next(piece, &f)
			var reject *RejectError
			switch {
			case err == nil && n == 0:
			case err == nil:
				o.frames = append(o.frames, f)
				off += n
				continue
			case errors.As(err, &reject) && reject.Skip > 0:
				off += reject.Skip
				continue
			case reject.Reason == ReasonMagic:
				n := d.Resync(piece)
				if n == 0 {
					t.Fatalf("Resync(%x) = 0 after %v", piece, reject)
				}
				off += n
				continue
			default:
				return o
			}
			break
		}
	}
	o.rest = max(0, len(stream)-off)
	o.skipping = max(0, off-len(stream))
	return o
}

func sameFrames(a, b []Frame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Version != b[i].Version || a[i].Cmd != b[i].Cmd || a[i].Flag != b[i].Flag || !bytes.Equal(a[i].Payload, b[i].Payload) {
			return false
		}
	}
	return true
}

// everyByte is the ends of a stream that comes one byte at a time.
func everyByte(stream []byte) []int {
	ends := make([]int, len(stream))
	for i := range ends {
		ends[i] = i + 1
	}
	return ends
}

func newDecoder(t testing.TB, f *Format, r Rules) *Decoder {
	t.Helper()
	d, err := f.NewDecoder(r)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// gatewayRules is a set of rules that uses all of them.
func gatewayRules() Rules {
	return Rules{
		Versions:   []uint32{1, 2},
		Commands:   NewCommandSet(CommandRange{CmdPing, CmdPong}, CommandRange{CmdApp, 0xFF}),
		MaxPayload: 4096,
	}
}

// twin is GOPR as it would be declared in a configuration: it goes by the
// compiled path.
var twin = mustFormat("twin", GOPR.Layout())

// byLayout is a format without its straight path: every frame goes by the
// layout.
func byLayout(f *Format) *Format {
	slow := *f
	slow.path = pathLayout
	return &slow
}

// everyPath is GOPR by each way that a decoder can go.
var everyPath = map[string]*Format{"straight": GOPR, "compiled": twin, "by layout": byLayout(GOPR)}
