package cli

import (
	"fmt"
	"reflect"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// frameText prints the frames of a format, each as a line that has what the format has:
//
//	cmd 0x10       flag 0x01 asks         5 bytes  "hello"
type frameText struct {
	format    *wire.Format
	cmd, flag int  // digits; 0: there is no such field
	pairs     bool // requests and answers differ
	anyOf     bool // no version is the usual one
	usual     uint32
	version   bool
}

func newFrameText(f *wire.Format) *frameText {
	l := f.Layout()
	p := &frameText{
		format: f, cmd: hexDigits(l.Cmd), flag: hexDigits(l.Flag), version: l.Version.Size > 0, anyOf: len(l.Versions) == 0,
		pairs: f.HasPairing() && !reflect.DeepEqual(l.Asks, l.Answers),
	}
	if !p.anyOf {
		p.usual = l.Versions[0]
	}
	return p
}

// goprText prints GOPR's frames.
var goprText = newFrameText(wire.GOPR)

// append appends what is printed of a frame, without a newline.
func (p *frameText) append(dst []byte, f *wire.Frame) []byte {
	start := len(dst)
	column := func(format string, args ...any) {
		if len(dst) > start {
			dst = append(dst, "  "...)
		}
		dst = fmt.Appendf(dst, format, args...)
	}
	switch beats := p.format.HasHeartbeat(); {
	case p.cmd > 0 && beats:
		column("cmd 0x%0*X %-4s", p.cmd, f.Cmd, p.heartbeat(f))
	case p.cmd > 0:
		column("cmd 0x%0*X", p.cmd, f.Cmd)
	case beats:
		column("%-4s", p.heartbeat(f))
	}
	if p.flag > 0 {
		column("flag 0x%0*X", p.flag, f.Flag)
	}
	if p.pairs {
		if p.flag > 0 {
			dst = append(dst, ' ')
			dst = fmt.Appendf(dst, "%-7s", p.pairing(f))
		} else {
			column("%-7s", p.pairing(f))
		}
	}
	if id, ok := p.format.ID(f); ok {
		column("id %d", id)
	}
	column("%5d bytes", len(f.Payload))
	if p.version && (p.anyOf || f.Version != p.usual) {
		column("version %d", f.Version)
	}
	if len(f.Payload) > 0 {
		dst = append(dst, "  "...)
		dst = appendPayload(dst, f.Payload)
	}
	return dst
}

// heartbeat names the frames of the heartbeat.
func (p *frameText) heartbeat(f *wire.Frame) string {
	switch {
	case p.format.IsPing(f):
		return "PING"
	case p.format.IsPong(f):
		return "PONG"
	}
	return ""
}

// pairing says whether a frame asks or answers.
func (p *frameText) pairing(f *wire.Frame) string {
	switch asks, answers := p.format.Asks(f), p.format.Answers(f); {
	case asks && answers:
		return "asks and answers"
	case asks:
		return "asks"
	case answers:
		return "answers"
	}
	return ""
}
