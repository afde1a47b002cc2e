package cli

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// luaTest is a function in Lua that tells whether a frame is meant, and what is shown then.
type luaTest struct {
	Comment, Func string
	Lua           string // the condition
	Field, Value  string // what is shown
	Word          string // in the list of packets; "": none
}

// tests adds what the format says of its frames: which are heartbeats, and which ask and answer.
func (v *dissectorView) tests(f *wire.Format, l *wire.Layout) {
	add := func(t luaTest, m wire.Match) {
		t.Lua = luaMatch(m)
		v.Tests = append(v.Tests, t)
		v.NeedsBand = v.NeedsBand || strings.Contains(t.Lua, "band(")
	}
	if f.HasHeartbeat() {
		v.Fields = append(v.Fields, luaField{"heartbeat", "string", "heartbeat", "Heartbeat", ""})
		ping := luaTest{Comment: "-- is_ping: the peer wants to know whether we live.", Func: "is_ping", Field: "heartbeat", Value: `"ping"`}
		pong := luaTest{Comment: "-- is_pong: a ping was answered.", Func: "is_pong", Field: "heartbeat", Value: `"pong"`}
		if len(v.Commands) == 0 { // else the command says so
			ping.Word, pong.Word = "ping", "pong"
		}
		add(ping, l.Heartbeat.Ping)
		if m := v.pong(f, l); !reflect.DeepEqual(m, l.Heartbeat.Ping) { // else nobody can tell them apart
			add(pong, m)
		}
	}
	if f.HasPairing() && !reflect.DeepEqual(l.Asks, l.Answers) { // else they tell nothing
		v.Fields = append(v.Fields,
			luaField{"asks", "bool", "asks", "Asks for an answer", ""},
			luaField{"answers", "bool", "answers", "Is an answer", ""})
		add(luaTest{"-- asks: exactly one frame answers it.", "asks", "", "asks", "true", "asks"}, l.Asks)
		add(luaTest{"-- answers: it is the answer to a frame that asked.", "answers", "", "answers", "true", "answers"}, l.Answers)
	}
}

// pong is which frames answer a ping.
func (v *dissectorView) pong(f *wire.Format, l *wire.Layout) wire.Match {
	pong, reply := l.Heartbeat.Ping, l.Heartbeat.Pong
	pong.From = wire.AnyDirection
	if len(l.AnswerMagic) > 0 {
		pong.From = wire.FromServer
	}
	switch {
	case reply == nil:
		return pong
	case reply.Frame == nil:
		if reply.Cmd != nil {
			pong.Cmd = wire.Is(*reply.Cmd)
		}
		if reply.Flag != nil {
			pong.Flag = wire.Is(*reply.Flag)
		}
		if !reply.EchoPayload {
			pong.Payload = nil
		}
		return pong
	}
	return v.pongGiven(f, l)
}

// pongGiven is which frames are the pong that a format gives whole: those with its fields, and with its payload
// unless something of the ping is echoed there.
func (v *dissectorView) pongGiven(f *wire.Format, l *wire.Layout) (pong wire.Match) {
	reply := l.Heartbeat.Pong
	var frame wire.Frame
	if d, err := f.NewDecoder(wire.Rules{}); err == nil {
		_, _ = d.Header(reply.Frame, &frame) // the format was checked, and so was its pong
	}
	for _, fd := range []struct {
		wire.Field
		test  **wire.Bits
		value uint32
	}{{l.Version, &pong.Version, frame.Version}, {l.Cmd, &pong.Cmd, frame.Cmd}, {l.Flag, &pong.Flag, frame.Flag}} {
		if fd.Size > 0 {
			*fd.test = wire.Is(fd.value)
		}
	}
	if len(l.AnswerMagic) > 0 {
		pong.From = wire.FromClient
		if bytes.HasPrefix(reply.Frame[l.MagicOffset:], l.AnswerMagic) {
			pong.From = wire.FromServer
		}
	}
	echoed := l.ID.Size > 0 && l.ID.Offset+l.ID.Size > v.PayloadAt ||
		slices.ContainsFunc(reply.Echo, func(r wire.Range) bool { return r.To > v.PayloadAt })
	if !echoed {
		pong.Payload = reply.Frame[v.PayloadAt : len(reply.Frame)-v.TailLen]
	}
	return pong
}

// luaMatch is the condition of a match, in Lua.
func luaMatch(m wire.Match) string {
	var all []string
	switch m.From {
	case wire.FromClient:
		all = append(all, `frame.from == "client"`)
	case wire.FromServer:
		all = append(all, `frame.from == "server"`)
	}
	for _, test := range []struct {
		name string
		bits *wire.Bits
	}{{"version", m.Version}, {"cmd", m.Cmd}, {"flag", m.Flag}} {
		switch {
		case test.bits == nil:
		case test.bits.Mask == 0:
			all = append(all, fmt.Sprintf("frame.%s == 0x%02X", test.name, test.bits.Value))
		default:
			all = append(all, fmt.Sprintf("band(frame.%s, 0x%02X) == 0x%02X", test.name, test.bits.Mask, test.bits.Value))
		}
	}
	if m.Commands != nil {
		var any []string
		for _, r := range m.Commands.Ranges() {
			if r.First == r.Last {
				any = append(any, fmt.Sprintf("frame.cmd == 0x%02X", r.First))
			} else {
				any = append(any, fmt.Sprintf("frame.cmd >= 0x%02X and frame.cmd <= 0x%02X", r.First, r.Last))
			}
		}
		all = append(all, "("+strings.Join(any, " or ")+")")
	}
	if m.Payload != nil {
		all = append(all, "frame.payload == "+luaString(string(m.Payload)))
	}
	if len(all) == 0 {
		return "true"
	}
	return strings.Join(all, " and ")
}

// luaOneOf is the condition that a number is one of several.
func luaOneOf(name string, values []uint32) string {
	any := make([]string, len(values))
	for i, v := range values {
		any[i] = fmt.Sprintf("%s == %d", name, v)
	}
	return strings.Join(any, " or ")
}
