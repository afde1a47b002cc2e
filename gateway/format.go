package gateway

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Format declares the frames of a length-framed protocol. All offsets are in bytes from the start of the frame; bytes are written in hex, such as `0x4D43`; a range `4-8` is
// the bytes from 4 up to but not including 8.
type Format struct {
	// The byte order of every integer: `big` or `little`. Default: `big`.
	ByteOrder string `json:"byte_order,omitempty"`
	// The size of the header in bytes. Default: up to the end of the last field declared.
	Header int `json:"header,omitempty"`
	// The bytes that every frame has at magic_offset. Default: none.
	Magic string `json:"magic,omitempty"`
	// What frames from the server have in its place, if that differs; of the same length.
	AnswerMagic string `json:"answer_magic,omitempty"`
	// Where the magic is. Default: 0.
	MagicOffset int `json:"magic_offset,omitempty"`
	// The version field.
	Version *Field `json:"version,omitempty"`
	// The versions accepted where a handler names none; the first is the one that the gateway writes. Default: all.
	Versions []uint32 `json:"versions,omitempty"`
	// The command field.
	Cmd *Field `json:"cmd,omitempty"`
	// The flag field.
	Flag *Field `json:"flag,omitempty"`
	// Where the length field is. This and the next five have the names and the meaning of Netty's LengthFieldBasedFrameDecoder.
	LengthFieldOffset int `json:"length_field_offset,omitempty"`
	// The size of the length field: 1, 2, 3, 4 or 8 bytes. There must be one.
	LengthFieldLength int `json:"length_field_length,omitempty"`
	// What to add to the number in the length field to have the bytes that follow it; may be negative. Default: the number counts the payload alone.
	LengthAdjustment *int `json:"length_adjustment,omitempty"`
	// Where the payload begins. Default: behind the header.
	InitialBytesToStrip int `json:"initial_bytes_to_strip,omitempty"`
	// The longest frame in bytes. Default: 1 MiB, or what a length field of one or two bytes can say.
	MaxFrameLength int `json:"max_frame_length,omitempty"`
	// false: a frame that is too long is passed over where `on_invalid drop` says so, and its length is trusted for that. Default: true.
	FailFast *bool `json:"fail_fast,omitempty"`
	// The checksum of the frame. Default: none.
	Checksum *Checksum `json:"checksum,omitempty"`
	// The bytes with which every frame ends. Default: none.
	Trailer string `json:"trailer,omitempty"`
	// Which frame is a ping, and what answers it. Default: the format has no heartbeat.
	Heartbeat *FormatHeartbeat `json:"heartbeat,omitempty"`
	// Which frames from clients want exactly one answer. Request pooling needs to know.
	Asks *Match `json:"asks,omitempty"`
	// Which frames from servers are an answer.
	Answers *Match `json:"answers,omitempty"`
	// The number that pairs an answer with what asked for it. Default: answers come in the order of the requests.
	ID *ID `json:"id,omitempty"`
}

// Field is an unsigned integer in the header.
type Field struct {
	Offset int `json:"offset"`
	// The size in bytes, 1 to 4.
	Size int `json:"size"`
	// The bits of the integer that are the field. Default: all.
	Mask uint32 `json:"mask,omitempty"`
	// How many bits the value is then moved to the right.
	Shift int `json:"shift,omitempty"`
}

// Checksum says how a frame's checksum is computed, and where it stands.
type Checksum struct {
	// `crc32`, `crc32c`, `crc16-ccitt`, `crc16-modbus`, `adler32`, `xor8` or `sum8`.
	Algorithm string `json:"algorithm"`
	// Where in the header it stands.
	Offset int `json:"offset,omitempty"`
	// It stands behind the payload instead.
	Trailer bool `json:"trailer,omitempty"`
	// What it is over, in this order: ranges of the header, and `payload`. Default: all of the header but itself, and the payload.
	Covers []string `json:"covers,omitempty"`
}

// FormatHeartbeat says which frame is a ping, and what answers it.
type FormatHeartbeat struct {
	Ping Match `json:"ping"`
	// What answers a ping. Default: the ping itself.
	Reply *Reply `json:"reply,omitempty"`
}

// Reply is the frame that answers a ping: a whole frame, or one put together.
type Reply struct {
	// The whole frame. Length, checksum and id are set right in any case.
	Frame string `json:"frame,omitempty"`
	// The command. Default: the ping's.
	Cmd *uint32 `json:"cmd,omitempty"`
	// The flag. Default: the ping's.
	Flag *uint32 `json:"flag,omitempty"`
	// What comes back from the ping: `payload`, and ranges of bytes.
	Echo []string `json:"echo,omitempty"`
}

// Match says which frames are meant: those that have all of it.
type Match struct {
	// Every frame; whatever else is given narrows it.
	Any bool `json:"any,omitempty"`
	// Who sends it, where the magic says so: `client` or `server`.
	From string `json:"from,omitempty"`
	// A value of the field, such as `1`, or some of its bits as value/mask, such as `0x01/0x01`.
	Version string `json:"version,omitempty"`
	// As version; or several commands: `16-31 0x80`.
	Cmd string `json:"cmd,omitempty"`
	// As version.
	Flag string `json:"flag,omitempty"`
	// All of the payload.
	Payload string `json:"payload,omitempty"`
}

// ID is where a request's number is, and again in its answer.
type ID struct {
	Offset int `json:"offset"`
	// The size in bytes: 1, 2, 4 or 8.
	Size int `json:"size"`
}

// Compile makes the format, or says what is wrong with its declaration and what would be right.
func (f *Format) Compile(name string) (*wire.Format, error) {
	l, err := f.layout()
	if err != nil {
		return nil, fmt.Errorf("format %q: %w", name, err)
	}
	return wire.NewFormat(name, l)
}

func (f *Format) layout() (l wire.Layout, err error) {
	l = wire.Layout{
		Header: f.Header, MagicOffset: f.MagicOffset, Versions: f.Versions,
		LengthFieldOffset: f.LengthFieldOffset, LengthFieldLength: f.LengthFieldLength, LengthAdjustment: f.LengthAdjustment,
		InitialBytesToStrip: f.InitialBytesToStrip, MaxFrameLength: f.MaxFrameLength, DiscardTooLong: f.FailFast != nil && !*f.FailFast,
		Version: f.Version.field(), Cmd: f.Cmd.field(), Flag: f.Flag.field(),
	}
	switch f.ByteOrder {
	case "", wire.BigEndian.String():
	case wire.LittleEndian.String():
		l.ByteOrder = wire.LittleEndian
	default:
		return l, fmt.Errorf("unknown byte_order %q: %v or %v", f.ByteOrder, wire.BigEndian, wire.LittleEndian)
	}
	if f.LengthFieldLength == 0 {
		return l, fmt.Errorf("there is no length field: say where it is, as in `length 4 2` for the two bytes at 4")
	}
	if f.ID != nil {
		l.ID = wire.IDField{Offset: f.ID.Offset, Size: f.ID.Size}
	}
	for _, b := range []struct {
		name string
		from string
		to   *[]byte
	}{{"magic", f.Magic, &l.Magic}, {"answer_magic", f.AnswerMagic, &l.AnswerMagic}, {"trailer", f.Trailer, &l.Trailer}} {
		if *b.to, err = parseHex(b.from); err != nil {
			return l, fmt.Errorf("%s: %w", b.name, err)
		}
	}
	if l.Checksum, err = f.Checksum.checksum(); err != nil {
		return l, fmt.Errorf("checksum: %w", err)
	}
	if hb := f.Heartbeat; hb != nil {
		if l.Heartbeat.Ping, err = hb.Ping.match(); err != nil {
			return l, fmt.Errorf("heartbeat: %w", err)
		}
		if l.Heartbeat.Pong, err = hb.Reply.reply(); err != nil {
			return l, fmt.Errorf("heartbeat reply: %w", err)
		}
	}
	if l.Asks, err = f.Asks.match(); err != nil {
		return l, fmt.Errorf("asks: %w", err)
	}
	if l.Answers, err = f.Answers.match(); err != nil {
		return l, fmt.Errorf("answers: %w", err)
	}
	return l, nil
}

func (f *Field) field() wire.Field {
	if f == nil {
		return wire.Field{}
	}
	return wire.Field{Offset: f.Offset, Size: f.Size, Mask: f.Mask, Shift: f.Shift}
}

func (c *Checksum) checksum() (out wire.Checksum, err error) {
	if c == nil {
		return out, nil
	}
	out.Offset, out.Trailer = c.Offset, c.Trailer
	if out.Algorithm, err = wire.ParseAlgorithm(c.Algorithm); err != nil {
		return out, err
	}
	out.Covers, out.CoversPayload, err = parseRanges(c.Covers)
	return out, err
}

func (r *Reply) reply() (*wire.Reply, error) {
	if r == nil {
		return nil, nil
	}
	out := &wire.Reply{Cmd: r.Cmd, Flag: r.Flag}
	var err error
	if out.Frame, err = parseHex(r.Frame); err != nil {
		return nil, err
	}
	if len(out.Frame) == 0 {
		out.Frame = nil
	}
	out.Echo, out.EchoPayload, err = parseRanges(r.Echo)
	return out, err
}

func (m *Match) match() (out wire.Match, err error) {
	if m == nil {
		return out, nil
	}
	out.Any = m.Any
	switch m.From {
	case "":
	case "client":
		out.From = wire.FromClient
	case "server":
		out.From = wire.FromServer
	default:
		return out, fmt.Errorf("from %q: client or server", m.From)
	}
	if out.Version, err = parseBits(m.Version); err != nil {
		return out, fmt.Errorf("version: %w", err)
	}
	if out.Flag, err = parseBits(m.Flag); err != nil {
		return out, fmt.Errorf("flag: %w", err)
	}
	if out.Cmd, out.Commands, err = parseCommands(m.Cmd); err != nil {
		return out, fmt.Errorf("cmd: %w", err)
	}
	if m.Payload != "" {
		out.Payload, err = parseHex(m.Payload)
	}
	return out, err
}

// parseHex takes bytes as 0x4D43 or 4D43.
func parseHex(s string) ([]byte, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0x"), "0X")
	b, err := hex.DecodeString(digits)
	if err != nil {
		return nil, fmt.Errorf("%q is no bytes in hex: write two digits for each, as in 0x4D43", s)
	}
	return b, nil
}

func parseNumber(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is no number such as 16 or 0x10", s)
	}
	return uint32(v), nil
}

// parseBits takes value or value/mask; "": any value.
func parseBits(s string) (*wire.Bits, error) {
	if s == "" {
		return nil, nil
	}
	value, mask, masked := strings.Cut(s, "/")
	v, err := parseNumber(value)
	if err != nil {
		return nil, err
	}
	b := wire.Is(v)
	if masked {
		if b.Mask, err = parseNumber(mask); err != nil {
			return nil, err
		}
		if b.Mask == 0 || v&^b.Mask != 0 {
			return nil, fmt.Errorf("%q can never be: the value has bits that the mask leaves out, or the mask is 0", s)
		}
	}
	return b, nil
}

// parseCommands takes what parseBits takes, or several commands and ranges of them.
func parseCommands(s string) (*wire.Bits, *wire.CommandSet, error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words) == 1 && !strings.Contains(s, "-") {
		b, err := parseBits(strings.TrimSpace(s))
		return b, nil, err
	}
	set := wire.NewCommandSet()
	for _, w := range words {
		r, err := wire.ParseCommandRange(w)
		if err != nil {
			return nil, nil, err
		}
		set.Add(r)
	}
	return nil, set, nil
}

// parseRanges takes ranges such as 0-9, and the word payload.
func parseRanges(words []string) (ranges []wire.Range, payload bool, err error) {
	for _, w := range words {
		if w == "payload" {
			payload = true
			continue
		}
		from, to, ok := strings.Cut(w, "-")
		f, err1 := strconv.Atoi(from)
		t, err2 := strconv.Atoi(to)
		if !ok || err1 != nil || err2 != nil || f >= t {
			return nil, false, fmt.Errorf("%q is no range of bytes: write 4-8 for the bytes 4 to 7, or payload", w)
		}
		ranges = append(ranges, wire.Range{From: f, To: t})
	}
	return ranges, payload, nil
}
