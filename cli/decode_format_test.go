package cli

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// The vectors of every built-in format, which Python has computed, are decoded to what they say.
func TestDecodeVectors(t *testing.T) {
	for _, name := range builtIn() {
		for _, kind := range []string{"good", "bad"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				for _, v := range vectors(t, name+"_"+kind) {
					if v.Rules != nil {
						continue // those of wire's tests alone
					}
					a := decodeArgs{formatArgs: formatArgs{format: name}, json: true, onInvalid: "close"}
					std, out, _ := terminal(v.bytes(t))
					code, err := decode(t.Context(), a, std)
					var lines []decodedLine
					for line := range strings.Lines(out.String()) {
						var l decodedLine
						if err := json.Unmarshal([]byte(line), &l); err != nil {
							t.Fatal(err)
						}
						lines = append(lines, l)
					}
					v.check(t, lines, code, err)
				}
			})
		}
	}
}

// decodedLine is a frameLine that can be read again.
type decodedLine struct {
	frameJSON
	Reject     *rejectJSON
	Incomplete *incompleteJSON
}

// vector is one of a file in wire/testdata, whose README says what it has.
type vector struct {
	Name, Stream string
	Rules        *struct{}
	Frames       []struct {
		Version, Cmd, Flag uint32
		Payload            string
	}
	Rest   int
	Reject *struct {
		Reason    string
		Got, Want uint64
	}
}

func vectors(t *testing.T, file string) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "wire", "testdata", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []vector }
	if err := json.Unmarshal(b, &all); err != nil || len(all.Vectors) == 0 {
		t.Fatal(len(all.Vectors), err)
	}
	return all.Vectors
}

func (v vector) bytes(t *testing.T) string {
	t.Helper()
	return vectorBytes(t, v.Stream)
}

// vectorBytes reads bytes as the vectors have them: in hexadecimal, and a5*256 is the byte a5, 256 times.
func vectorBytes(t *testing.T, s string) string {
	t.Helper()
	var all strings.Builder
	for word := range strings.FieldsSeq(s) {
		digits, times, repeated := strings.Cut(word, "*")
		n := 1
		if repeated {
			number, err := parseNumber(times)
			if err != nil {
				t.Fatal(err)
			}
			n = int(number)
		}
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		all.WriteString(strings.Repeat(string(b), n))
	}
	return all.String()
}

// check compares what decode has printed with the vector.
func (v vector) check(t *testing.T, lines []decodedLine, code int, err error) {
	t.Helper()
	for i, want := range v.Frames {
		if i >= len(lines) {
			t.Errorf("%s: no frame %d (%v)", v.Name, i, err)
			return
		}
		got, payload := lines[i], hex.EncodeToString([]byte(vectorBytes(t, want.Payload)))
		if got.Version != want.Version || got.Cmd != want.Cmd || got.Flag != want.Flag || got.Payload != payload {
			t.Errorf("%s, frame %d: got %+v, want %+v", v.Name, i, got.frameJSON, want)
		}
	}
	rest := lines[len(v.Frames):]
	switch {
	case v.Reject != nil:
		if code != exitNo || len(rest) != 1 || rest[0].Reject == nil ||
			rest[0].Reject.Reason != v.Reject.Reason || rest[0].Reject.Got != v.Reject.Got || rest[0].Reject.Want != v.Reject.Want {
			t.Errorf("%s: exit code %d, %v, want the reject %+v", v.Name, code, err, v.Reject)
		}
	case v.Rest > 0:
		if code != exitNo || len(rest) != 1 || rest[0].Incomplete == nil || rest[0].Incomplete.Have != int64(v.Rest) {
			t.Errorf("%s: exit code %d, %v, want %d bytes of a frame", v.Name, code, err, v.Rest)
		}
	case code != exitOK || len(rest) > 0:
		t.Errorf("%s: exit code %d, %v, and %d lines more", v.Name, code, err, len(rest))
	}
}

// What a line says is what the format has.
func TestDecodeFormatText(t *testing.T) {
	mc := func(version, cmd uint32, payload string) string {
		b, err := wire.MC.Append(nil, version, cmd, 0, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	meter := formatArgs{format: "Meter-1", config: "testdata/meter.caddyfile"}
	other := formatArgs{format: "directions", config: "testdata/directions.json"}
	tests := []struct {
		name   string
		format formatArgs
		stream string
		want   string
	}{
		{"mc", formatArgs{format: "mc"}, mc(1, 1, "") + mc(1, 0x1234, "hello"), `
       0  cmd 0x0001 PING      0 bytes
      13  cmd 0x1234           5 bytes  "hello"
> 2 frames in 31 bytes
exit 0
`},
		{"mc, cut", formatArgs{format: "mc"}, mc(1, 2, "hello")[:6], `
> 0 frames in 0 bytes
> caddy gopr decode: the stream ends inside a frame: it begins at byte 0, and has 6 of the 13 bytes of its header
exit 1
`},
		{"mc, corrupted", formatArgs{format: "mc"}, strings.Replace(mc(1, 0x10, "hello"), "hello", "hellO", 1), `
> 0 frames in 0 bytes
> caddy gopr decode: byte 9: checksum: got 0x3B4B0EA7, want 0x252E6F (in the frame that begins at byte 0)
exit 1
`},
		{"declared", meter, mc(1, 1, "") + mc(2, 0x10, ""), `
       0  cmd 0x0001 PING      0 bytes
> 1 frame in 13 bytes
> caddy gopr decode: byte 15: version: got 2, want 1 (in the frame that begins at byte 13)
exit 1
`},
		{"fram", formatArgs{format: "fram"}, "FRAM\x00\x05hello\x4f\x33\x8d\x00", `
> 0 frames in 0 bytes
> caddy gopr decode: byte 11: checksum: got 0x4F338D00, want 0x33153465 (in the frame that begins at byte 0)
exit 1
`},
		{"golg", formatArgs{format: "golg"}, "GLOG\x05\x00\x81hello", `
       0  flag 0x81      5 bytes  "hello"
> 1 frame in 12 bytes
exit 0
`},
		{"length", formatArgs{format: "length"}, "\x00\x00\x00\x05hello\x00\x00\x00\x00", `
       0      5 bytes  "hello"
       9      0 bytes
> 2 frames in 13 bytes
exit 0
`},
		{"requests and answers by their magic, ids, a trailer", other, "REQ\x07\x00\x01\x0a\nRES\x07\x00\x01\x0a\nREQ\x08\x00\x00\n", `
       0  asks     id 7      1 bytes  version 0  "\n"
       8  answers  id 7      1 bytes  version 0  "\n"
      16  asks     id 8      0 bytes  version 0
> 3 frames in 23 bytes
exit 0
`},
		{"a wrong trailer", other, "REQ\x07\x00\x00!", `
> 0 frames in 0 bytes
> caddy gopr decode: byte 6: malformed: got 0x21, want 0x0A (in the frame that begins at byte 0)
exit 1
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := decodeArgs{formatArgs: tt.format, onInvalid: "close"}
			wantText(t, "\n"+runDecode(a, tt.stream), tt.want)
		})
	}
}

// An id is in the JSON of formats that have one, and of no others.
func TestDecodeFormatJSON(t *testing.T) {
	a := decodeArgs{formatArgs: formatArgs{format: "directions", config: "testdata/directions.json"}, onInvalid: "close", json: true}
	wantText(t, runDecode(a, "REQ\x00\x00\x01a\n"), `{"offset":0,"version":0,"cmd":0,"flag":0,"id":0,"length":1,"payload":"61","text":"a"}
> 1 frame in 8 bytes
exit 0
`)
}

// Frames that are longer than GOPR's can be.
func TestDecodeLongFrames(t *testing.T) {
	long := strings.Repeat("long ", 100_000)
	frame, err := wire.MC.Append(nil, 1, 0x10, 0, []byte(long))
	if err != nil {
		t.Fatal(err)
	}
	for how, in := range splits(string(frame) + string(frame)) {
		std, out, _ := terminal("")
		std.in = in
		code, err := decode(t.Context(), decodeArgs{formatArgs: formatArgs{format: "mc"}, onInvalid: "close"}, std)
		wantCode(t, code, err, exitOK, "")
		if n := strings.Count(out.String(), "500000 bytes"); n != 2 {
			t.Errorf("%s: %d frames:\n%s", how, n, out)
		}
	}
}

func TestDecodeFormatMistakes(t *testing.T) {
	tests := []struct{ args, want string }{
		{"--format nothing", "--format nothing: want gopr, mc, fram"},
		{"--format length --versions 1", "version 1: the frames of length have no version"},
		{"--format fram --commands 1", "the frames of fram have no command"},
		{"--format mc --max-payload 0x7fffffff", "the longest frame of mc, of 1048576 bytes, has 1048563"},
	}
	for _, tt := range tests {
		_, errs, err := runCommand("", append([]string{"decode", "--hex", "00"}, strings.Fields(tt.args)...)...)
		if err == nil || !strings.Contains(errs, tt.want) {
			t.Errorf("%s: %v, want %q in:\n%s", tt.args, err, tt.want, errs)
		}
	}
}
