package cli

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// tshark runs tshark on a capture with the dissectors of formats, each on the port 7450 and up, and returns the
// fields of each packet.
func tshark(t *testing.T, c *capture, scripts []string, options []string, fields ...string) (packets [][]string) {
	t.Helper()
	binary, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("there is no tshark: install it, as with apt-get install tshark")
	}
	args := append([]string{"-r", c.write(t), "-T", "fields", "-E", "separator=|"}, options...)
	for i, script := range scripts {
		file := filepath.Join(t.TempDir(), fmt.Sprintf("dissector%d.lua", i))
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-X", "lua_script:"+file)
	}
	for _, field := range fields {
		args = append(args, "-e", field)
	}
	cmd := exec.Command(binary, args...)
	home := t.TempDir() // the user's own plugins and settings are none of ours
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || strings.Contains(strings.ToLower(errs.String()), "lua") {
		t.Fatalf("tshark: %v\n%s", err, errs.String())
	}
	for line := range strings.Lines(out.String()) {
		packets = append(packets, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	return packets
}

func dissectorOf(t *testing.T, f *wire.Format, proto string, port int) string {
	t.Helper()
	var b strings.Builder
	if err := dissectorTemplate.Execute(&b, newDissectorView(f, proto, port)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// mustDeclare is wire.NewFormat for formats of tests.
func mustDeclare(t *testing.T, name string, l wire.Layout) *wire.Format {
	t.Helper()
	f, err := wire.NewFormat(name, l)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// dissected are the formats that tshark is tried with: the built-in ones, and one of each oddity.
func dissected(t *testing.T) []*wire.Format {
	minus4, plus2 := -4, 2
	all := append(wire.BuiltIn(),
		mustDeclare(t, "x_masks", wire.Layout{
			Magic: []byte{0x00, 0xFE, '"', '\\'}, MagicOffset: 2,
			Version: wire.Field{Offset: 0, Size: 1, Mask: 0xF0, Shift: 4}, Flag: wire.Field{Offset: 0, Size: 1, Mask: 0x0F},
			Cmd: wire.Field{Offset: 6, Size: 4, Mask: 0xFFFFFF00, Shift: 8}, LengthFieldOffset: 10, LengthFieldLength: 3,
			Versions: []uint32{3, 4},
			Asks:     wire.Match{Flag: wire.Has(8)}, Answers: wire.Match{Flag: &wire.Bits{Mask: 8, Value: 0}},
		}),
		mustDeclare(t, "x_little", wire.Layout{
			ByteOrder: wire.LittleEndian, Magic: []byte("ZBXD"), Version: wire.Field{Offset: 4, Size: 3}, Cmd: wire.Field{Offset: 7, Size: 2},
			Flag:              wire.Field{Offset: 9, Size: 4, Mask: 0xFFFF0000, Shift: 16},
			LengthFieldOffset: 13, LengthFieldLength: 8, ID: wire.IDField{Offset: 21, Size: 8},
		}),
		mustDeclare(t, "x_eight", wire.Layout{LengthFieldLength: 8, LengthFieldOffset: 1, Cmd: wire.Field{Size: 1}, ID: wire.IDField{Offset: 9, Size: 4}}),
		mustDeclare(t, "x_directions", wire.Layout{
			Magic: []byte("\x00REQ"), AnswerMagic: []byte("\x00RES"), Cmd: wire.Field{Offset: 4, Size: 4}, LengthFieldOffset: 8, LengthFieldLength: 4,
			Heartbeat: wire.Heartbeat{Ping: wire.Match{Cmd: wire.Is(16)}, Pong: &wire.Reply{Cmd: new(uint32(17)), EchoPayload: true}},
			Asks:      wire.Match{From: wire.FromClient}, Answers: wire.Match{From: wire.FromServer},
		}),
		mustDeclare(t, "x_whole_length", wire.Layout{
			LengthFieldLength: 4, LengthAdjustment: &minus4, Header: 8, Cmd: wire.Field{Offset: 4, Size: 1},
			Heartbeat: wire.Heartbeat{Ping: wire.Match{Payload: []byte("ping\n")}, Pong: &wire.Reply{Frame: []byte("\x00\x00\x00\x0c\x07\x00\x00\x00pong")}},
			Asks:      wire.Match{Commands: wire.NewCommandSet(wire.CommandRange{First: 1, Last: 9}, wire.CommandRange{First: 0x20, Last: 0x20})},
			Answers:   wire.Match{Cmd: wire.Is(0x80)},
		}),
		mustDeclare(t, "x_pong", wire.Layout{
			Magic: []byte("Q>"), AnswerMagic: []byte("A>"), Version: wire.Field{Offset: 2, Size: 1}, Cmd: wire.Field{Offset: 3, Size: 1},
			LengthFieldOffset: 4, LengthFieldLength: 2, Checksum: wire.Checksum{Algorithm: wire.CRC16Modbus, Trailer: true},
			Heartbeat: wire.Heartbeat{
				Ping: wire.Match{Cmd: wire.Is(1), From: wire.FromClient},
				Pong: &wire.Reply{Frame: []byte("A>\x00\x02\x00\x02..\x00\x00"), Echo: []wire.Range{{From: 6, To: 8}}},
			},
		}),
		mustDeclare(t, "x_strip", wire.Layout{
			Magic: []byte("AB"), LengthFieldOffset: 2, LengthFieldLength: 1, LengthAdjustment: &plus2, InitialBytesToStrip: 4, Header: 5,
			Trailer: []byte("\r\n"), Cmd: wire.Field{Offset: 3, Size: 1},
		}),
	)
	for a := wire.CRC32; a <= wire.Sum8; a++ {
		all = append(all,
			mustDeclare(t, "x_header_"+strings.ReplaceAll(a.String(), "-", "_"), wire.Layout{
				Magic: []byte("SUM"), Cmd: wire.Field{Offset: 3, Size: 1}, LengthFieldOffset: 4, LengthFieldLength: 2,
				Checksum: wire.Checksum{Algorithm: a, Offset: 6}, Header: 12,
			}),
			mustDeclare(t, "x_tail_"+strings.ReplaceAll(a.String(), "-", "_"), wire.Layout{
				ByteOrder: wire.LittleEndian, Magic: []byte("SUM"), Cmd: wire.Field{Offset: 3, Size: 1}, LengthFieldOffset: 4, LengthFieldLength: 2,
				Checksum: wire.Checksum{Algorithm: a, Trailer: true, Covers: []wire.Range{{From: 4, To: 6}, {From: 0, To: 1}}, CoversPayload: true}, Trailer: []byte{0x7E},
			}))
	}
	return all
}

// frames are some of a format: every kind that it tells apart, long and short.
func dissectedFrames(t *testing.T, f *wire.Format, from wire.Direction) (stream []byte) {
	t.Helper()
	l := f.Layout()
	version := uint32(0)
	if len(l.Versions) > 0 {
		version = l.Versions[0]
	}
	for i, payload := range []string{"", "hello", "ping\n", strings.Repeat("\x00\xff|,", 50), strings.Repeat("long ", 400), "a"} {
		payload = payload[:min(len(payload), f.MaxPayload())]
		if f.Name() == "x_strip" { // its payload begins with the header's last byte
			payload = "12" + payload[:min(len(payload), f.MaxPayload()-2)]
		}
		for _, cmd := range []uint32{0, 1, 2, 7, 16, 17, 0x80} {
			flag := uint32(i)
			if l.Cmd.Size == 0 {
				cmd = 0
			}
			if l.Flag.Size == 0 {
				flag = 0
			} else if cmd == 2 {
				flag = 2 // GOPR's PONG
			}
			var err error
			if stream, err = f.AppendFrom(stream, from, version, cmd, flag, []byte(payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if f.HasHeartbeat() {
		ping, err := f.AppendPing(nil, []byte("12"))
		if err != nil {
			t.Fatal(err)
		}
		var frame wire.Frame
		d, _ := f.NewDecoder(wire.Rules{})
		if _, err := d.Next(ping, &frame); err != nil {
			t.Fatal(err)
		}
		stream = f.AppendPong(append(stream, ping...), &frame)
	}
	return stream
}

// What tshark says of a stream is what wire says, for every format and however the stream falls into segments.
func TestDissectorAgreesWithWire(t *testing.T) {
	const wholly = 1 << 16
	columns := []string{"version", "cmd", "flag", "id", "heartbeat", "asks", "answers", "checksum.status", "payload"}
	var (
		formats = dissected(t)
		traffic = newCapture()
		scripts []string
		fields  = []string{"tcp.stream", "_ws.malformed"}
		streams []string // what each connection is about
		want    [][]string
	)
	for i, f := range formats {
		port := 7450 + i
		script := dissectorOf(t, f, f.Name(), port)
		scripts = append(scripts, script)
		for _, c := range columns {
			if strings.Contains(script, fmt.Sprintf(`"%s.%s"`, f.Name(), c)) {
				fields = append(fields, f.Name()+"."+c)
			}
		}
		for from, direction := range []wire.Direction{wire.FromClient, wire.FromServer} {
			stream := dissectedFrames(t, f, direction)
			for _, size := range []int{wholly, 1000, 7, 1} {
				part := stream
				if size < 10 {
					part = stream[:min(len(stream), 30*size)] // ends inside a frame
				}
				for _, server := range []int{port, 9999} {
					if server != port && (len(f.Layout().Magic) < leastMagic || size < 20) {
						continue // known by a whole header with its magic
					}
					if strings.HasPrefix(f.Name(), "x_header") && server != port || strings.HasPrefix(f.Name(), "x_tail") && server != port {
						continue // they have one magic between them
					}
					conn := traffic.connect(uint16(server))
					for piece := range slices.Chunk(part, size) {
						conn.send(from, piece)
					}
					streams = append(streams, fmt.Sprintf("%s, from %d, segments of %d, port %d", f.Name(), direction, size, server))
					want = append(want, wireSays(t, f, part, columns))
				}
			}
		}
	}

	got := make([][]string, len(want))
	for _, packet := range tshark(t, traffic, scripts, nil, fields...) {
		n, err := strconv.Atoi(packet[0])
		if err != nil || packet[1] != "" {
			t.Fatalf("packet %q", packet)
		}
		for i, values := range packet[2:] {
			if name := fields[i+2]; values != "" {
				for v := range strings.SplitSeq(values, ",") {
					got[n] = append(got[n], name+" "+plainNumber(v))
				}
			}
		}
	}
	for i := range want {
		slices.Sort(got[i]) // tshark gives the fields of a packet together
		slices.Sort(want[i])
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("%s: tshark found\n%.2000q\nwant\n%.2000q", streams[i], got[i], want[i])
		}
	}
}

// plainNumber leaves the zeros out of a number that tshark prints in hexadecimal.
func plainNumber(s string) string {
	if digits, hexadecimal := strings.CutPrefix(s, "0x"); hexadecimal {
		n, err := strconv.ParseUint(digits, 16, 64)
		if err == nil {
			return strconv.FormatUint(n, 10)
		}
	}
	return s
}

// wireSays is what wire reads in a stream, field by field.
func wireSays(t *testing.T, f *wire.Format, stream []byte, columns []string) (all []string) {
	t.Helper()
	l := f.Layout()
	d, err := f.NewDecoder(wire.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	say := func(column, value string) { all = append(all, f.Name()+"."+column+" "+value) }
	for len(stream) > 0 {
		var frame wire.Frame
		n, err := d.Next(stream, &frame)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		stream = stream[n:]
		for _, fd := range []struct {
			name  string
			field wire.Field
			value uint32
		}{{"version", l.Version, frame.Version}, {"cmd", l.Cmd, frame.Cmd}, {"flag", l.Flag, frame.Flag}} {
			if fd.field.Size > 0 {
				say(fd.name, fmt.Sprint(fd.value))
			}
		}
		if id, ok := f.ID(&frame); ok {
			say("id", fmt.Sprint(id))
		}
		switch {
		case f.IsPing(&frame):
			say("heartbeat", "ping")
		case f.IsPong(&frame):
			say("heartbeat", "pong")
		}
		if f.Asks(&frame) {
			say("asks", "1")
		}
		if f.Answers(&frame) {
			say("answers", "1")
		}
		if l.Checksum.Algorithm != wire.NoChecksum {
			say("checksum.status", "good")
		}
		if len(frame.Payload) > 0 {
			say("payload", hex.EncodeToString(frame.Payload))
		}
	}
	return all
}
