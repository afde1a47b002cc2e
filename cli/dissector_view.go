package cli

import (
	_ "embed"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"text/template"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

//go:embed dissector.lua.tmpl
var dissectorLua string

var dissectorTemplate = template.Must(template.New("dissector").Funcs(template.FuncMap{
	"lua":     luaString,
	"comment": luaString, // a name may have a line end, which would end the comment
}).Parse(dissectorLua + dissectorExtendedLua))

// dissectorView is what dissector.lua.tmpl shows of a format. Offsets are those of the layout, in bytes from the
// start of a frame.
type dissectorView struct {
	Format, Proto, Title, Column string
	NameTaken                    string // what to say where Wireshark has a protocol of that name

	Commands []luaCommand // names of commands; empty: they have none
	Fields   []luaField
	Experts  []luaExpert

	Magic, Answer string // bytes
	MagicAt       int

	HeaderLen, PayloadAt, TailLen int
	Length, LengthHigh            string // what reads the length field; its upper half, where it has 8 bytes
	MinLength, MaxLength          int64  // what the length field may say
	Base                          int    // what to add to it

	Sum       *luaSum // nil: there is no checksum
	NeedsBand bool
	Pieces    []string // Lua that shows the header, in the order of the bytes
	Tail      []string // and what is behind the payload
	Tests     []luaTest
	CmdDigits int // in hexadecimal; 0: there is no command

	Port        int
	Heuristic   bool
	Extended    bool   // connections may be; see dissector_extended.go
	Known       string // the condition that version is accepted; "": all are
	VersionLoad string
}

// luaCommand is a command with a name.
type luaCommand struct {
	Value uint32
	Name  string
}

// luaField is a field that Wireshark can show and filter by.
type luaField struct {
	Var, Type, Filter, Label string
	More                     string // further arguments
}

// luaExpert is a remark on what is wrong with a frame.
type luaExpert struct{ Var, Filter, Label, Group string }

// luaSum is a checksum's algorithm.
type luaSum struct {
	Name      string
	Table     bool // a CRC
	Reflected bool
	Invert    bool
	Poly      string
	Start     uint32
}

var luaSums = map[wire.Algorithm]luaSum{
	wire.CRC32:       {Table: true, Reflected: true, Invert: true, Poly: "0xEDB88320", Start: 0xFFFFFFFF},
	wire.CRC32C:      {Table: true, Reflected: true, Invert: true, Poly: "0x82F63B78", Start: 0xFFFFFFFF},
	wire.CRC16CCITT:  {Table: true, Poly: "0x1021", Start: 0xFFFF},
	wire.CRC16Modbus: {Table: true, Reflected: true, Poly: "0xA001", Start: 0xFFFF},
	wire.Adler32:     {},
	wire.Xor8:        {},
	wire.Sum8:        {},
}

// leastMagic is how long a magic must be, in bytes, to know a protocol by it on any port: a single byte is
// in every 256th packet of anybody.
const leastMagic = 2

// Around is how many bytes of a frame are not its payload.
func (v *dissectorView) Around() int { return v.PayloadAt + v.TailLen }

// newDissectorView works out what a dissector of the format is made of. proto is checked.
func newDissectorView(f *wire.Format, proto string, port int) *dissectorView {
	l := f.Layout()
	v := &dissectorView{
		Format: f.Name(), Proto: proto, Title: "Frames of " + f.Name(), Column: strings.ToUpper(proto),
		NameTaken: fmt.Sprintf("Wireshark has a protocol %s already: run caddy gopr dissector again with --proto and another name", proto),
		Magic:     string(l.Magic), Answer: string(l.AnswerMagic), MagicAt: l.MagicOffset,
		HeaderLen: f.HeaderLen(), PayloadAt: f.HeaderLen(), TailLen: len(l.Trailer),
		Port: port, Heuristic: len(l.Magic) >= leastMagic,
	}
	if f == wire.GOPR {
		v.Title, v.Commands = "GOPR protocol", goprCommands
	}
	if l.InitialBytesToStrip > 0 {
		v.PayloadAt = l.InitialBytesToStrip
	}
	if l.Checksum.Trailer {
		v.TailLen += l.Checksum.Algorithm.Size()
	}
	v.Experts = append(v.Experts, luaExpert{"frame", "malformed", "Not a frame", "expert.group.MALFORMED, expert.severity.ERROR"})
	v.length(f, &l)
	v.header(f, &l)
	v.tail(&l)
	if f == wire.GOPR {
		v.extended()
	}
	v.tests(f, &l)
	v.Fields = append(v.Fields, luaField{"payload", "bytes", "payload", "Payload", ""})
	return v
}

// length settles how long a frame is, as wire does.
func (v *dissectorView) length(f *wire.Format, l *wire.Layout) {
	end := l.LengthFieldOffset + l.LengthFieldLength
	v.Base = v.PayloadAt + v.TailLen
	if l.LengthAdjustment != nil {
		v.Base = end + *l.LengthAdjustment
	}
	shortest := max(v.HeaderLen+v.TailLen, v.Base)
	longest := v.PayloadAt + f.MaxPayload() + v.TailLen
	v.MinLength, v.MaxLength = int64(shortest-v.Base), int64(longest-v.Base)

	little := l.ByteOrder == wire.LittleEndian
	n := luaInt{at: l.LengthFieldOffset, size: l.LengthFieldLength, little: little}
	if n.size == 8 { // no frame is so long that its length has anything in the upper half
		high := luaInt{at: n.at, size: 4, little: little}
		n.size = 4
		if little {
			high.at += 4
		} else {
			n.at += 4
		}
		v.LengthHigh = high.load()
	}
	v.Length = n.load()
}

// field adds a field of so many bytes, and a piece that shows it.
func (v *dissectorView) field(pieces *[]headerLua, name, label, more string, n luaInt) {
	v.Fields = append(v.Fields, luaField{name, fmt.Sprintf("uint%d", 8*n.size), name, label, more})
	show := fmt.Sprintf("\tlocal %s = %s", name, n.show("f."+name))
	if n.to != "" {
		show = fmt.Sprintf("\t%s = %s\n", n.to, n.value()) + show
	}
	*pieces = append(*pieces, headerLua{n.at, show})
}

// headerLua is Lua that shows what begins at a byte of the header.
type headerLua struct {
	at  int
	lua string
}

// header adds the fields of the header, and what shows them in the order of the bytes.
func (v *dissectorView) header(f *wire.Format, l *wire.Layout) {
	var pieces []headerLua
	if len(l.Magic) > 0 {
		v.Fields = append(v.Fields, luaField{"magic", "bytes", "magic", "Magic", ""})
		show := fmt.Sprintf("\tnode:add(f.magic, tvb(at + %d, %d))", l.MagicOffset, len(l.Magic))
		if len(l.AnswerMagic) > 0 {
			v.Fields = append(v.Fields, luaField{"from", "string", "from", "From", ""})
			show += fmt.Sprintf("\n\tframe.from = tvb:raw(at + %d, %d) == ANSWER_MAGIC and \"server\" or \"client\"", l.MagicOffset, len(l.Magic)) +
				"\n\tnode:add(f.from, frame.from):set_generated()"
		}
		pieces = append(pieces, headerLua{l.MagicOffset, show})
	}
	little := l.ByteOrder == wire.LittleEndian
	number := func(name, label, more string, fd wire.Field) {
		if fd.Size == 0 {
			return
		}
		n := luaInt{at: fd.Offset, size: fd.Size, little: little, mask: fd.Mask, shift: fd.Shift, to: "frame." + name}
		v.NeedsBand = v.NeedsBand || n.masked()
		v.field(&pieces, name, label, more, n)
	}
	number("version", "Version", ", base.DEC", l.Version)
	if len(l.Versions) > 0 {
		v.Known = luaOneOf("version", l.Versions)
		v.VersionLoad = luaInt{at: l.Version.Offset, size: l.Version.Size, little: little, mask: l.Version.Mask, shift: l.Version.Shift}.from("0").value()
		v.Experts = append(v.Experts, luaExpert{"version", "version.unknown", "Version not accepted by default", "expert.group.PROTOCOL, expert.severity.WARN"})
		pieces = append(pieces, headerLua{l.Version.Offset, "\tif not known_version(frame.version) then\n\t\tversion:add_proto_expert_info(wrong.version)\n\tend"})
	}
	v.field(&pieces, "length", "Length", ", base.DEC", luaInt{at: l.LengthFieldOffset, size: l.LengthFieldLength, little: little})
	more := ", base.HEX"
	if len(v.Commands) > 0 {
		more += ", commands"
	}
	number("cmd", "Command", more, l.Cmd)
	v.CmdDigits = hexDigits(l.Cmd)
	number("flag", "Flag", ", base.HEX", l.Flag)
	if f == wire.GOPR {
		for _, bit := range goprFlags {
			v.Fields = append(v.Fields, bit)
			pieces = append(pieces, headerLua{l.Flag.Offset, fmt.Sprintf("\tflag:add(f.%s, tvb(at + %d, 1))", bit.Var, l.Flag.Offset)})
		}
	}
	if c := l.Checksum; c.Algorithm != wire.NoChecksum && !c.Trailer {
		pieces = append(pieces, headerLua{c.Offset, v.checksum(l, "at", c.Offset)})
	}
	if l.ID.Size > 0 {
		v.Fields = append(v.Fields, luaField{"id", fmt.Sprintf("uint%d", 8*l.ID.Size), "id", "Id", ", base.DEC"})
		id := luaInt{at: l.ID.Offset, size: l.ID.Size, little: little}
		show := fmt.Sprintf("\tif size - %d >= %d then\n\t\t%s\n\tend", v.TailLen, l.ID.Offset+l.ID.Size, id.show("f.id"))
		pieces = append(pieces, headerLua{l.ID.Offset, show})
	}
	slices.SortStableFunc(pieces, func(a, b headerLua) int { return a.at - b.at })
	for _, p := range pieces {
		v.Pieces = append(v.Pieces, p.lua)
	}
}

// tail adds what stands behind the payload.
func (v *dissectorView) tail(l *wire.Layout) {
	if l.Checksum.Trailer {
		v.Tail = append(v.Tail, v.checksum(l, fmt.Sprintf("at + size - %d", v.TailLen), 0))
	}
	if n := len(l.Trailer); n > 0 {
		v.Fields = append(v.Fields, luaField{"trailer", "bytes", "trailer", "Trailer", ""})
		v.Experts = append(v.Experts, luaExpert{"trailer", "trailer.wrong", "Wrong trailer", "expert.group.MALFORMED, expert.severity.ERROR"})
		v.Tail = append(v.Tail, fmt.Sprintf("\tlocal trailer = node:add(f.trailer, tvb(at + size - %d, %[1]d))\n"+
			"\tif tvb:raw(at + size - %[1]d, %[1]d) ~= %s then\n\t\ttrailer:add_proto_expert_info(wrong.trailer)\n\tend", n, luaString(string(l.Trailer))))
	}
}

// checksum adds the fields of the checksum, and returns what shows and verifies it. It stands so many bytes
// behind base.
func (v *dissectorView) checksum(l *wire.Layout, base string, offset int) string {
	c := l.Checksum
	sum := luaSums[c.Algorithm]
	sum.Name = c.Algorithm.String()
	v.Sum = &sum
	size := c.Algorithm.Size()
	v.Fields = append(v.Fields,
		luaField{"checksum", fmt.Sprintf("uint%d", 8*size), "checksum", "Checksum", ", base.HEX"},
		luaField{"status", "string", "checksum.status", "Checksum status", ""})
	v.Experts = append(v.Experts, luaExpert{"checksum", "checksum.bad", "Bad checksum", "expert.group.CHECKSUM, expert.severity.ERROR"})

	n := luaInt{base: base, at: offset, size: size, little: l.ByteOrder == wire.LittleEndian}
	return fmt.Sprintf(`	local carried, computed = %s, checksum(%s)
	local checksum = %s
	node:add(f.status, carried == computed and "good" or "bad"):set_generated()
	if carried ~= computed then
		checksum:add_proto_expert_info(wrong.checksum, string.format("Bad checksum, want 0x%%0%dx", computed))
	end`, n.load(), strings.Join(v.covered(c), " .. "), n.show("f.checksum"), 2*size)
}

// covered are the strings, in Lua, that a checksum is over.
func (v *dissectorView) covered(c wire.Checksum) (all []string) {
	raw := func(from, to int) {
		if from < to {
			all = append(all, fmt.Sprintf("tvb:raw(at + %d, %d)", from, to-from))
		}
	}
	payload := c.CoversPayload
	switch {
	case len(c.Covers) > 0 || payload:
		for _, r := range c.Covers {
			raw(r.From, r.To)
		}
	case c.Trailer:
		raw(0, v.HeaderLen)
		payload = true
	default:
		raw(0, c.Offset)
		raw(c.Offset+c.Algorithm.Size(), v.HeaderLen)
		payload = true
	}
	if payload {
		around := v.HeaderLen + v.TailLen
		all = append(all, fmt.Sprintf("(size > %d and tvb:raw(at + %d, size - %[1]d) or \"\")", around, v.HeaderLen))
	}
	return all
}

// hexDigits is how many digits the values of a field have; 0: there is no field.
func hexDigits(fd wire.Field) int {
	if fd.Size == 0 {
		return 0
	}
	most := uint64(1)<<(8*fd.Size) - 1
	if fd.Mask != 0 {
		most = uint64(fd.Mask)
	}
	return max(2, (bits.Len64(most>>fd.Shift)+3)/4)
}

// goprCommands are the commands of GOPR. But for the first two they are the application's own on a connection
// without HELLO.
var goprCommands = []luaCommand{
	{wire.CmdPing, "PING"},
	{wire.CmdPong, "PONG"},
	{wire.CmdHello, "HELLO"},
	{wire.CmdWelcome, "WELCOME"},
	{wire.CmdPubAck, "PUBACK"},
	{wire.CmdPubRec, "PUBREC"},
	{wire.CmdPubRel, "PUBREL"},
	{wire.CmdPubComp, "PUBCOMP"},
	{wire.CmdGoAway, "GOAWAY"},
	{wire.CmdError, "ERROR"},
	{wire.CmdBye, "BYE"},
}

// goprFlags are the bits of GOPR's flag.
var goprFlags = []luaField{
	flagBit("req", "Asks for an answer", wire.FlagReq),
	flagBit("rsp", "Is the answer", wire.FlagRsp),
	{"flag_qos", "uint8", "flag.qos", "Quality of service", fmt.Sprintf(", base.DEC, nil, 0x%02X", wire.FlagQoS)},
	flagBit("dup", "Sent before", wire.FlagDup),
	flagBit("id", "Payload begins with an id", wire.FlagID),
	flagBit("crc", "Payload ends with a CRC-32", wire.FlagCRC),
}

func flagBit(name, label string, mask int) luaField {
	return luaField{"flag_" + name, "bool", "flag." + name, label, luaBit(mask)}
}

// luaBit is the further arguments of a field that is a bit of a byte.
func luaBit(mask int) string { return fmt.Sprintf(", 8, nil, 0x%02X", mask) }
