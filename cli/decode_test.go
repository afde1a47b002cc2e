package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

var update = flag.Bool("update", false, "write the golden files in testdata anew")

// decodeDefaults are the arguments of decode where no flag is given.
func decodeDefaults() decodeArgs {
	return decodeArgs{onInvalid: "close"}
}

// Each testdata/decode/NAME.hex is a stream. NAME.txt and NAME.json are what is printed of it: what goes to
// standard output, then, behind >, what goes to standard error, and the exit code.
func TestDecodeGolden(t *testing.T) {
	tests := []struct {
		name string
		set  func(*decodeArgs)
	}{
		{"good", func(*decodeArgs) {}},
		{"empty", func(*decodeArgs) {}},
		{"cut_header", func(*decodeArgs) {}},
		{"cut_payload", func(*decodeArgs) {}},
		{"magic", func(*decodeArgs) {}},
		{"version", func(*decodeArgs) {}},
		{"versions", func(a *decodeArgs) { a.versions = "1,2" }},
		{"length", func(a *decodeArgs) { a.maxPayload = 16 }},
		{"command", func(a *decodeArgs) { a.commands = "0x01 0x10-0x1F" }},
		{"drop", func(a *decodeArgs) { a.onInvalid = "drop"; a.commands = "0x10" }},
		{"drop_false_magic", func(a *decodeArgs) { a.onInvalid = "drop" }},
		{"drop_length", func(a *decodeArgs) { a.onInvalid = "drop"; a.maxPayload = 16 }},
		{"extended", func(*decodeArgs) {}},
		{"extended_bad", func(*decodeArgs) {}},
		{"extended_flag", func(a *decodeArgs) { a.extended, a.onInvalid = true, "drop" }},
		{"drop_cut", func(a *decodeArgs) { a.onInvalid = "drop" }},
	}
	for _, tt := range tests {
		for _, form := range []string{"txt", "json"} {
			t.Run(tt.name+"/"+form, func(t *testing.T) {
				path := filepath.Join("testdata", "decode", tt.name)
				digits, err := os.ReadFile(path + ".hex")
				if err != nil {
					t.Fatal(err)
				}
				a := decodeDefaults()
				a.hex, a.json = string(digits), form == "json"
				tt.set(&a)
				if strings.TrimSpace(a.hex) == "" {
					a.hex, a.file = "", "-"
				}
				checkGolden(t, path+"."+form, runDecode(a, ""))
			})
		}
	}
}

// runDecode is all that a run of decode shows.
func runDecode(a decodeArgs, stdin string) string {
	std, out, errs := terminal(stdin)
	code, err := decode(context.Background(), a, std)
	var b strings.Builder
	b.WriteString(out.String())
	for line := range strings.Lines(errs.String()) {
		b.WriteString("> " + line)
	}
	if err != nil {
		b.WriteString("> caddy gopr decode: " + err.Error() + "\n")
	}
	b.WriteString("exit " + string(rune('0'+code)) + "\n")
	return b.String()
}

func checkGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, got, string(want))
}

// The streams of the other tests, whole, in each way in which they may come.
func TestDecodeSplits(t *testing.T) {
	files, err := filepath.Glob("testdata/decode/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		digits, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stream, err := parseHex(string(digits))
		if err != nil {
			t.Fatal(err)
		}
		for _, onInvalid := range []string{"close", "drop"} {
			a := decodeDefaults()
			a.onInvalid = onInvalid
			want := runDecode(a, string(stream))
			for how, r := range splits(string(stream)) {
				std, out, _ := terminal("")
				std.in = r
				code, _ := decode(t.Context(), a, std)
				if got := out.String(); !strings.HasPrefix(want, got) || !strings.HasSuffix(want, string(rune('0'+code))+"\n") {
					t.Errorf("%s, %s: code %d, got:\n%s\nwant:\n%s", file, how, code, got, want)
				}
			}
		}
	}
}

// The same stream, from each place it can come from.
func TestDecodeSources(t *testing.T) {
	stream := frame(0x10, 1, "hello")
	file := filepath.Join(t.TempDir(), "stream")
	if err := os.WriteFile(file, []byte(stream), 0o600); err != nil {
		t.Fatal(err)
	}
	want := "       0  cmd 0x10       flag 0x01 asks         5 bytes  \"hello\"\n> 1 frame in 15 bytes\nexit 0\n"
	for name, set := range map[string]func(*decodeArgs){
		"a file":          func(a *decodeArgs) { a.file = file },
		"standard input":  func(a *decodeArgs) { a.file = "-" },
		"by default":      func(*decodeArgs) {},
		"hex":             func(a *decodeArgs) { a.hex = "474f5052000100051001 68656c6c6f" },
		"hex, and spaced": func(a *decodeArgs) { a.hex = "0x47:4f:50:52 0001 0005 10 01\n68656c6c6f" },
	} {
		t.Run(name, func(t *testing.T) {
			a := decodeDefaults()
			set(&a)
			wantText(t, runDecode(a, stream), want)
		})
	}
}

func TestDecodeArguments(t *testing.T) {
	tests := []struct {
		name string
		set  func(*decodeArgs)
		want string
	}{
		{"a file that is not there", func(a *decodeArgs) { a.file = "testdata/none" }, "open testdata/none: no such file or directory"},
		{"a directory", func(a *decodeArgs) { a.file = "testdata" }, "reading the stream: read testdata: is a directory"},
		{"extended, of another format", func(a *decodeArgs) { a.extended, a.format = true, "mc" }, "--extended --format mc: extended connections are GOPR's alone"},
		{"hex and a file", func(a *decodeArgs) { a.hex, a.file = "00", "f" }, "--hex and the file f: give one of them"},
		{"wrong hex", func(a *decodeArgs) { a.hex = "4z" }, "hex: 'z' is no hexadecimal digit"},
		{"on-invalid", func(a *decodeArgs) { a.onInvalid = "ignore" }, "--on-invalid ignore: want close, to end at the first wrong frame, or drop"},
		{"versions", func(a *decodeArgs) { a.versions = "1 two" }, `--versions 1 two: want numbers, such as "1 2"`},
		{"versions over the field", func(a *decodeArgs) { a.versions = "65536" }, "the version field of gopr says at most 65535"},
		{"commands", func(a *decodeArgs) { a.commands = "0x20-0x10" }, "--commands: command range"},
		{"commands over the field", func(a *decodeArgs) { a.commands = "0x10-0x100" }, "the command field of gopr says at most 0xFF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := decodeDefaults()
			tt.set(&a)
			std, _, _ := terminal("")
			code, err := decode(t.Context(), a, std)
			wantCode(t, code, err, exitUsage, tt.want)
		})
	}
}

// A search for the next magic is given up where the gateway gives it up.
func TestDecodeSearchIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		garbage, code int
		want          string
	}{
		"found":     {maxSearch, exitNo, ""},
		"not found": {maxSearch + 1, exitNo, "byte 0: no frame within 65536 bytes after a wrong magic"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := strings.Repeat("x", tt.garbage) + frame(0x10, 0, "a")
			for how, in := range splits(stream) {
				if how == "byte by byte" { // which takes long, and the halves end as bytes
					continue
				}
				a := decodeDefaults()
				a.onInvalid = "drop"
				std, out, errs := terminal("")
				std.in = in
				code, err := decode(t.Context(), a, std)
				if tt.want == "" {
					wantCode(t, code, err, tt.code, "")
					wantText(t, out.String(), "   65536  cmd 0x10       flag 0x00              1 bytes  \"a\"\n")
					wantText(t, errs.String(), "dropped: byte 0: magic: got 0x78, want 0x47 (in the frame that begins at byte 0)\n"+
						"1 frame in 65547 bytes, 1 dropped with 65536 bytes\n")
				} else if code != tt.code || err == nil || out.String() != "" {
					t.Errorf("%s: code %d, %v, printed %q", how, code, err, out)
				}
			}
		})
	}
}

// What has come is printed before the next read waits, and Ctrl-C ends that wait with the summary.
func TestDecodeInterrupted(t *testing.T) {
	in, feed := io.Pipe()
	defer feed.Close()
	std, out, errs := terminal("")
	std.in = in
	line := make(chan struct{}, 1)
	std.out = writerFunc(func(p []byte) (int, error) {
		defer func() { line <- struct{}{} }()
		return out.Write(p)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = io.WriteString(feed, frame(0x10, 1, "hello"))
		<-line
		cancel()
	}()
	code, err := decode(ctx, decodeDefaults(), std)
	wantCode(t, code, err, exitNo, "interrupted")
	wantText(t, out.String(), "       0  cmd 0x10       flag 0x01 asks         5 bytes  \"hello\"\n")
	wantText(t, errs.String(), "1 frame in 15 bytes\n")
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A full disk is no good stream, and no bad one either.
func TestDecodeCannotWrite(t *testing.T) {
	full := errors.New("disk full")
	for name, stream := range map[string]string{
		"little": frame(0x10, 1, "hello"),
		"much":   strings.Repeat(frame(0x10, 1, "hello"), 100_000),
	} {
		std, _, _ := terminal(stream)
		std.out = writerFunc(func([]byte) (int, error) { return 0, full })
		code, err := decode(t.Context(), decodeDefaults(), std)
		if code != exitUsage || !errors.Is(err, full) {
			t.Errorf("%s: exit code %d, %v", name, code, err)
		}
	}
}

// Every line of --json is an object by which the frame can be made again.
func TestDecodeJSONIsWhole(t *testing.T) {
	var stream []byte
	for _, payload := range []string{"", "hello", "\x00\xff", "<&>\u2028", strings.Repeat("long ", 1000), strings.Repeat("\x00", wire.MaxPayload)} {
		stream = wire.AppendFrame(stream, 0x10, 0x41, []byte(payload))
	}
	a := decodeDefaults()
	a.json = true
	std, out, _ := terminal(string(stream))
	code, err := decode(t.Context(), a, std)
	wantCode(t, code, err, exitOK, "")

	var again []byte
	for line := range strings.Lines(out.String()) {
		var f struct {
			Offset int64
			frameJSON
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		payload, err := parseHex(f.Payload)
		if err != nil || len(payload) != f.Length || f.Offset != int64(len(again)) {
			t.Fatalf("%v, %d bytes at byte %d: %.100s", err, len(payload), f.Offset, line)
		}
		if f.Text != "" && f.Text != string(payload) {
			t.Errorf("text %q of payload %q", f.Text, payload)
		}
		again = wire.AppendFrame(again, uint8(f.Cmd), uint8(f.Flag), payload)
	}
	if !bytes.Equal(again, stream) {
		t.Error("the frames printed are not those of the stream")
	}
}
