package wire

// AppendBye appends a whole BYE: the client ends its session.
func AppendBye(dst []byte) []byte { return AppendHeader(dst, CmdBye, 0, 0) }

// CheckControl looks at a frame of an extended connection whose command is below [CmdApp]: whether it is one that the protocol has, with the flag that it has there,
// and a payload that the Parse function of its command accepts. The error is always a [*RejectError], ReasonMalformed. It allocates nothing unless it rejects or is
// given an ERROR.
func CheckControl(f *Frame) error {
	flags, ok := uint32(0), true
	switch f.Cmd {
	case CmdPing:
		flags = FlagReq
	case CmdPong:
		flags = FlagRsp
	case CmdHello:
		_, ok = ParseHello(f.Payload)
	case CmdWelcome:
		_, ok = ParseWelcome(f.Payload)
	case CmdPubAck, CmdPubRec, CmdPubRel, CmdPubComp:
		_, ok = ParseAck(f.Payload)
	case CmdGoAway:
		_, ok = ParseGoAway(f.Payload)
	case CmdError:
		flags = f.Flag & FlagID
		_, ok = ParseError(f)
	case CmdBye:
		ok = len(f.Payload) == 0
	default:
		return malformed(f, OffsetCmd)
	}
	switch {
	case f.Flag != flags:
		return malformed(f, OffsetFlag)
	case !ok:
		return malformed(f, HeaderLen)
	}
	return nil
}
