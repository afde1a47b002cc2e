package wire

// The GOPR protocol, version 1. All integers are big-endian.
//
//	0        4       6      8   9    10
//	+--------+-------+------+---+----+---------+
//	| magic  |version|length|cmd|flag| payload |
//	+--------+-------+------+---+----+---------+
//
// The constants are untyped: they compare with a [Frame]'s fields and are
// arguments of the encoders alike.
const (
	Magic      = 0x474F5052 // "GOPR"
	Version    = 1
	HeaderLen  = 10    // bytes
	MaxPayload = 65535 // bytes, the most the length field can say

	// Where the header's fields begin, in bytes.
	OffsetMagic   = 0 // u32
	OffsetVersion = 4 // u16
	OffsetLength  = 6 // u16, of the payload alone
	OffsetCmd     = 8 // u8
	OffsetFlag    = 9 // u8

	// Commands. On a plain connection PING and PONG alone have this meaning and
	// every other command is the application's; on one extended by HELLO the
	// application has CmdApp and above.
	CmdPing    = 0x01
	CmdPong    = 0x02
	CmdHello   = 0x03
	CmdWelcome = 0x04
	CmdPubAck  = 0x05
	CmdPubRec  = 0x06
	CmdPubRel  = 0x07
	CmdPubComp = 0x08
	CmdGoAway  = 0x09
	CmdError   = 0x0A
	CmdBye     = 0x0B
	CmdApp     = 0x10

	// Flags. FlagReq and FlagRsp hold on every connection, the rest on an
	// extended one.
	FlagReq      = 0x01 // asks for exactly one answer
	FlagRsp      = 0x02 // is the answer
	FlagQoS      = 0x0C // mask of the quality of service
	FlagQoS1     = 0x04 // at least once
	FlagQoS2     = 0x08 // exactly once
	FlagDup      = 0x10 // sent before, perhaps received
	FlagID       = 0x20 // the payload begins with a u32 id, not 0
	FlagCRC      = 0x40 // the payload ends with a CRC-32 (IEEE 802.3)
	FlagReserved = 0x80 // zero
)
