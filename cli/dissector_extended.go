package cli

import (
	_ "embed"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// dissector_extended.lua.tmpl shows the frames of extended connections, which GOPR alone has.
//
//go:embed dissector_extended.lua.tmpl
var dissectorExtendedLua string

// extended adds the fields of extended connections.
func (v *dissectorView) extended() {
	v.Extended = true
	sum := luaSums[wire.CRC32]
	sum.Name = wire.CRC32.String()
	v.Sum = &sum
	v.NeedsBand = true
	v.Experts = append(v.Experts,
		luaExpert{"checksum", "checksum.bad", "Bad checksum", "expert.group.CHECKSUM, expert.severity.ERROR"},
		luaExpert{"extended", "extended.malformed", "Malformed on an extended connection", "expert.group.MALFORMED, expert.severity.ERROR"})
	v.Fields = append(v.Fields, extendedFields...)
}

// extendedFields are what the frames of extended connections have.
var extendedFields = []luaField{
	{"id", "uint32", "id", "Id", ", base.DEC"},
	{"checksum", "uint32", "checksum", "Checksum", ", base.HEX"},
	{"status", "string", "checksum.status", "Checksum status", ""},
	{"hello_version", "uint8", "hello.version", "Version of HELLO", ", base.DEC"},
	{"capabilities", "uint8", "capabilities", "Capabilities", ", base.HEX"},
	capabilityBit("qos", "Quality of service", wire.CapQoS),
	capabilityBit("crc", "CRC", wire.CapCRC),
	capabilityBit("resume", "Resume", wire.CapResume),
	capabilityBit("pong", "PINGs are answered", wire.CapPong),
	{"expiry", "uint32", "session.expiry", "Session expiry, s", ", base.DEC"},
	{"client_id", "bytes", "client_id", "Client id", ""},
	{"client", "string", "client", "Client id, as text", ""},
	{"token_length", "uint8", "token.length", "Resume token, not shown; bytes", ", base.DEC"},
	{"credential_length", "uint16", "credential.length", "Credential, not shown; bytes", ", base.DEC"},
	{"session", "uint8", "session.status", "Session", ", base.DEC, {[0] = \"new\", [1] = \"resumed\"}"},
	{"heartbeat_interval", "uint16", "heartbeat.interval", "Heartbeat, s", ", base.DEC"},
	{"idle", "uint16", "idle", "Idle timeout, s", ", base.DEC"},
	{"window", "uint16", "window", "In-flight window", ", base.DEC"},
	{"last_id", "uint32", "last_id", "Last id received from the client", ", base.DEC"},
	{"goaway_reason", "uint16", "goaway.reason", "Reason", ", base.DEC, {[0] = \"another\", [1] = \"drain\", [2] = \"taken over\", [3] = \"ended\"}"},
	{"goaway_after", "uint32", "goaway.after", "Come back after, ms", ", base.DEC"},
	{"error_code", "uint16", "error.code", "Code", ", base.DEC, errors"},
	{"error_text", "string", "error.text", "Text", ""},
}

func capabilityBit(name, label string, bit wire.Capability) luaField {
	return luaField{"capability_" + name, "bool", "capabilities." + name, label, luaBit(int(bit))}
}

// ErrorNames are the codes of ERROR by name.
func (v *dissectorView) ErrorNames() (all []luaCommand) {
	for c := wire.ErrorMalformed; c <= wire.ErrorProtocol; c++ {
		all = append(all, luaCommand{uint32(c), c.String()})
	}
	return all
}
