package gateway

import (
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Compile makes the format, or says what is wrong with its declaration and what would be right.
func (f *Format) Compile(name string) (*wire.Format, error) {
	if _, taken := wire.Lookup(name); taken {
		return nil, fmt.Errorf("format %q is built in: give yours another name", name)
	}
	if f == nil {
		return nil, fmt.Errorf("format %q is null: declare it, or leave it out", name)
	}
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
		if b.from == "" {
			continue
		}
		if *b.to, err = parseHex(b.from); err != nil {
			return l, fmt.Errorf("%s: %w", b.name, err)
		}
		if len(*b.to) == 0 {
			return l, fmt.Errorf("%s: %q has no bytes: give some, or leave it out", b.name, b.from)
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
	if r.Frame != "" {
		if out.Frame, err = parseHex(r.Frame); err != nil {
			return nil, err
		}
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
