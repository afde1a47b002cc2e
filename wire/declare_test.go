package wire

import (
	"bytes"
	"math"
	"testing"
)

// good is a declaration with a part of every kind, which a test changes.
func goodLayout() Layout {
	return Layout{
		Magic:             []byte{0xCA, 0xFE},
		AnswerMagic:       []byte{0xBE, 0xEF},
		Version:           Field{Offset: 2, Size: 1},
		Versions:          []uint32{1, 2},
		Cmd:               Field{Offset: 3, Size: 2},
		Flag:              Field{Offset: 5, Size: 1},
		LengthFieldOffset: 6,
		LengthFieldLength: 2,
		ID:                IDField{Offset: 8, Size: 4},
		Checksum:          Checksum{Algorithm: CRC32, Offset: 12},
		Header:            18,
		Trailer:           []byte("\r\n"),
		Heartbeat: Heartbeat{
			Ping: Match{Cmd: Is(1), Flag: Has(1)},
			Pong: &Reply{Cmd: new(uint32(2)), Flag: new(uint32(2)), EchoPayload: true, Echo: []Range{{16, 18}}},
		},
		Asks:    Match{Flag: Has(1)},
		Answers: Match{Flag: Has(2)},
	}
}

func TestNewFormat(t *testing.T) {
	l := goodLayout()
	f, err := NewFormat("good", l)
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != "good" || f.HeaderLen() != 18 || f.MaxPayload() != 65535 || f.MaxID() != math.MaxUint32 || !f.HasID() {
		t.Errorf("%q, header %d, maximum %d, ids to %d", f.Name(), f.HeaderLen(), f.MaxPayload(), f.MaxID())
	}

	// What its maker does with the declaration later does not reach the format.
	want, err := f.Append(nil, 1, 1, 1, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	l.Magic[0], l.Trailer[0], l.Versions[0], l.Heartbeat.Ping.Cmd.Value, *l.Heartbeat.Pong.Cmd, l.Heartbeat.Pong.Echo[0].From = 0, 0, 9, 9, 9, 0
	copied := f.Layout()
	copied.Magic[0], copied.Trailer[0], copied.Versions[0], copied.Heartbeat.Ping.Cmd.Value, *copied.Heartbeat.Pong.Cmd = 0, 0, 9, 9, 9
	got, err := f.Append(nil, 1, 1, 1, []byte("hello"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%x, %v, want %x", got, err, want)
	}
	var ping Frame
	if n, err := newDecoder(t, f, Rules{}).Next(want, &ping); n != len(want) || err != nil || !f.IsPing(&ping) {
		t.Errorf("%d, %v, %+v", n, err, ping)
	}
}

// What cannot be is refused with a sentence that names what clashes.
func TestNewFormatRefuses(t *testing.T) {
	tests := []struct {
		want   string // behind: format "bad":
		change func(l *Layout)
	}{
		{"byte order 2: want BigEndian or LittleEndian", func(l *Layout) { l.ByteOrder = 2 }},

		{"cmd (bytes 3 to 4) and flag (byte 4) overlap", func(l *Layout) { l.Flag.Offset = 4 }},
		{"magic (bytes 0 to 1) and version (byte 1) overlap", func(l *Layout) { l.Version.Offset = 1 }},
		{"flag (byte 5) and length (bytes 5 to 6) overlap", func(l *Layout) { l.LengthFieldOffset = 5 }},
		{"checksum (bytes 10 to 13) and id (bytes 8 to 11) overlap", func(l *Layout) { l.Checksum.Offset = 10 }},
		{"length (bytes 6 to 7) and id (bytes 7 to 10) overlap", func(l *Layout) { l.ID.Offset = 7 }},
		{"version (byte 2) and flag (byte 2) overlap", func(l *Layout) { l.Version.Mask, l.Flag = 0x1F, Field{Offset: 2, Size: 1, Mask: 0x10} }},
		{"checksum (bytes 16 to 19) does not lie in the header of 18 bytes", func(l *Layout) { l.Checksum.Offset = 16 }},
		{"id (bytes 16 to 19) lies half in the header of 18 bytes and half in the payload", func(l *Layout) { l.ID.Offset = 16 }},
		{"cmd at byte -1: want 0 to 65536, counted from the start of the frame", func(l *Layout) { l.Cmd.Offset = -1 }},
		{"magic at byte 70000: want 0 to 65536, counted from the start of the frame", func(l *Layout) { l.MagicOffset = 70000 }},
		{"id at byte -4: want 0 to 65536, counted from the start of the frame", func(l *Layout) { l.ID.Offset = -4 }},
		{"header of -1 bytes: want 1 to 65536", func(l *Layout) { l.Header = -1 }},

		{"an answer has a magic, but a request has none", func(l *Layout) { l.Magic = nil }},
		{"magic_offset 4, but there is no magic", func(l *Layout) { l.Magic, l.AnswerMagic, l.MagicOffset = nil, nil, 4 }},
		{"the magic CAFE and that of an answer BE differ in length", func(l *Layout) { l.AnswerMagic = l.AnswerMagic[:1] }},
		{"the magic CAFE and that of an answer are the same: leave the second out", func(l *Layout) { l.AnswerMagic = l.Magic }},

		{"cmd of 5 bytes: want 1 to 4", func(l *Layout) { l.Cmd.Size = 5 }},
		{"cmd of -1 bytes: want 1 to 4", func(l *Layout) { l.Cmd.Size = -1 }},
		{"flag has an offset, a mask or a shift, but no size", func(l *Layout) { l.Flag.Size = 0 }},
		{"flag: the mask 0x1FF has bits that are not in byte 5", func(l *Layout) { l.Flag.Mask = 0x1FF }},
		{"flag: the shift 5 moves bits of the mask 0xF0 out of the value", func(l *Layout) { l.Flag.Mask, l.Flag.Shift = 0xF0, 5 }},
		{"flag: the shift 1 moves bits of the mask 0xFF out of the value", func(l *Layout) { l.Flag.Shift = 1 }},
		{"version 256 does not fit the version field: at most 255", func(l *Layout) { l.Versions[1] = 256 }},
		{"version 1 is to be accepted, but the format has no version field", func(l *Layout) { l.Version = Field{} }},

		{"there is no length field: want one of 1, 2, 3, 4 or 8 bytes", func(l *Layout) { l.LengthFieldLength = 0 }},
		{"length of 5 bytes: want 1, 2, 3, 4 or 8", func(l *Layout) { l.LengthFieldLength = 5 }},
		{"length_adjustment 2147483648: want a number of 32 bits", func(l *Layout) { l.LengthAdjustment = new(1 << 31) }},
		{
			"length (byte 6) says at most 255, and with a length_adjustment of -300 no frame holds its header of 18 bytes and the 2 behind the payload",
			func(l *Layout) { l.LengthFieldLength, l.LengthAdjustment = 1, new(-300) },
		},
		{"max_frame_length -1: want 1 to 2147483647, or 0 for the default", func(l *Layout) { l.MaxFrameLength = -1 }},
		{"max_frame_length 19 is less than the header of 18 bytes and the 2 behind the payload", func(l *Layout) { l.MaxFrameLength = 19 }},
		{
			"length_adjustment 100 makes the shortest frame 108 bytes, over the max_frame_length of 50",
			func(l *Layout) { l.LengthAdjustment, l.MaxFrameLength = new(100), 50 },
		},
		{"initial_bytes_to_strip 19 is more than the header of 18 bytes", func(l *Layout) { l.InitialBytesToStrip = 19 }},
		{"initial_bytes_to_strip -1: want 0 to 65536", func(l *Layout) { l.InitialBytesToStrip = -1 }},

		{"checksum: there is no algorithm(99)", func(l *Layout) { l.Checksum.Algorithm = 99; l.Checksum.Trailer = true; l.Checksum.Offset = 0 }},
		{"checksum has a place or covers bytes, but no algorithm", func(l *Layout) { l.Checksum.Algorithm = NoChecksum }},
		{"checksum stands behind the payload and at byte 12: want one of them", func(l *Layout) { l.Checksum.Trailer = true }},
		{"checksum covers 10-13 and so itself, bytes 12 to 15", func(l *Layout) { l.Checksum.Covers = []Range{{0, 2}, {10, 13}} }},
		{"checksum covers 0-19: want a range within the header of 18 bytes", func(l *Layout) { l.Checksum.Covers = []Range{{0, 19}} }},
		{"checksum covers 4-4: want a range within the header of 18 bytes", func(l *Layout) { l.Checksum.Covers = []Range{{4, 4}} }},
		{"trailer of 65537 bytes: at most 65536", func(l *Layout) { l.Trailer = make([]byte, 65537) }},

		{"id of 3 bytes: want 1, 2, 4 or 8", func(l *Layout) { l.ID.Size = 3 }},
		{"id has an offset, but no size", func(l *Layout) { l.ID.Size = 0 }},

		{"ping goes by cmd, which the format has not", func(l *Layout) { l.Cmd = Field{} }},
		{"ping: cmd 0x10000 does not fit its field: at most 0xFFFF", func(l *Layout) { l.Heartbeat.Ping.Cmd = Is(0x10000) }},
		{"asks: flag is never 0x03 under the mask 0x01", func(l *Layout) { l.Asks.Flag = &Bits{Mask: 1, Value: 3} }},
		{"asks goes by the magic, but requests and answers have the same", func(l *Layout) { l.AnswerMagic, l.Asks = nil, Match{From: FromClient} }},
		{"asks: direction 3: want AnyDirection, FromClient or FromServer", func(l *Layout) { l.Asks = Match{From: 3} }},
		{"answers: the set of commands is empty", func(l *Layout) { l.Answers.Commands = NewCommandSet() }},
		{"answers: cmd 0x10000 does not fit its field: at most 0xFFFF", func(l *Layout) { l.Answers.Commands = NewCommandSet(CommandRange{0x10000, 0x10000}) }},
		{
			"answers goes by cmd, which the format has not",
			func(l *Layout) {
				l.Cmd, l.Heartbeat, l.Answers.Commands = Field{}, Heartbeat{}, NewCommandSet(CommandRange{1, 1})
			},
		},
		{"answers: a payload of 65536 bytes, but a frame carries at most 65535", func(l *Layout) { l.Answers.Payload = make([]byte, 65536) }},

		{"heartbeat: there is a pong, but no ping", func(l *Layout) { l.Heartbeat.Ping = Match{} }},
		{"ping: any frame of several kinds would be one: give cmd, flag or payload", func(l *Layout) { l.Heartbeat.Ping = Match{Any: true} }},
		{"pong: cmd 0x10000 does not fit its field: at most 0xFFFF", func(l *Layout) { l.Heartbeat.Pong.Cmd = new(uint32(0x10000)) }},
		{"pong: a whole frame is given, and fields of it as well: want one of them", func(l *Layout) { l.Heartbeat.Pong.Frame = []byte("x") }},
		{"pong: BEEF is no frame of the format: 2 bytes are less than a header", func(l *Layout) { l.Heartbeat.Pong = &Reply{Frame: []byte{0xBE, 0xEF}} }},
		{
			"pong: 4845 is no frame of the format: wrong magic: byte 0 is 0x48, want 0xCA",
			func(l *Layout) { l.Heartbeat.Pong = &Reply{Frame: []byte("HE")} },
		},
		{"echo 16-19: want a range within the header of 18 bytes", func(l *Layout) { l.Heartbeat.Pong.Echo[0].To = 19 }},
		{"length (bytes 6 to 7) and echo (bytes 7 to 17) overlap", func(l *Layout) { l.Heartbeat.Pong.Echo[0].From = 7 }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			l := goodLayout()
			tt.change(&l)
			f, err := NewFormat("bad", l)
			if f != nil || err == nil {
				t.Fatalf("%v, %v", f, err)
			}
			if got := err.Error(); got != `format "bad": `+tt.want {
				t.Errorf("got  %s\nwant format \"bad\": %s", got, tt.want)
			}
		})
	}
	if f, err := NewFormat("", goodLayout()); f != nil || err == nil {
		t.Errorf("without a name: %v, %v", f, err)
	}
}

// Fields may share a byte, and bytes of the header may be nobody's.
func TestFieldsShareAByte(t *testing.T) {
	for _, order := range []ByteOrder{BigEndian, LittleEndian} {
		f, err := NewFormat("shared", Layout{
			ByteOrder:         order,
			Version:           Field{Offset: 0, Size: 1, Mask: 0xE0, Shift: 5},
			Cmd:               Field{Offset: 0, Size: 1, Mask: 0x1F},
			Flag:              Field{Offset: 1, Size: 2, Mask: 0x0FF0, Shift: 4},
			LengthFieldOffset: 4, LengthFieldLength: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[ByteOrder]string{BigEndian: "\xA3\x0A\xB0\x00\x02hi", LittleEndian: "\xA3\xB0\x0A\x00\x02hi"}[order]
		got, err := f.Append(nil, 5, 3, 0xAB, []byte("hi"))
		if err != nil || string(got) != want {
			t.Fatalf("%v: %q, %v, want %q", order, got, err, want)
		}
		var frame Frame
		if n, err := newDecoder(t, f, Rules{}).Next(got, &frame); n != len(got) || err != nil {
			t.Fatal(n, err)
		}
		if frame.Version != 5 || frame.Cmd != 3 || frame.Flag != 0xAB || string(frame.Payload) != "hi" {
			t.Errorf("%v: %+v", order, frame)
		}
		if _, err := f.Append(nil, 8, 0, 0, nil); err == nil || err.Error() != "version 8 does not fit a shared frame: at most 7" {
			t.Errorf("%v: %v", order, err)
		}
	}
}

// How long a frame may be, and what its length field then says.
func TestLengths(t *testing.T) {
	tests := []struct {
		name                  string
		layout                Layout
		minFrame, maxFrame    int
		minLength, maxLength  uint64
		minPayload, maxPaylod int
	}{
		{"a byte", Layout{LengthFieldLength: 1}, 1, 256, 0, 255, 0, 255},
		{"four bytes: the default maximum", Layout{LengthFieldLength: 4}, 4, 1 << 20, 0, 1<<20 - 4, 0, 1<<20 - 4},
		{"eight bytes: the default maximum", Layout{LengthFieldLength: 8}, 8, 1 << 20, 0, 1<<20 - 8, 0, 1<<20 - 8},
		{"eight bytes: the greatest", Layout{LengthFieldLength: 8, MaxFrameLength: math.MaxInt32}, 8, math.MaxInt32, 0, math.MaxInt32 - 8, 0, math.MaxInt32 - 8},
		{"a maximum over what the field says", Layout{LengthFieldLength: 1, MaxFrameLength: 1000}, 1, 256, 0, 255, 0, 255},
		{"the length counts all", Layout{LengthFieldLength: 2, LengthAdjustment: new(-2), Header: 5}, 5, 65535, 5, 65535, 0, 65530},
		{"the length counts less than the payload", Layout{LengthFieldLength: 1, LengthAdjustment: new(10)}, 11, 266, 0, 255, 10, 265},
		{"behind the payload", Layout{LengthFieldLength: 1, Trailer: []byte("\n"), Checksum: Checksum{Algorithm: CRC16Modbus, Trailer: true}}, 4, 259, 0, 255, 0, 255},
		{"the payload begins in the header", Layout{LengthFieldLength: 2, Header: 6, InitialBytesToStrip: 2}, 6, 65537, 4, 65535, 4, 65535},
	}
	for _, tt := range tests {
		f, err := NewFormat("lengths", tt.layout)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if f.minFrame != tt.minFrame || f.maxFrame != tt.maxFrame || f.minLength != tt.minLength || f.maxLength != tt.maxLength ||
			f.minPayload() != tt.minPayload || f.MaxPayload() != tt.maxPaylod {
			t.Errorf("%s: frames of %d to %d bytes, lengths %d to %d, payloads %d to %d", tt.name,
				f.minFrame, f.maxFrame, f.minLength, f.maxLength, f.minPayload(), f.MaxPayload())
		}
	}
}

// A reject of a length says on which side of which bound it is, and, where the
// format discards what is too long, where the frame ends.
func TestLengthRejected(t *testing.T) {
	layout := Layout{LengthFieldLength: 4, LengthAdjustment: new(-4), Header: 6, MaxFrameLength: 100}
	discards := layout
	discards.DiscardTooLong = true
	tests := []struct {
		layout Layout
		length uint32
		want   RejectError
		text   string
	}{
		{layout, 5, RejectError{ReasonLength, 0, 5, 6, 0}, "length 5 at byte 0 is under the minimum of 6"},
		{layout, 101, RejectError{ReasonLength, 0, 101, 100, 0}, "length 101 at byte 0 is over the maximum of 100"},
		{discards, 5, RejectError{ReasonLength, 0, 5, 6, 0}, "length 5 at byte 0 is under the minimum of 6"},
		{discards, 101, RejectError{ReasonLength, 0, 101, 100, 101}, "length 101 at byte 0 is over the maximum of 100"},
		{discards, math.MaxUint32, RejectError{ReasonLength, 0, math.MaxUint32, 100, 0}, "length 4294967295 at byte 0 is over the maximum of 100"},
	}
	for _, tt := range tests {
		f, err := NewFormat("lengths", tt.layout)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{byte(tt.length >> 24), byte(tt.length >> 16), byte(tt.length >> 8), byte(tt.length)}
		var frame Frame
		_, err = newDecoder(t, f, Rules{}).Next(b, &frame)
		if reject, ok := err.(*RejectError); !ok || *reject != tt.want || err.Error() != tt.text {
			t.Errorf("length %d: %+v, want %+v, %s", tt.length, err, tt.want, tt.text)
		}
	}
}
