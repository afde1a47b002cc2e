package cli

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// testdata/dissector holds the dissectors of the built-in formats, as the command prints them.
func TestDissectorGolden(t *testing.T) {
	for _, f := range builtIn() {
		t.Run(f, func(t *testing.T) {
			out, errs, err := runCommand("", "dissector", "--format", f)
			if err != nil {
				t.Fatal(errs, err)
			}
			checkGolden(t, "testdata/dissector/"+f+".lua", out)
		})
	}
}

// testdata/meter.caddyfile declares mc anew, as meter.
func TestDissectorOfADeclaredFormat(t *testing.T) {
	builtIn, errs, err := runCommand("", "dissector", "--format", "mc", "--port", "9000")
	if err != nil {
		t.Fatal(errs, err)
	}
	declared, errs, err := runCommand("", "dissector", "--format", "Meter-1", "--config", "testdata/meter.caddyfile", "--adapter", "caddyfile", "--port", "9000", "--proto", "mc")
	if err != nil {
		t.Fatal(errs, err)
	}
	wantText(t, strings.ReplaceAll(declared, "Meter-1", "mc"), builtIn)

	out, errs, err := runCommand("", "dissector", "--format", "Meter-1", "--config", "testdata/meter.caddyfile", "--adapter", "caddyfile", "--port", "0")
	if err != nil {
		t.Fatal(errs, err)
	}
	for _, want := range []string{`pcall(Proto, "meter_1", "Frames of Meter-1")`, `"meter_1.cmd"`, `add_for_decode_as(proto)`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is missing", want)
		}
	}
}

func TestDissectorMistakes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	none := write("none.json", `{}`)
	typo := write("typo.json", `{"apps":{"gopr":{"formats":{"a":{"magick":"00"}}}}}`)
	unnamed := write("gateway", "{\n\tgopr {\n\t}\n}\n")
	wrong := write("wrong.json", `{"apps":{"gopr":{"formats":{"a":{"length_field_length":5}}}}}`)
	tests := []struct{ args, want string }{
		{"--format mcc", "--format mcc: want gopr, mc, fram, golg, length, or, with --config FILE, one that a configuration declares"},
		{"--format b --config " + none, "declares no such format: want gopr, mc, fram, golg, length"},
		{"--format b --config " + typo, "declares no such format: want gopr, mc, fram, golg, length, a"},
		{"--format a --config " + typo, `unknown field "magick"`},
		{"--format a --config " + wrong, "length of 5 bytes: want 1, 2, 3, 4 or 8"},
		{"--format a --config " + filepath.Join(dir, "nowhere.json"), "no such file"},
		{"--format a --config " + unnamed, "did you mean to use a config adapter (the --adapter flag)?"},
		{"--proto Gopr", "--proto Gopr: want a name such as wireshark's filters begin with"},
		{"--port 65536", "want a number from 0 to 65535"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			out, errs, err := runCommand("", append([]string{"dissector"}, strings.Fields(tt.args)...)...)
			if err == nil || out != "" || !strings.Contains(errs, tt.want) {
				t.Errorf("%v, printed %q, want %q in:\n%s", err, out, tt.want, errs)
			}
		})
	}
}

func TestProtoOf(t *testing.T) {
	for format, want := range map[string]string{"gopr": "gopr", "Meter-1": "meter_1", "7up": "p7up", "zähler.x": "z_hler_x", "_": "p_"} {
		if got := protoOf(format); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
}

// What a name or a magic has in it stays within its string.
func TestLuaString(t *testing.T) {
	for s, want := range map[string]string{
		"GOPR":         `"GOPR"`,
		"":             `""`,
		"a\n1":         `"a\0101"`,
		"\x00\xff\"\\": `"\000\255\"\\"`,
	} {
		if got := luaString(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

// What real commands say to a real server, in the clear and through TLS, as tshark lists it.
func TestDissectorOnRealTraffic(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys")
	log, err := os.Create(keys)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ca := newAuthority(t)
	ca.server.KeyLogWriter = log
	ln, secure := ca.listenTLS(t)
	serveEcho(t, ln)

	traffic := newCapture()
	for _, d := range []dialArgs{
		{addr: startEcho(t), timeout: 10 * time.Second, dial: traffic.dial(7450)},
		{addr: startEcho(t), timeout: 10 * time.Second, dial: traffic.dial(9000)}, // known by the magic
		{addr: secure, timeout: 10 * time.Second, dial: traffic.dial(7451), ca: ca.file},
	} {
		std, _, _ := terminal("")
		code, err := ping(t.Context(), pingArgs{dialArgs: d, count: 1, interval: time.Millisecond}, std)
		wantCode(t, code, err, exitOK, "")
		code, err = send(t.Context(), sendArgs{dialArgs: d, cmd: 0x10, flag: wire.FlagReq, data: "hello"}, std)
		wantCode(t, code, err, exitOK, "")
	}
	packets := tshark(t, traffic, []string{dissectorOf(t, wire.GOPR, "gopr", 7450)},
		[]string{"-Y", "gopr", "-o", "tls.keylog_file:" + keys},
		"tcp.dstport", "_ws.col.Protocol", "gopr.cmd", "gopr.flag", "gopr.flag.req", "gopr.length", "gopr.heartbeat", "_ws.col.Info")
	var got, want strings.Builder
	for _, p := range packets {
		if len(p[0]) == 5 {
			p[0] = "client"
		}
		fmt.Fprintln(&got, strings.Join(p, "|"))
	}
	for _, port := range []string{"7450", "9000", "7451"} {
		fmt.Fprintf(&want, "%s|GOPR|0x01|0x01|1|12|ping|[PING, asks, 12 bytes] \n", port)
		fmt.Fprintf(&want, "client|GOPR|0x02|0x02|0|12|pong|[PONG, answers, 12 bytes] \n")
		fmt.Fprintf(&want, "%s|GOPR|0x10|0x01|1|5||[cmd 0x10, asks, 5 bytes] \n", port)
		fmt.Fprintf(&want, "client|GOPR|0x10|0x02|0|5||[cmd 0x10, answers, 5 bytes] \n")
	}
	wantText(t, got.String(), want.String())
}

// Streams that are wrong, and captures that begin or end where they please.
func TestDissectorOnBrokenStreams(t *testing.T) {
	mc, err := wire.MC.Append(nil, 1, 0x20, 0, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	corrupt := slices.Clone(mc)
	corrupt[len(corrupt)-1] ^= 1
	badSum := fmt.Sprintf("||0x0020,0x0020|bad,good|Bad checksum, want 0x%08x", crc32.ChecksumIEEE(slices.Concat(corrupt[:9], corrupt[13:])))
	request := frame(0x10, 1, "hello")
	tests := []struct {
		name     string
		port     uint16
		segments []string
		want     []string // of each segment
	}{
		{"a bad checksum", 7451, []string{string(corrupt) + string(mc)}, []string{badSum}},
		{"another version", 7450, []string{"GOPR\x00\x02" + request[6:]}, []string{"0x10||||Version not accepted by default"}},
		{"several in a packet", 7450, []string{request + frame(0x11, 0, "") + request}, []string{"0x10,0x11,0x10||||"}},
		{"the middle of a frame", 7450, []string{"llo" + request, request}, []string{"0x10||||wrong magic", "0x10||||"}},
		{"a wrong frame between good ones", 7450, []string{request + "xyz" + request}, []string{"0x10,0x10||||wrong magic"}},
		{"somebody else's", 7450, []string{"SSH-2.0-x\r\n"}, []string{"||||"}},
		{"too long for the format", 7451, []string{string(mc) + "MC\x01\x00\x20\x7f\xff\xff\xff\x00\x00\x00\x00"}, []string{"||0x0020|good|a length of 2147483647, want 0 to 1048563"}},
		{"ends inside a frame", 7450, []string{request + request[:12]}, []string{"0x10||||"}},
	}
	traffic := newCapture()
	for _, tt := range tests {
		conn := traffic.connect(tt.port)
		for _, s := range tt.segments {
			conn.send(0, []byte(s))
		}
	}
	packets := tshark(t, traffic, []string{dissectorOf(t, wire.GOPR, "gopr", 7450), dissectorOf(t, wire.MC, "mc", 7451)},
		[]string{"-Y", "tcp.len > 0"}, "gopr.cmd", "gopr.heartbeat", "mc.cmd", "mc.checksum.status", "_ws.expert.message")
	for _, tt := range tests {
		for i, want := range tt.want {
			if len(packets) == 0 {
				t.Fatalf("%s: no packet %d", tt.name, i)
			}
			if got := strings.Join(packets[0], "|"); got != want {
				t.Errorf("%s, packet %d: got %q, want %q", tt.name, i, got, want)
			}
			packets = packets[1:]
		}
	}
}
