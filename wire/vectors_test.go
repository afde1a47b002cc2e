package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// The files of testdata, as testdata/README.md states them.
type (
	vectorFile struct {
		Format    string            `json:"format"`
		Heartbeat []vectorHeartbeat `json:"heartbeat"`
		Vectors   []vector          `json:"vectors"`
	}
	vector struct {
		Name     string          `json:"name"`
		Stream   hexBytes        `json:"stream"`
		Rules    vectorRules     `json:"rules"`
		Frames   []vectorFrame   `json:"frames"`
		Rest     int             `json:"rest"`
		Reject   *vectorReject   `json:"reject"`
		Dropping *vectorDropping `json:"dropping"`
	}
	vectorHeartbeat struct {
		Ping hexBytes `json:"ping"`
		Pong hexBytes `json:"pong"`
	}
	vectorRules struct {
		Versions   []uint32 `json:"versions"`
		Commands   []string `json:"commands"`
		MaxPayload int      `json:"max_payload"`
	}
	vectorFrame struct {
		Version uint32   `json:"version"`
		Cmd     uint32   `json:"cmd"`
		Flag    uint32   `json:"flag"`
		Payload hexBytes `json:"payload"`
	}
	vectorReject struct {
		Reason     string `json:"reason"`
		Offset     int    `json:"offset"`
		Got        uint64 `json:"got"`
		Want       uint64 `json:"want"`
		Skip       int    `json:"skip"`
		KnownAfter int    `json:"known_after"`
	}
	vectorDropping struct {
		Frames   []vectorFrame `json:"frames"`
		Rest     int           `json:"rest"`
		Skipping int           `json:"skipping"`
	}
)

// hexBytes is bytes as the vectors write them: "474f5052 0001 a5*256".
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	*h = hexBytes{}
	for word := range strings.FieldsSeq(string(text)) {
		digits, times, repeated := strings.Cut(word, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return fmt.Errorf("%q: %w", word, err)
		}
		if repeated {
			n, err := strconv.Atoi(times)
			if err != nil || len(b) != 1 {
				return fmt.Errorf("%q: want one byte and how often, such as 00*16", word)
			}
			b = bytes.Repeat(b, n)
		}
		*h = append(*h, b...)
	}
	return nil
}

// loadVectors reads the vectors of a format, of which kind is good or bad.
func loadVectors(t testing.TB, f *Format, kind string) []vector {
	t.Helper()
	return loadVectorFile(t, f, kind).Vectors
}

func loadVectorFile(t testing.TB, f *Format, kind string) vectorFile {
	t.Helper()
	file := "testdata/" + f.Name() + "_" + kind + ".json"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vf vectorFile
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&vf); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if vf.Format != f.Name() || len(vf.Vectors) == 0 {
		t.Fatalf("%s: format %q with %d vectors", file, vf.Format, len(vf.Vectors))
	}
	return vf
}

func (v *vector) rules(t testing.TB) Rules {
	t.Helper()
	r := Rules{Versions: v.Rules.Versions, MaxPayload: v.Rules.MaxPayload}
	if v.Rules.Commands != nil {
		r.Commands = NewCommandSet()
		for _, s := range v.Rules.Commands {
			cr, err := ParseCommandRange(s)
			if err != nil {
				t.Fatal(err)
			}
			r.Commands.Add(cr)
		}
	}
	return r
}

func (r *vectorReject) reject(t testing.TB) RejectError {
	t.Helper()
	for _, reason := range Reasons() {
		if reason.String() == r.Reason {
			return RejectError{Reason: reason, Offset: r.Offset, Got: r.Got, Want: r.Want, Skip: r.Skip}
		}
	}
	t.Fatalf("no reason %q", r.Reason)
	return RejectError{}
}

func toFrames(vs []vectorFrame) []Frame {
	var fs []Frame
	for _, v := range vs {
		fs = append(fs, Frame{Version: v.Version, Cmd: v.Cmd, Flag: v.Flag, Payload: v.Payload})
	}
	return fs
}

// eachVector runs f for each vector of a kind of every built-in format, by
// every path that a decoder of it can go.
func eachVector(t *testing.T, kind string, f func(t *testing.T, v *vector, d *Decoder)) {
	for _, format := range BuiltIn() {
		paths := map[string]*Format{"itself": format, "by layout": byLayout(format)}
		if format == GOPR {
			paths = everyPath
		}
		for _, v := range loadVectors(t, format, kind) {
			for path, format := range paths {
				t.Run(format.Name()+"/"+v.Name+"/"+path, func(t *testing.T) {
					f(t, &v, newDecoder(t, format, v.rules(t)))
				})
			}
		}
	}
}

// checkEverySplit compares the reading in one piece with that in any two
// pieces and with that one byte at a time.
func checkEverySplit(t *testing.T, d *Decoder, stream []byte, whole outcome) {
	t.Helper()
	for cut := range len(stream) {
		if got := receive(t, d, stream, cut, len(stream)); !sameOutcome(got, whole) {
			t.Fatalf("split at %d: got %+v, in one piece %+v", cut, got, whole)
		}
	}
	if got := receive(t, d, stream, everyByte(stream)...); !sameOutcome(got, whole) {
		t.Fatalf("byte by byte: got %+v, in one piece %+v", got, whole)
	}
}

func TestGoodVectors(t *testing.T) {
	eachVector(t, "good", func(t *testing.T, v *vector, d *Decoder) {
		whole := receive(t, d, v.Stream, len(v.Stream))
		if whole.reject != nil {
			t.Fatalf("rejected at %d: %v", whole.at, whole.reject)
		}
		if !sameFrames(whole.frames, toFrames(v.Frames)) {
			t.Fatalf("frames\n%+v, want\n%+v", whole.frames, v.Frames)
		}
		if whole.rest != v.Rest {
			t.Errorf("%d bytes are left, want %d", whole.rest, v.Rest)
		}
		checkEverySplit(t, d, v.Stream, whole)
	})
}

// The encoders make, byte for byte, the streams that the decoder reads.
func TestGoodVectorsEncoded(t *testing.T) {
	for _, format := range BuiltIn() {
		for _, v := range loadVectors(t, format, "good") {
			t.Run(format.Name()+"/"+v.Name, func(t *testing.T) {
				var byFormat, byAppendFrame []byte
				version1 := true
				for _, f := range v.Frames {
					var err error
					if byFormat, err = format.Append(byFormat, f.Version, f.Cmd, f.Flag, f.Payload); err != nil {
						t.Fatal(err)
					}
					byAppendFrame = AppendFrame(byAppendFrame, uint8(f.Cmd), uint8(f.Flag), f.Payload)
					version1 = version1 && f.Version == Version
				}
				want := v.Stream[:len(v.Stream)-v.Rest]
				if !bytes.Equal(byFormat, want) {
					t.Errorf("Format.Append made\n%x, want\n%x", byFormat, want)
				}
				if format == GOPR && version1 && !bytes.Equal(byAppendFrame, want) {
					t.Errorf("AppendFrame made\n%x, want\n%x", byAppendFrame, want)
				}
			})
		}
	}
}

// A ping is known as one, and answered byte for byte as the vectors say; no
// other frame is a ping.
func TestHeartbeatVectors(t *testing.T) {
	for _, format := range BuiltIn() {
		t.Run(format.Name(), func(t *testing.T) {
			d := newDecoder(t, format, Rules{})
			pings := loadVectorFile(t, format, "good").Heartbeat
			if (len(pings) > 0) != (format.Layout().Heartbeat.Ping.Cmd != nil) {
				t.Fatalf("%d pings in the vectors", len(pings))
			}
			for _, v := range pings {
				var ping, pong Frame
				if n, err := d.Next(v.Ping, &ping); n != len(v.Ping) || err != nil || !format.IsPing(&ping) {
					t.Fatalf("%x: %d, %v, a ping: %t", v.Ping, n, err, format.IsPing(&ping))
				}
				if got := format.AppendPong([]byte("before"), &ping); string(got) != "before"+string(v.Pong) {
					t.Errorf("%x: pong\n%x, want\n%x", v.Ping, got, v.Pong)
				}
				if n, err := d.Next(v.Pong, &pong); n != len(v.Pong) || err != nil || !format.IsPong(&pong) {
					t.Errorf("%x: %d, %v, a pong: %t", v.Pong, n, err, format.IsPong(&pong))
				}
				got, err := format.AppendPing(nil, ping.Payload)
				if err != nil || !bytes.Equal(got, v.Ping) {
					t.Errorf("AppendPing made\n%x, %v, want\n%x", got, err, v.Ping)
				}
			}
			for _, v := range loadVectors(t, format, "good") {
				for _, f := range toFrames(v.Frames) {
					isPing := f.Cmd == 1 && (format == MC || format == GOPR && f.Flag&FlagReq != 0)
					if format.IsPing(&f) != isPing {
						t.Errorf("%s: %+v is a ping: %t", v.Name, f, !isPing)
					}
				}
			}
		})
	}
}

func TestBadVectors(t *testing.T) {
	eachVector(t, "bad", func(t *testing.T, v *vector, d *Decoder) {
		want := v.Reject.reject(t)
		whole := receive(t, d, v.Stream, len(v.Stream))
		if whole.reject == nil {
			t.Fatalf("not rejected, want %v", &want)
		}
		if *whole.reject != want {
			t.Fatalf("reject %+v, want %+v", *whole.reject, want)
		}
		if !sameFrames(whole.frames, toFrames(v.Frames)) {
			t.Fatalf("frames before it\n%+v, want\n%+v", whole.frames, v.Frames)
		}
		checkEverySplit(t, d, v.Stream, whole)

		// From the first byte that decides it on, and not before.
		bad := v.Stream[whole.at:]
		for k := range len(bad) + 1 {
			checkVerdict(t, d, bad[:k:k], k >= v.Reject.KnownAfter, want)
		}
	})
}

// checkVerdict holds Next and Header to the same verdict on a bad frame.
func checkVerdict(t *testing.T, d *Decoder, b []byte, known bool, want RejectError) {
	t.Helper()
	for name, read := range map[string]func([]byte, *Frame) (int, error){"Next": d.Next, "Header": d.Header} {
		if name == "Header" && want.Reason >= ReasonChecksum {
			continue // that is not in the header
		}
		var f Frame
		n, err := read(b, &f)
		var reject *RejectError
		switch {
		case n != 0 || f.Raw != nil || f.Payload != nil || f.Version+f.Cmd+f.Flag != 0:
			t.Fatalf("%s of %d bytes = %d, frame %+v, want 0 and the frame left alone", name, len(b), n, f)
		case !known && err != nil:
			t.Fatalf("%s of %d bytes: rejected too early: %v", name, len(b), err)
		case known && !errors.As(err, &reject):
			t.Fatalf("%s of %d bytes: not rejected (%v), want %v", name, len(b), err, &want)
		case known && *reject != want:
			t.Fatalf("%s of %d bytes: %+v, want %+v", name, len(b), *reject, want)
		}
	}
}

func TestBadVectorsDropping(t *testing.T) {
	eachVector(t, "bad", func(t *testing.T, v *vector, d *Decoder) {
		if v.Dropping == nil {
			if v.Reject.Reason == "magic" || v.Reject.Skip > 0 {
				t.Fatalf("a vector of reason %s that skips %d must say what dropping finds", v.Reject.Reason, v.Reject.Skip)
			}
			return
		}
		want := append(toFrames(v.Frames), toFrames(v.Dropping.Frames)...)
		check := func(ends ...int) {
			t.Helper()
			got := receiveDropping(t, d, v.Stream, ends...)
			if !sameFrames(got.frames, want) {
				t.Fatalf("in pieces to %v: frames\n%+v, want\n%+v", ends, got.frames, want)
			}
			if got.rest != v.Dropping.Rest || got.skipping != v.Dropping.Skipping {
				t.Fatalf("in pieces to %v: rest %d, skipping %d, want %d and %d",
					ends, got.rest, got.skipping, v.Dropping.Rest, v.Dropping.Skipping)
			}
		}
		check(len(v.Stream))
		check(everyByte(v.Stream)...)
		for cut := range len(v.Stream) {
			check(cut, len(v.Stream))
		}
	})
}

// The vectors are worth little if one reason, or one byte of a magic, has none.
func TestVectorsCoverEveryReason(t *testing.T) {
	offsets := map[string]bool{}
	for _, v := range loadVectors(t, GOPR, "bad") {
		offsets[fmt.Sprintf("%s %d", v.Reject.Reason, v.Reject.Offset)] = true
	}
	for _, v := range loadVectors(t, MC, "bad") {
		offsets[v.Reject.Reason] = true
	}
	for _, want := range []string{"magic", "version", "length", "command", "checksum", "magic 0", "magic 1", "magic 2", "magic 3", "version 4", "length 6", "command 8"} {
		if !offsets[want] {
			t.Errorf("no bad vector has %s", want)
		}
	}
}
