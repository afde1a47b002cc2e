package handler

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// dialect is what the frames of one side look like, and which of them have a meaning for the gateway.
type dialect struct {
	format  *wire.Format
	own     *wire.Format // the same, of which the gateway writes its own pings: with the handler's versions
	version uint32       // of the gateway's own frames
	simple  bool         // ping and pong are the two below, and flags say who asks, as GOPR has it: no more than compares
	ping    Control
	pong    Control
}

// dialect finds out what the clients' frames look like.
func (h *Handler) dialect() (d dialect, err error) {
	if d.format, err = h.app.Format(h.Format); err != nil {
		return d, err
	}
	d.simple = d.format == wire.GOPR
	d.ping = Control{uint32(wire.CmdPing), uint32(wire.FlagReq)}
	d.pong = Control{uint32(wire.CmdPong), uint32(wire.FlagRsp)}
	if v := d.format.Layout().Versions; len(v) > 0 {
		d.version = v[0]
	}
	d.own = d.format
	if len(h.Versions) > 0 && !d.simple {
		l := d.format.Layout()
		l.Versions = h.Versions
		if d.own, err = wire.NewFormat(d.format.Name(), l); err != nil {
			return d, err
		}
	}
	if len(h.Versions) > 0 {
		d.version = h.Versions[0]
	}
	hb := h.Heartbeat
	if hb == nil {
		return d, nil
	}
	switch {
	case !d.simple && (hb.Ping != nil || hb.Pong != nil):
		return d, fmt.Errorf("heartbeat ping and pong of the format %s are declared with the format: say them there", d.format.Name())
	case hb.Probe != 0 && !d.format.HasHeartbeat():
		return d, fmt.Errorf("heartbeat probe: the format %s has no heartbeat: declare one with the format, or leave the probe out", d.format.Name())
	case hb.Probe != 0 && len(d.format.Layout().AnswerMagic) > 0:
		return d, fmt.Errorf("heartbeat probe: in the format %s only clients ping, as the magic of a pong is that of a server: leave the probe out", d.format.Name())
	}
	if hb.Ping != nil {
		d.ping = *hb.Ping
	}
	if hb.Pong != nil {
		d.pong = *hb.Pong
	}
	if d.ping == d.pong {
		return d, fmt.Errorf("heartbeat ping and pong are the same frame: give them different commands or flags, such as 0x01 0x01 and 0x02 0x02")
	}
	return d, nil
}

// checkBeats says whether the heartbeat's frames can be written.
func (d *dialect) checkBeats() error {
	if !d.simple {
		return nil // checked where the format was declared
	}
	for _, c := range []Control{d.ping, d.pong} {
		if _, err := d.format.Append(nil, d.version, c.Cmd, c.Flag, nil); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
	}
	return nil
}

// beats are the commands of the heartbeat, which no allow-list leaves out. all: any command may be one's.
func (d *dialect) beats() (cmds []wire.CommandRange, all bool) {
	one := func(cmd uint32) { cmds = append(cmds, wire.CommandRange{First: cmd, Last: cmd}) }
	if d.simple {
		one(d.ping.Cmd)
		one(d.pong.Cmd)
		return cmds, false
	}
	h := d.format.Layout().Heartbeat
	if !d.format.HasHeartbeat() {
		return nil, false
	}
	if h.Ping.Cmd == nil || h.Ping.Cmd.Mask != 0 {
		return nil, true
	}
	one(h.Ping.Cmd.Value)
	switch {
	case h.Pong == nil:
	case h.Pong.Cmd != nil:
		one(*h.Pong.Cmd)
	case h.Pong.Frame != nil:
		return nil, true
	}
	return cmds, false
}

// isPing says whether the gateway answers the frame. Of some formats it looks like a pong.
func (d *dialect) isPing(f *wire.Frame) bool {
	if d.simple {
		return f.Cmd == d.ping.Cmd && f.Flag == d.ping.Flag
	}
	return d.format.IsPing(f)
}

func (d *dialect) isPong(f *wire.Frame) bool {
	if d.simple {
		return f.Cmd == d.pong.Cmd && f.Flag == d.pong.Flag
	}
	return d.format.IsPong(f)
}

// asks says whether the frame wants an answer of the backend. Of a format that does not say, none does. Where the clients' ping is another, what is GOPR's own ping is
// the application's, but to the backend it is still a ping: the pong will be the link's, and nobody's answer.
func (d *dialect) asks(f *wire.Frame) bool {
	if d.simple {
		return f.Flag&uint32(wire.FlagReq) != 0 && !(f.Cmd == uint32(wire.CmdPing) && f.Flag == uint32(wire.FlagReq))
	}
	return d.format.Asks(f)
}

// peek reads the header of a frame that was already accepted, or that the gateway has written.
func (d *dialect) peek(b []byte) (size int, cmd, flag uint32) {
	if d.simple && len(b) >= wire.HeaderLen {
		return wire.HeaderLen + int(binary.BigEndian.Uint16(b[wire.OffsetLength:])), uint32(b[wire.OffsetCmd]), uint32(b[wire.OffsetFlag])
	}
	return d.format.Peek(b)
}

// appendPong appends the answer to a ping.
func (d *dialect) appendPong(dst []byte, f *wire.Frame) []byte {
	if !d.simple {
		return d.format.AppendPong(dst, f)
	}
	b, err := d.format.Append(dst, f.Version, d.pong.Cmd, d.pong.Flag, f.Payload)
	if err != nil {
		return dst // it fits: cmd and flag were checked, the payload came in this format
	}
	return b
}

// appendPing appends a ping of the gateway's own.
func (d *dialect) appendPing(dst, payload []byte) ([]byte, error) {
	if d.simple {
		return d.format.AppendFrom(dst, wire.FromServer, d.version, d.ping.Cmd, d.ping.Flag, payload)
	}
	if !d.format.EchoesPing() {
		payload = nil
	}
	return d.own.AppendPing(dst, payload)
}

// appendEcho appends the answer to a request: its own payload. Of a format that does not say which frames ask, every frame is answered. ok is false where there is nothing
// to answer.
func (d *dialect) appendEcho(dst []byte, f *wire.Frame) (b []byte, ok bool) {
	switch {
	case d.simple:
		if f.Flag&uint32(wire.FlagReq) == 0 {
			return dst, false
		}
		b, err := d.format.Append(dst, f.Version, f.Cmd, f.Flag&^uint32(wire.FlagReq)|uint32(wire.FlagRsp), f.Payload)
		return b, err == nil
	case d.format.HasPairing() && !d.format.Asks(f):
		return dst, false
	default:
		b, err := d.format.AppendAnswer(dst, f, f.Payload)
		return b, err == nil
	}
}

// identity is equal for equal formats, also where the same name was declared anew.
func identity(f *wire.Format) string {
	l := f.Layout()
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Sprintf("%s %p", f.Name(), f)
	}
	return fmt.Sprint(f.Name(), " ", string(b), l.Asks.Commands.Ranges(), l.Answers.Commands.Ranges()) // a set has no JSON
}
