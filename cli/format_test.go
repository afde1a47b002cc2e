package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestAppendFrame(t *testing.T) {
	tests := []struct {
		name string
		f    wire.Frame
		want string
	}{
		{"request", wire.Frame{Version: 1, Cmd: 0x10, Flag: 1, Payload: []byte("hello")}, `cmd 0x10       flag 0x01 asks         5 bytes  "hello"`},
		{"answer", wire.Frame{Version: 1, Cmd: 0x10, Flag: 2, Payload: []byte{0, 1, 0xFF}}, `cmd 0x10       flag 0x02 answers      3 bytes  0001ff`},
		{"one-way", wire.Frame{Version: 1, Cmd: 0xFF}, `cmd 0xFF       flag 0x00              0 bytes`},
		{"PING", wire.Frame{Version: 1, Cmd: 1, Flag: 1}, `cmd 0x01 PING  flag 0x01 asks         0 bytes`},
		{"PONG", wire.Frame{Version: 1, Cmd: 2, Flag: 2}, `cmd 0x02 PONG  flag 0x02 answers      0 bytes`},
		{"command 1 that is no PING", wire.Frame{Version: 1, Cmd: 1}, `cmd 0x01       flag 0x00              0 bytes`},
		{"command 2 that is no PONG", wire.Frame{Version: 1, Cmd: 2, Flag: 1}, `cmd 0x02       flag 0x01 asks         0 bytes`},
		{"other bits", wire.Frame{Version: 1, Cmd: 0x10, Flag: 0xFC}, `cmd 0x10       flag 0xFC              0 bytes`},
		{"both bits", wire.Frame{Version: 1, Cmd: 0x10, Flag: 3}, `cmd 0x10       flag 0x03 asks and answers      0 bytes`},
		{"another version", wire.Frame{Version: 2, Cmd: 0x10, Payload: []byte("x")}, `cmd 0x10       flag 0x00              1 bytes  version 2  "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantText(t, string(appendFrame(nil, &tt.f)), tt.want)
		})
	}
}

func TestAppendPayload(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "hello", `"hello"`},
		{"lines", "a\tb\r\nc", `"a\tb\r\nc"`},
		{"quotes", `say "hi"`, `"say \"hi\""`},
		{"not only ASCII", "grüße", `"grüße"`},
		{"bytes", "\x00\x01", "0001"},
		{"a control character", "a\x1b[2J", "611b5b324a"},
		{"half a character", "gr\xc3", "6772c3"},
		{"text that just fits", strings.Repeat("x", shownText), `"` + strings.Repeat("x", shownText) + `"`},
		{"text that does not", strings.Repeat("x", shownText+1), `"` + strings.Repeat("x", shownText) + `"...`},
		{"text cut in a character", strings.Repeat("x", shownText-1) + "ü", `"` + strings.Repeat("x", shownText-1) + `"...`},
		{"bytes that just fit", strings.Repeat("\x00", shownHex), strings.Repeat("00", shownHex)},
		{"bytes that do not", strings.Repeat("\x00", shownHex+1), strings.Repeat("00", shownHex) + "..."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantText(t, string(appendPayload(nil, []byte(tt.in))), tt.want)
		})
	}
}

func TestParseHex(t *testing.T) {
	tests := []struct{ in, want, err string }{
		{"68656c6c6f", "hello", ""},
		{"68656C6C6F", "hello", ""},
		{"0x6865", "he", ""},
		{"68 65\n6c:6c\t6f ", "hello", ""},
		{"", "", ""},
		{"6", "", "hex: 1 digits make no whole bytes: want two for each byte, such as 0a and not a"},
		{"6g", "", "hex: 'g' is no hexadecimal digit: want pairs of 0-9 and a-f, such as 68656c6c6f"},
	}
	for _, tt := range tests {
		got, err := parseHex(tt.in)
		if string(got) != tt.want || (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err {
			t.Errorf("parseHex(%q) = %q, %v; want %q, %q", tt.in, got, err, tt.want, tt.err)
		}
	}
}

func TestMS(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                       "0.000",
		499 * time.Nanosecond:   "0.000",
		181 * time.Microsecond:  "0.181",
		1500 * time.Millisecond: "1500.000",
	} {
		if got := ms(d); got != want {
			t.Errorf("ms(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		part, all int
		want      string
	}{
		{0, 0, "0%"},
		{0, 5, "0%"},
		{1, 3, "33.3%"},
		{1, 4, "25%"},
		{5, 5, "100%"},
		{1, 2000, "0.05%"},
	} {
		if got := percent(tt.part, tt.all); got != tt.want {
			t.Errorf("percent(%d, %d) = %q, want %q", tt.part, tt.all, got, tt.want)
		}
	}
}

func TestPlural(t *testing.T) {
	for n, want := range map[int]string{0: "0 frames", 1: "1 frame", 2: "2 frames"} {
		if got := plural(n, "frame"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
