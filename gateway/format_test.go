package gateway

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// option is the global option gopr with one format, whose first line is line 3.
func option(lines string) string { return "gopr {\nformat x {\n" + lines + "\n}\n}" }

func parse(text string) (*App, error) {
	app := new(App)
	return app, app.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text))
}

// TestFormat: what each option makes of a layout that is otherwise a length of two bytes; from the Caddyfile, and from the JSON that becomes of it.
func TestFormat(t *testing.T) {
	base := wire.Layout{LengthFieldLength: 2}
	with := func(edit func(*wire.Layout)) wire.Layout {
		l := base
		edit(&l)
		return l
	}
	cmd := func(l *wire.Layout) { l.Cmd = wire.Field{Offset: 2, Size: 1} }
	flag := func(l *wire.Layout) { l.Flag = wire.Field{Offset: 3, Size: 1} }
	tests := []struct {
		lines string
		want  wire.Layout
	}{
		{"", base},
		{"byte_order big", base},
		{"byte_order little", with(func(l *wire.Layout) { l.ByteOrder = wire.LittleEndian })},
		{"header 7", with(func(l *wire.Layout) { l.Header = 7 })},
		{"magic 0x4D43\nmagic_offset 2", with(func(l *wire.Layout) { l.Magic, l.MagicOffset = []byte("MC"), 2 })},
		{"magic 4d43 0X4D44\nmagic_offset 2", with(func(l *wire.Layout) { l.Magic, l.AnswerMagic, l.MagicOffset = []byte("MC"), []byte("MD"), 2 })},
		{"version 2 1", with(func(l *wire.Layout) { l.Version = wire.Field{Offset: 2, Size: 1} })},
		{"version 2 1 0xF0 4\nversions 1 0xF", with(func(l *wire.Layout) {
			l.Version, l.Versions = wire.Field{Offset: 2, Size: 1, Mask: 0xF0, Shift: 4}, []uint32{1, 15}
		})},
		{"cmd 2 4 255", with(func(l *wire.Layout) { l.Cmd = wire.Field{Offset: 2, Size: 4, Mask: 255} })},
		{"flag 2 3", with(func(l *wire.Layout) { l.Flag = wire.Field{Offset: 2, Size: 3} })},
		{"length_adjustment 0", with(func(l *wire.Layout) { l.LengthAdjustment = new(0) })},
		{"length_adjustment -2", with(func(l *wire.Layout) { l.LengthAdjustment = new(-2) })},
		{"length_adjustment 5", with(func(l *wire.Layout) { l.LengthAdjustment = new(5) })},
		{"initial_bytes_to_strip 4", with(func(l *wire.Layout) { l.InitialBytesToStrip = 4 })},
		{"max_frame_length 16KiB", with(func(l *wire.Layout) { l.MaxFrameLength = 16384 })},
		{"fail_fast true", base},
		{"fail_fast false", with(func(l *wire.Layout) { l.DiscardTooLong = true })},
		{"checksum crc32 2", with(func(l *wire.Layout) { l.Checksum = wire.Checksum{Algorithm: wire.CRC32, Offset: 2} })},
		{"checksum xor8 trailer", with(func(l *wire.Layout) { l.Checksum = wire.Checksum{Algorithm: wire.Xor8, Trailer: true} })},
		{"checksum crc16-modbus trailer {\ncovers 1-2 payload 0-1\n}", with(func(l *wire.Layout) {
			l.Checksum = wire.Checksum{Algorithm: wire.CRC16Modbus, Trailer: true, Covers: []wire.Range{{From: 1, To: 2}, {From: 0, To: 1}}, CoversPayload: true}
		})},
		{"checksum sum8 2 {\ncovers 0-2\n}", with(func(l *wire.Layout) {
			l.Checksum = wire.Checksum{Algorithm: wire.Sum8, Offset: 2, Covers: []wire.Range{{From: 0, To: 2}}}
		})},
		{"trailer 0x0D0A", with(func(l *wire.Layout) { l.Trailer = []byte("\r\n") })},
		{"cmd 2 1\nheartbeat cmd 0x01", with(func(l *wire.Layout) { cmd(l); l.Heartbeat.Ping.Cmd = wire.Is(1) })},
		{"heartbeat payload 0x", with(func(l *wire.Layout) { l.Heartbeat.Ping.Payload = []byte{} })},
		{"cmd 2 1\nflag 3 1\nheartbeat cmd 0x10/0xF0 flag 1 {\nreply cmd 2 flag 0x02\necho payload 2-3\n}", with(func(l *wire.Layout) {
			cmd(l)
			flag(l)
			l.Heartbeat.Ping = wire.Match{Cmd: &wire.Bits{Mask: 0xF0, Value: 0x10}, Flag: wire.Is(1)}
			l.Heartbeat.Pong = &wire.Reply{Cmd: new(uint32(2)), Flag: new(uint32(2)), EchoPayload: true, Echo: []wire.Range{{From: 2, To: 3}}}
		})},
		{"heartbeat payload 3f {\necho payload\n}", with(func(l *wire.Layout) {
			l.Heartbeat = wire.Heartbeat{Ping: wire.Match{Payload: []byte("?")}, Pong: &wire.Reply{EchoPayload: true}}
		})},
		{"heartbeat payload 3f {\nreply 0x000121\n}", with(func(l *wire.Layout) {
			l.Heartbeat = wire.Heartbeat{Ping: wire.Match{Payload: []byte("?")}, Pong: &wire.Reply{Frame: []byte("\x00\x01!")}}
		})},
		{"asks any\nanswers any payload 0x4F4B", with(func(l *wire.Layout) {
			l.Asks, l.Answers = wire.Match{Any: true}, wire.Match{Any: true, Payload: []byte("OK")}
		})},
		{"magic 51 52\nmagic_offset 2\nasks from client\nanswers from server", with(func(l *wire.Layout) {
			l.Magic, l.AnswerMagic, l.MagicOffset = []byte("Q"), []byte("R"), 2
			l.Asks.From, l.Answers.From = wire.FromClient, wire.FromServer
		})},
		{"cmd 2 1\nflag 3 1\nasks flag 0x01/0x01 cmd 1-3 cmd 0x10\nanswers cmd 0x10-0x1F", with(func(l *wire.Layout) {
			cmd(l)
			flag(l)
			l.Asks = wire.Match{Flag: wire.Has(1), Commands: wire.NewCommandSet(wire.CommandRange{First: 1, Last: 3}, wire.CommandRange{First: 16, Last: 16})}
			l.Answers = wire.Match{Commands: wire.NewCommandSet(wire.CommandRange{First: 16, Last: 31})}
		})},
		{"version 2 1\nasks version 1\nanswers version 0x80/0x80", with(func(l *wire.Layout) {
			l.Version, l.Asks.Version, l.Answers.Version = wire.Field{Offset: 2, Size: 1}, wire.Is(1), wire.Has(0x80)
		})},
		{"id 2 8", with(func(l *wire.Layout) { l.ID = wire.IDField{Offset: 2, Size: 8} })},
	}
	for _, tt := range tests {
		t.Run(tt.lines, func(t *testing.T) {
			app, err := parse(option("length 0 2\n" + tt.lines))
			if err != nil {
				t.Fatal(err)
			}
			same(t, app.Formats["x"], tt.want)

			again := new(App)
			if err := json.Unmarshal(caddyconfig.JSON(app, nil), again); err != nil {
				t.Fatal(err)
			}
			same(t, again.Formats["x"], tt.want)
		})
	}
}

func same(t *testing.T, f *Format, want wire.Layout) {
	t.Helper()
	got, err := f.Compile("x")
	if err != nil {
		t.Fatal(err)
	}
	if got := got.Layout(); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestFormatMistakes: what is wrong, where, and what would be right.
func TestFormatMistakes(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an argument", "gopr meter {\n}", "gopr takes a block, not \"meter\": write `gopr { … }`, at Testfile:1"},
		{"another option", "gopr {\nformats x\n}", `gopr has no option "formats"; it has drain, format, grace, memory, queue, sessions, at Testfile:2`},
		{"no name", "gopr {\nformat {\n}\n}", "format has 0 arguments: write it as `format meter { … }`, at Testfile:2"},
		{"twice", "gopr {\nformat x {\nlength 0 2\n}\nformat x {\nlength 0 2\n}\n}", "format x is declared twice: once is enough, at Testfile:5"},
		{"built in", "gopr {\nformat mc {\nlength 0 2\n}\n}", `format "mc" is built in: give yours another name, at Testfile:2`},
		{"an unknown option", option("length 0 2\nsize 2"), `format has no option "size"; it has answers, asks, byte_order, `},
		{"an option twice", option("length 0 2\nlength 0 2"), "format length is given twice: once is enough, at Testfile:4"},
		{"no length", option("header 4"), "format \"x\": there is no length field: say where it is, as in `length 4 2` for the two bytes at 4, at Testfile:2"},
		{"half a length", option("length 4"), "length has 1 arguments: write it as `length 5 4`, at Testfile:3"},
		{"an offset that is none", option("length 0 2\ncmd x 2"), "cmd: \"x\" is no whole number: write it as `cmd 3 2`, at Testfile:4"},
		{"an offset below 0", option("length 0 2\ncmd -1 2"), "cmd: \"-1\" is negative: write it as `cmd 3 2`, at Testfile:4"},
		{"an adjustment that is none", option("length 0 2\nlength_adjustment x"), "length_adjustment: \"x\" is no whole number: write it as `length_adjustment -4`, at Testfile:4"},
		{"a byte order that is none", option("length 0 2\nbyte_order native"), `format "x": unknown byte_order "native": big or little, at Testfile:2`},
		{"half a byte", option("length 0 2\ntrailer 0xABC"), `format "x": trailer: "0xABC" is no bytes in hex: write two digits for each, as in 0x4D43, at Testfile:2`},
		{"no bytes", option("length 0 2\nmagic 0x"), `format "x": magic: "0x" has no bytes: give some, or leave it out, at Testfile:2`},
		{"text for bytes", option("length 0 2\nmagic GOPR"), `magic: "GOPR" is no bytes in hex: write two digits for each, as in 0x4D43, at Testfile:2`},
		{"fields that overlap", option("length 0 2\ncmd 1 1"), `format "x": cmd (byte 1) and length (bytes 0 to 1) overlap, at Testfile:2`},
		{"fail_fast", option("length 0 2\nfail_fast 0"), "fail_fast: \"0\" is neither true nor false: write it as `fail_fast false`, at Testfile:4"},
		{"an algorithm that is none", option("length 0 2\nchecksum md5 trailer"), `format "x": checksum: `},
		{"a checksum without a place", option("length 0 2\nchecksum crc32"), "checksum has 1 arguments: write it as `checksum crc32 9` or `checksum crc32 trailer`, at Testfile:4"},
		{"a checksum at a place that is none", option("length 0 2\nchecksum crc32 end"), "checksum: \"end\" is no offset: write it as `checksum crc32 9` or `checksum crc32 trailer`, at Testfile:4"},
		{"a range that is none", option("length 0 2\nchecksum crc32 2 {\ncovers 0..2\n}"), `checksum: "0..2" is no range of bytes: write 4-8 for the bytes 4 to 7, or payload, at Testfile:2`},
		{"a range that is empty", option("length 0 2\nchecksum crc32 2 {\ncovers 2-2\n}"), `checksum: "2-2" is no range of bytes`},
		{"no match", option("length 0 2\nheartbeat"), "heartbeat: \"\" is not understood: write it as `heartbeat cmd 0x01 flag 0x01`, at Testfile:4"},
		{"a word that is no field", option("length 0 2\nasks type 1"), "asks: \"type 1\" is not understood: write it as `asks flag 0x01/0x01`, at Testfile:4"},
		{"a field without a value", option("length 0 2\ncmd 2 1\nasks any cmd"), "asks: \"cmd\" is not understood: write it as `asks flag 0x01/0x01`, at Testfile:5"},
		{"a flag twice", option("length 0 2\nflag 2 1\nasks flag 1 flag 2"), "asks: \"flag 2\" is not understood: write it as `asks flag 0x01/0x01`, at Testfile:5"},
		{"a direction that is none", option("length 0 2\nasks from here"), `format "x": asks: from "here": client or server, at Testfile:2`},
		{"a value that is none", option("length 0 2\nflag 2 1\nanswers flag x"), `format "x": answers: flag: "x" is no number such as 16 or 0x10, at Testfile:2`},
		{"a value that its mask leaves out", option("length 0 2\nflag 2 1\nanswers flag 3/1"), `answers: flag: "3/1" can never be: the value has bits that the mask leaves out, or the mask is 0, at Testfile:2`},
		{"a mask among commands", option("length 0 2\ncmd 2 1\nasks cmd 1/1 cmd 2"), `asks: cmd: command "1/1": want a number such as 16 or 0x10, or a range such as 0x10-0xFF, at Testfile:2`},
		{"a heartbeat by any frame", option("length 0 2\nheartbeat any"), `ping: any frame of several kinds would be one: give cmd, flag or payload, at Testfile:2`},
		{"an empty reply", option("length 0 2\ncmd 2 1\nheartbeat cmd 1 {\nreply\n}"), "reply has 0 arguments: write it as `reply cmd 0x02 flag 0x02`, or as a whole frame in hex, at Testfile:6"},
		{"a reply of another field", option("length 0 2\ncmd 2 1\nheartbeat cmd 1 {\nreply version 2\n}"), "reply: \"version 2\" is not understood: write it as `reply cmd 0x02 flag 0x02`, or as a whole frame in hex, at Testfile:6"},
		{"a reply with a command twice", option("length 0 2\ncmd 2 1\nheartbeat cmd 1 {\nreply cmd 2 cmd 3\n}"), "reply: \"cmd 3\" is not understood"},
		{"a reply that is no frame", option("length 0 2\nheartbeat payload 01 {\nreply 0x00\n}"), `pong: 00 is no frame of the format: 1 bytes are less than a header, at Testfile:2`},
		{"an id without a size", option("length 0 2\nid 2"), "id has 1 arguments: write it as `id 12 4`, at Testfile:4"},
		{"an id of three bytes", option("length 0 2\nid 2 3"), `format "x": id of 3 bytes: want 1, 2, 4 or 8, at Testfile:2`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// The option may be given several times: each adds formats.
func TestGlobalOptionTwice(t *testing.T) {
	first, err := parseGlobal(caddyfile.NewTestDispenser("gopr {\nformat a {\nlength 0 2\n}\n}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := parseGlobal(caddyfile.NewTestDispenser("gopr {\nformat b {\nlength 0 4\n}\n}"), first)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"formats":{"a":{"length_field_length":2},"b":{"length_field_length":4}}}`
	if got := second.(httpcaddyfile.App); got.Name != "gopr" || string(got.Value) != want {
		t.Errorf("%s: %s, want %s", got.Name, got.Value, want)
	}
	if _, err := parseGlobal(caddyfile.NewTestDispenser("gopr {\nformat a {\nlength 0 2\n}\n}"), second); err == nil || !strings.Contains(err.Error(), "format a is declared twice") {
		t.Errorf("got %v, want it said that a is declared twice", err)
	}
}

func TestLookup(t *testing.T) {
	app := &App{Formats: map[string]*Format{"x": {LengthFieldLength: 2}}}
	var err error
	if app.formats, err = compileAll(app.Formats); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"": "gopr", "gopr": "gopr", "mc": "mc", "x": "x"} {
		if f, err := app.Format(name); err != nil || f.Name() != want {
			t.Errorf("%q: %v, %v, want %s", name, f, err, want)
		}
	}
	const unknown = `unknown format "x": one of gopr, mc, fram, golg, length, or one that the global option gopr declares`
	if _, err := (*App)(nil).Format("x"); err == nil || err.Error() != unknown {
		t.Errorf("got %v, want %s", err, unknown)
	}
	for name, f := range map[string]*Format{"gopr": {LengthFieldLength: 2}, "null": nil, "empty": {}} {
		if _, err := compileAll(map[string]*Format{name: f}); err == nil || !strings.Contains(err.Error(), `format "`+name+`"`) {
			t.Errorf("%s: %v, want it refused by its name", name, err)
		}
	}
}
