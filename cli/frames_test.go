package cli

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// found is what a frameReader says of a stream: the frames with their bytes, and how it ends.
type found struct {
	at       []int64
	payloads []string
	err      error
	end      int64
}

func readAll(r *frameReader) (got found) {
	var f wire.Frame
	for {
		err := r.next(&f)
		if err != nil {
			got.err, got.end = err, r.at
			return got
		}
		got.at = append(got.at, r.frame)
		got.payloads = append(got.payloads, string(f.Payload))
	}
}

// splits are the ways in which a stream may come.
func splits(stream string) map[string]io.Reader {
	return map[string]io.Reader{
		"at once":             strings.NewReader(stream),
		"byte by byte":        iotest.OneByteReader(strings.NewReader(stream)),
		"by halves":           iotest.HalfReader(strings.NewReader(stream)),
		"the end with a byte": iotest.DataErrReader(strings.NewReader(stream)),
	}
}

func TestFrameReader(t *testing.T) {
	hello, empty, large := frame(0x10, 1, "hello"), frame(1, 1, ""), frame(0x20, 0, strings.Repeat("x", wire.MaxPayload))
	tests := []struct {
		name     string
		stream   string
		at       []int64
		payloads []string
		err      string
	}{
		{"nothing", "", nil, nil, "EOF"},
		{"one frame", hello, []int64{0}, []string{"hello"}, "EOF"},
		{"frames", hello + empty + hello, []int64{0, 15, 25}, []string{"hello", "", "hello"}, "EOF"},
		{"the largest frames", large + large + large + empty, []int64{0, 65545, 131090, 196635}, []string{large[10:], large[10:], large[10:], ""}, "EOF"},
		{
			"the end in a header", hello + "GOP",
			[]int64{0},
			[]string{"hello"},
			"the stream ends inside a frame: it begins at byte 15, and has 3 of the 10 bytes of its header",
		},
		{
			"the end in a payload", hello + hello[:12],
			[]int64{0},
			[]string{"hello"},
			"the stream ends inside a frame: it begins at byte 15, and has 12 of its 15 bytes",
		},
		{"a wrong magic", hello + "GOPX", []int64{0}, []string{"hello"}, "wrong magic: byte 3 is 0x58, want 0x52"},
		{"a wrong version", hello + "GOPR\x00\x02\x00\x00", []int64{0}, []string{"hello"}, "version 2 at byte 4 is not accepted, want 1"},
	}
	for _, tt := range tests {
		for how, r := range splits(tt.stream) {
			if len(tt.stream) > 1<<16 && how == "byte by byte" {
				continue
			}
			t.Run(tt.name+"/"+how, func(t *testing.T) {
				got := readAll(newFrameReader(r, plain()))
				if len(got.at) != len(tt.at) {
					t.Fatalf("%d frames, want %d", len(got.at), len(tt.at))
				}
				for i, at := range tt.at {
					if got.at[i] != at || got.payloads[i] != tt.payloads[i] {
						t.Errorf("frame %d is at byte %d with a payload of %d bytes, want byte %d, %d bytes", i, got.at[i], len(got.payloads[i]), at, len(tt.payloads[i]))
					}
				}
				if got.err.Error() != tt.err {
					t.Errorf("ends with %q, want %q", got.err, tt.err)
				}
			})
		}
	}
}

// Whatever the split, the frames are those of the whole stream.
func TestFrameReaderRandomSplits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var (
			stream []byte
			want   []string
		)
		for range rnd.IntN(50) {
			p := bytes.Repeat([]byte{byte(rnd.Int())}, rnd.IntN(1<<rnd.IntN(16)))
			stream = wire.AppendFrame(stream, uint8(rnd.Int()), uint8(rnd.Int()), p)
			want = append(want, string(p))
		}
		got := readAll(newFrameReader(&randomPieces{rnd, stream}, plain()))
		if !errors.Is(got.err, io.EOF) || strings.Join(got.payloads, "|") != strings.Join(want, "|") || got.end != int64(len(stream)) {
			t.Fatalf("%d frames in %d bytes, then %v; want %d in %d", len(got.payloads), got.end, got.err, len(want), len(stream))
		}
	}
}

// randomPieces reads in pieces of any size, none included.
type randomPieces struct {
	rnd  *rand.Rand
	rest []byte
}

func (r *randomPieces) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest[:min(len(r.rest), r.rnd.IntN(1<<r.rnd.IntN(18)))])
	r.rest = r.rest[n:]
	return n, nil
}

// A reject is given again until the reader is told how to go on.
func TestFrameReaderGoesOn(t *testing.T) {
	version2 := "GOPR\x00\x02\x00\x03\x10\x00two"
	stream := frame(0x10, 0, "a") + version2 + frame(0x10, 0, "b") + "garbage" + frame(0x10, 0, "c")
	for how, in := range splits(stream) {
		t.Run(how, func(t *testing.T) {
			r := newFrameReader(in, plain())
			var (
				f    wire.Frame
				got  string
				errs []int64
			)
			for {
				err := r.next(&f)
				var reject *wire.RejectError
				switch {
				case err == nil:
					got += string(f.Payload)
				case errors.As(err, &reject):
					if again := r.next(&f); again.Error() != err.Error() {
						t.Fatalf("%v, then %v", err, again)
					}
					errs = append(errs, r.frame)
					if reject.Skip > 0 {
						r.skip(reject.Skip)
					} else if r.search() == 0 {
						t.Fatal("a search that skips nothing")
					}
				default:
					if !errors.Is(err, io.EOF) || got != "abc" || r.at != int64(len(stream)) {
						t.Errorf("got %q, then %v at byte %d", got, err, r.at)
					}
					if len(errs) < 2 || errs[0] != 11 || errs[1] != 35 {
						t.Errorf("rejects at %v, want 11, 35", errs)
					}
					return
				}
			}
		})
	}
}

func TestFrameReaderEndsInSkipped(t *testing.T) {
	for how, in := range splits("GOPR\x00\x02\x00\x05\x10\x00two") {
		t.Run(how, func(t *testing.T) {
			r := newFrameReader(in, plain())
			var (
				f      wire.Frame
				reject *wire.RejectError
			)
			if err := r.next(&f); !errors.As(err, &reject) {
				t.Fatal(err)
			}
			r.skip(reject.Skip)
			var cut *cutError
			if err := r.next(&f); !errors.As(err, &cut) || *cut != (cutError{At: 0, Have: 13, Want: 15}) {
				t.Errorf("%v, want it to end at byte 13 of 15", err)
			}
		})
	}
}

func TestFrameReaderErrors(t *testing.T) {
	broken := errors.New("broken")
	got := readAll(newFrameReader(io.MultiReader(strings.NewReader(frame(0x10, 0, "a")+"GO"), iotest.ErrReader(broken)), plain()))
	if !errors.Is(got.err, broken) || len(got.at) != 1 {
		t.Errorf("%d frames, then %v; want 1, %v", len(got.at), got.err, broken)
	}
	got = readAll(newFrameReader(idle{}, plain()))
	if !errors.Is(got.err, io.ErrNoProgress) {
		t.Errorf("a reader that reads nothing for ever: %v", got.err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// A stream of any length is read in the same memory.
func TestFrameReaderMemory(t *testing.T) {
	r := newFrameReader(&endless{frame: []byte(frame(0x10, 0, strings.Repeat("x", 1000)))}, plain())
	var f wire.Frame
	before := &r.buf[:1][0]
	if n := testing.AllocsPerRun(100_000, func() {
		if err := r.next(&f); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	if before != &r.buf[:1][0] || cap(r.buf) != readSize {
		t.Error("the buffer was replaced")
	}
}

type endless struct {
	frame []byte
	off   int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		got := copy(p[n:], e.frame[e.off:])
		n, e.off = n+got, (e.off+got)%len(e.frame)
	}
	return n, nil
}

func TestDescribeReject(t *testing.T) {
	tests := []struct {
		r    wire.RejectError
		want string
	}{
		{
			wire.RejectError{Reason: wire.ReasonMagic, Offset: 3, Got: 0x58, Want: 0x52},
			"byte 103: magic: got 0x58, want 0x52 (in the frame that begins at byte 100)",
		},
		{
			wire.RejectError{Reason: wire.ReasonVersion, Offset: 4, Got: 2, Want: 1},
			"byte 104: version: got 2, want 1 (in the frame that begins at byte 100)",
		},
		{
			wire.RejectError{Reason: wire.ReasonLength, Offset: 6, Got: 1000, Want: 16},
			"byte 106: length: got 1000, want at most 16 (in the frame that begins at byte 100)",
		},
		{
			wire.RejectError{Reason: wire.ReasonCommand, Offset: 8, Got: 0x0F},
			"byte 108: command: got 0x0F, want one on the allow-list (in the frame that begins at byte 100)",
		},
	}
	for _, tt := range tests {
		wantText(t, describeReject(100, &tt.r), tt.want)
	}
}
