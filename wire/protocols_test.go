package wire

import "testing"

// Protocols of the world as one would declare them: with these, what a gateway
// asks of a format is tested as it is used.
var (
	memcached = mustFormat("memcached", Layout{ // the binary protocol
		Magic: []byte{0x80}, AnswerMagic: []byte{0x81},
		Cmd:               Field{Offset: 1, Size: 1}, // opcode
		Flag:              Field{Offset: 6, Size: 2}, // vbucket id, or status
		LengthFieldOffset: 8, LengthFieldLength: 4,
		ID:        IDField{Offset: 12, Size: 4}, // opaque
		Header:    24,
		Heartbeat: Heartbeat{Ping: Match{From: FromClient, Cmd: Is(0x0A)}, Pong: &Reply{Flag: new(uint32(0))}}, // NOOP
		Asks:      Match{From: FromClient},
		Answers:   Match{From: FromServer},
	})
	gearman = mustFormat("gearman", Layout{
		Magic: []byte("\x00REQ"), AnswerMagic: []byte("\x00RES"),
		Cmd:               Field{Offset: 4, Size: 4},
		LengthFieldOffset: 8, LengthFieldLength: 4,
		Heartbeat: Heartbeat{Ping: Match{From: FromClient, Cmd: Is(16)}, Pong: &Reply{Cmd: new(uint32(17)), EchoPayload: true}}, // ECHO_REQ
		Asks:      Match{From: FromClient, Commands: NewCommandSet(CommandRange{7, 7}, CommandRange{15, 16})},
		Answers:   Match{From: FromServer},
	})
	modbus = mustFormat("modbus", Layout{ // Modbus/TCP
		Magic: []byte{0, 0}, MagicOffset: 2, // protocol identifier
		LengthFieldOffset: 4, LengthFieldLength: 2, LengthAdjustment: new(0), // counts unit and function as well
		Cmd:     Field{Offset: 7, Size: 1, Mask: 0x7F},
		Flag:    Field{Offset: 7, Size: 1, Mask: 0x80},
		Header:  8,
		ID:      IDField{Offset: 0, Size: 2},
		Asks:    Match{Any: true},
		Answers: Match{Any: true},
	})
	dns = mustFormat("dns", Layout{ // over TCP
		LengthFieldLength:   2,
		InitialBytesToStrip: 2,
		Flag:                Field{Offset: 4, Size: 2},
		ID:                  IDField{Offset: 2, Size: 2},
		Header:              14,
		Asks:                Match{Flag: &Bits{Mask: 0x8000, Value: 0}},
		Answers:             Match{Flag: Has(0x8000)},
	})
	zabbix = mustFormat("zabbix", Layout{ // the agent's passive checks
		ByteOrder:         LittleEndian,
		Magic:             []byte("ZBXD"),
		Flag:              Field{Offset: 4, Size: 1},
		LengthFieldOffset: 5, LengthFieldLength: 4,
		Header: 13,
		Heartbeat: Heartbeat{
			Ping: Match{Flag: Is(1), Payload: []byte("agent.ping")},
			Pong: &Reply{Frame: []byte("ZBXD\x01\x01\x00\x00\x00\x00\x00\x00\x001")},
		},
		Asks: Match{Flag: Is(1)},
	})
	// echoes has a pong that is given whole, with an id and a checksum.
	echoes = mustFormat("echoes", Layout{
		Magic: []byte("E"), Cmd: Field{Offset: 1, Size: 1},
		LengthFieldOffset: 2, LengthFieldLength: 1,
		ID:        IDField{Offset: 4, Size: 1}, // the first byte of the payload
		Header:    4,
		Checksum:  Checksum{Algorithm: Sum8, Trailer: true},
		Heartbeat: Heartbeat{Ping: Match{Cmd: Has(0x80)}, Pong: &Reply{Frame: []byte("E\x01\x05\x00.abc.\x00"), Echo: []Range{{6, 8}}}},
		Asks:      Match{Cmd: &Bits{Mask: 0xF0, Value: 0x10}},
		Answers:   Match{Cmd: &Bits{Mask: 0xF0, Value: 0x20}},
	})
)

// readOne reads the one frame that b is.
func readOne(t *testing.T, f *Format, b string) Frame {
	t.Helper()
	var frame Frame
	if n, err := newDecoder(t, f, Rules{}).Next([]byte(b), &frame); n != len(b) || err != nil {
		t.Fatalf("%s: %q: %d, %v", f.Name(), b, n, err)
	}
	return frame
}

func TestHeartbeats(t *testing.T) {
	tests := []struct {
		name       string
		format     *Format
		ping, pong string
	}{
		{"gopr", GOPR, "GOPR\x00\x01\x00\x02\x01\x01ab", "GOPR\x00\x01\x00\x02\x02\x02ab"},
		{
			"memcached: the opaque comes back, the key does not", memcached,
			"\x80\x0a\x00\x00\x00\x00\x00\x07\x00\x00\x00\x03\xDE\xAD\xBE\xEF\x00\x00\x00\x00\x00\x00\x00\x01key",
			"\x81\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xDE\xAD\xBE\xEF\x00\x00\x00\x00\x00\x00\x00\x00",
		},
		{"gearman: the payload comes back", gearman, "\x00REQ\x00\x00\x00\x10\x00\x00\x00\x02hi", "\x00RES\x00\x00\x00\x11\x00\x00\x00\x02hi"},
		{"zabbix: a frame given whole", zabbix, "ZBXD\x01\x0A\x00\x00\x00\x00\x00\x00\x00agent.ping", "ZBXD\x01\x01\x00\x00\x00\x00\x00\x00\x001"},
		{"mc: the ping itself", MC, "MC\x01\x00\x01\x00\x00\x00\x00\x01\x46\x29\x39", ""},
		{"a frame given whole, of which two bytes and the id are echoed", echoes, "E\x85\x04ABCD\xd7", "E\x01\x05AabD.\x00"},
	}
	tests[4].ping = string(mustAppend(t, MC, 1, 1, 0, ""))
	tests[4].pong = tests[4].ping
	tests[5].ping = string(mustAppend(t, echoes, 0, 0x85, 0, "ABCD"))
	// The id A at 4; of the ping's 6 to 8, C and D, at 6 to 8.
	tests[5].pong = string(mustAppend(t, echoes, 0, 1, 0, "AaCD."))

	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ping := readOne(t, tt.format, tt.ping)
			if !tt.format.IsPing(&ping) {
				t.Fatalf("%+v is no ping", ping)
			}
			got := tt.format.AppendPong([]byte("before"), &ping)
			if string(got) != "before"+tt.pong {
				t.Errorf("pong %q, want %q", got, "before"+tt.pong)
			}
			pong := readOne(t, tt.format, tt.pong)
			if !tt.format.IsPong(&pong) {
				t.Errorf("%+v is no pong", pong)
			}
			if same := tt.pong == tt.ping; tt.format.IsPing(&pong) != same || tt.format.IsPong(&ping) != same {
				t.Errorf("the pong is a ping: %t, the ping is a pong: %t", tt.format.IsPing(&pong), tt.format.IsPong(&ping))
			}
			again, err := tt.format.AppendPing(nil, ping.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if made := readOne(t, tt.format, string(again)); !tt.format.IsPing(&made) {
				t.Errorf("AppendPing made %q, which is no ping", again)
			}
		})
	}
}

func TestNotAPing(t *testing.T) {
	tests := []struct {
		name   string
		format *Format
		frame  string
	}{
		{"a PING that does not ask", GOPR, "GOPR\x00\x01\x00\x00\x01\x02"},
		{"a PONG", GOPR, "GOPR\x00\x01\x00\x00\x02\x02"},
		{"the answer to a NOOP", memcached, "\x81\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"another item", zabbix, "ZBXD\x01\x0B\x00\x00\x00\x00\x00\x00\x00agent.ping2"},
		{"a format without a heartbeat", FRAM, string(mustAppend(t, FRAM, 0, 0, 0, ""))},
		{"a format without a heartbeat that has fields", GOLG, "GLOG\x00\x00\x01"},
	}
	for _, tt := range tests {
		if frame := readOne(t, tt.format, tt.frame); tt.format.IsPing(&frame) {
			t.Errorf("%s: %q is a ping", tt.name, tt.frame)
		}
	}
	if got, err := FRAM.AppendPing([]byte("before"), nil); string(got) != "before" || err == nil || err.Error() != "format fram has no heartbeat" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := GOPR.AppendPing([]byte("before"), make([]byte, 65536)); string(got) != "before" || err == nil {
		t.Errorf("a payload that does not fit: %q, %v", got, err)
	}
	// A ping may say its version and its payload; then no other is written.
	f := mustFormat("fixed", Layout{
		Version: Field{Offset: 0, Size: 1}, LengthFieldOffset: 1, LengthFieldLength: 1,
		Heartbeat: Heartbeat{Ping: Match{Version: Is(7), Payload: []byte("?")}},
	})
	if got, err := f.AppendPing(nil, []byte("payload")); string(got) != "\x07\x01?" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPairing(t *testing.T) {
	query := "\x00\x0D\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00" // of the root's nothing, cut short
	tests := []struct {
		name          string
		format        *Format
		frame         string
		asks, answers bool
		id            uint64
		hasID         bool
		answer        string // to it, with the payload "ok"; "" where it is none that asks
	}{
		{"gopr request", GOPR, "GOPR\x00\x01\x00\x01\x20\x01?", true, false, 0, false, "GOPR\x00\x01\x00\x02\x20\x02ok"},
		{"gopr answer", GOPR, "GOPR\x00\x01\x00\x00\x20\x02", false, true, 0, false, ""},
		{"gopr one-way", GOPR, "GOPR\x00\x01\x00\x00\x20\x00", false, false, 0, false, ""},
		{"gopr with the id of an extended connection", GOPR, "GOPR\x00\x01\x00\x04\x20\x21\x00\x00\x00\x01", true, false, 0, false, "GOPR\x00\x01\x00\x02\x20\x22ok"},
		{"gearman job", gearman, "\x00REQ\x00\x00\x00\x07\x00\x00\x00\x00", true, false, 0, false, "\x00RES\x00\x00\x00\x07\x00\x00\x00\x02ok"},
		{"gearman CAN_DO, which has no answer", gearman, "\x00REQ\x00\x00\x00\x01\x00\x00\x00\x00", false, false, 0, false, ""},
		{"gearman answer", gearman, "\x00RES\x00\x00\x00\x08\x00\x00\x00\x00", false, true, 0, false, ""},
		{
			"memcached get", memcached,
			"\x80\x00\x00\x03\x00\x00\x00\x07\x00\x00\x00\x03\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00key", true, false, 0x01020304, true,
			"\x81\x00\x00\x03\x00\x00\x00\x07\x00\x00\x00\x02\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x00ok",
		},
		{"modbus: either way", modbus, "\xBE\xEF\x00\x00\x00\x03\x11\x03x", true, true, 0xBEEF, true, "\xBE\xEF\x00\x00\x00\x04\x11\x03ok"},
		{"modbus exception", modbus, "\xBE\xEF\x00\x00\x00\x03\x11\x83\x02", true, true, 0xBEEF, true, "\xBE\xEF\x00\x00\x00\x04\x11\x83ok"},
		{"dns query", dns, query, true, false, 0x1234, true, ""},
		{"dns answer", dns, "\x00\x0C\x12\x34\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00", false, true, 0x1234, true, ""},
		{"by bits of the command", echoes, string(mustAppend(t, echoes, 0, 0x13, 0, "7")), true, false, '7', true, string(mustAppend(t, echoes, 0, 0x23, 0, "7k"))},
		{"too short for its id", echoes, string(mustAppend(t, echoes, 0, 0x13, 0, "")), true, false, 0, false, string(mustAppend(t, echoes, 0, 0x23, 0, "ok"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			frame := readOne(t, tt.format, tt.frame)
			if asks, answers := tt.format.Asks(&frame), tt.format.Answers(&frame); asks != tt.asks || answers != tt.answers {
				t.Errorf("asks %t, answers %t, want %t, %t", asks, answers, tt.asks, tt.answers)
			}
			if id, ok := tt.format.ID(&frame); id != tt.id || ok != tt.hasID {
				t.Errorf("id %#x, %t, want %#x, %t", id, ok, tt.id, tt.hasID)
			}
			if tt.answer == "" {
				return
			}
			got, err := tt.format.AppendAnswer([]byte("before"), &frame, []byte("ok"))
			if err != nil || string(got) != "before"+tt.answer {
				t.Fatalf("answer %q, %v, want %q", got, err, "before"+tt.answer)
			}
			if answer := readOne(t, tt.format, tt.answer); !tt.format.Answers(&answer) {
				t.Errorf("%+v is no answer", answer)
			}
		})
	}

	frame := readOne(t, GOPR, "GOPR\x00\x01\x00\x00\x20\x01")
	if got, err := GOPR.AppendAnswer([]byte("before"), &frame, make([]byte, 65536)); string(got) != "before" || err == nil {
		t.Errorf("an answer that does not fit: %d bytes, %v", len(got), err)
	}
	frame = readOne(t, dns, query)
	if got, err := dns.AppendAnswer([]byte("before"), &frame, []byte("short")); string(got) != "before" || err == nil ||
		err.Error() != "length 5 does not fit a dns frame: at least 12" {
		t.Errorf("an answer less than its header: %q, %v", got, err)
	}
}

func TestSetID(t *testing.T) {
	tests := []struct {
		name   string
		format *Format
		frame  string
		id     uint64
		want   string // "": refused
	}{
		{"in the header", modbus, "\xBE\xEF\x00\x00\x00\x02\x11\x03", 0x0102, "\x01\x02\x00\x00\x00\x02\x11\x03"},
		{"over the field", modbus, "\xBE\xEF\x00\x00\x00\x02\x11\x03", 0x10000, ""},
		{"in the payload, under a checksum", echoes, string(mustAppend(t, echoes, 0, 1, 0, "A.")), 'B', string(mustAppend(t, echoes, 0, 1, 0, "B."))},
		{"in a payload that is too short", echoes, string(mustAppend(t, echoes, 0, 1, 0, "")), 'B', ""},
		{"less than a frame", modbus, "\xBE\xEF", 1, ""},
		{"a format without an id", GOPR, "GOPR\x00\x01\x00\x00\x20\x01", 1, ""},
	}
	for _, tt := range tests {
		raw := []byte(tt.frame)
		want, ok := tt.want, tt.want != ""
		if !ok {
			want = tt.frame
		}
		if got := tt.format.SetID(raw, tt.id); got != ok || string(raw) != want {
			t.Errorf("%s: %t, %q, want %t, %q", tt.name, got, raw, ok, want)
		}
	}
	if modbus.MaxID() != 0xFFFF || GOPR.MaxID() != 0 || GOPR.HasID() || !modbus.HasID() {
		t.Errorf("modbus to %d, gopr to %d", modbus.MaxID(), GOPR.MaxID())
	}
}

// A magic of its own for each direction: both are read unless the rules say
// one, and a wrong one is known at the first byte that neither has.
func TestMagicOfEachDirection(t *testing.T) {
	client, server := string(mustAppend(t, gearman, 0, 1, 0, "a")), ""
	b, err := gearman.AppendFrom(nil, FromServer, 0, 1, 0, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	server = string(b)
	tests := []struct {
		from     Direction
		stream   string
		frames   int
		offset   int // of the reject
		got      byte
		expected byte
	}{
		{AnyDirection, client + server, 2, 0, 0, 0},
		{FromClient, client + client, 2, 0, 0, 0},
		{FromServer, server + server, 2, 0, 0, 0},
		{FromClient, client + server, 1, 3, 'S', 'Q'},
		{FromServer, server + client, 1, 3, 'Q', 'S'},
		{AnyDirection, client + "\x00REX", 1, 3, 'X', 'Q'},
		{AnyDirection, "GET", 0, 0, 'G', 0},
	}
	for _, tt := range tests {
		for _, format := range []*Format{gearman, byLayout(gearman)} {
			d := newDecoder(t, format, Rules{From: tt.from})
			got := receive(t, d, []byte(tt.stream), len(tt.stream))
			if len(got.frames) != tt.frames || (got.reject != nil) != (tt.got != 0) {
				t.Errorf("%v, %q: %+v", tt.from, tt.stream, got)
			} else if r := got.reject; r != nil && *r != (RejectError{ReasonMagic, tt.offset, uint64(tt.got), uint64(tt.expected), 0}) {
				t.Errorf("%v, %q: %+v", tt.from, tt.stream, *r)
			}
		}
	}

	// Resync stops at what the rules accept.
	for from, want := range map[Direction]int{AnyDirection: 2, FromServer: 2, FromClient: 2 + len(server)} {
		d := newDecoder(t, gearman, Rules{From: from})
		if n := d.Resync([]byte("xx" + server + client)); n != want {
			t.Errorf("%v: Resync = %d, want %d", from, n, want)
		}
	}
}

// A magic that does not begin the frame is found with what comes before it.
func TestResyncWithOffset(t *testing.T) {
	d := newDecoder(t, modbus, Rules{})
	for b, want := range map[string]int{
		"":                         0,
		"\x01":                     0, // may be an id
		"\x01\x02":                 0,
		"\x01\x02\x00":             0,
		"\x01\x02\x00\x00":         0,
		"\x01\x02\x03":             1,
		"\x01\x02\x03\x04":         2,
		"\x01\x02\x03\x04\x00\x00": 2,
		"\x01\x02\x00\x04\x00\x00": 2,
		"\x01\x02\x03\x00\x00\x06": 1,
	} {
		if got := d.Resync([]byte(b)); got != want {
			t.Errorf("Resync(%x) = %d, want %d", b, got, want)
		}
	}
	if got := newDecoder(t, Length, Rules{}).Resync([]byte("anything")); got != 0 {
		t.Errorf("without a magic: %d, want 0", got)
	}
}

func mustAppend(t *testing.T, f *Format, version, cmd, flag uint32, payload string) []byte {
	t.Helper()
	b, err := f.Append(nil, version, cmd, flag, []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
