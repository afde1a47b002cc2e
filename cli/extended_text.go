package cli

import (
	"fmt"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// appendExtended appends what is printed of a frame of an extended connection, without a newline:
//
//	cmd 0x03 HELLO    client "d7", wants qos resume, expiry 3600 s
//	cmd 0x10          QoS 1, id 1      5 bytes  "hello"
func appendExtended(dst []byte, f *wire.Frame) []byte {
	dst = fmt.Appendf(dst, "cmd 0x%02X %-7s  ", f.Cmd, controlName(f.Cmd))
	switch j := newExtendedJSON(f); {
	case j == nil:
		return fmt.Appendf(dst, "%d bytes", len(f.Payload))
	case j.Hello != nil:
		h, _ := wire.ParseHello(f.Payload)
		dst = append(dst, "client "...)
		dst = appendPayload(dst, h.ClientID)
		dst = fmt.Appendf(dst, ", wants %s, expiry %d s", capabilities(h.Capabilities), j.Hello.Expiry)
		dst = appendHidden(dst, "token", len(h.Token))
		return appendHidden(dst, "credential", len(h.Credential))
	case j.Welcome != nil:
		w := j.Welcome
		status := "new session"
		if w.Resumed {
			status = "session resumed"
		}
		dst = fmt.Appendf(dst, "%s, grants %s, heartbeat %d s, idle %d s, expiry %d s, window %d, last id %d",
			status, capabilities(w.Capabilities), w.Heartbeat, w.Idle, w.Expiry, w.Window, w.LastID)
		return appendHidden(dst, "token", w.TokenBytes)
	case j.Ack != nil:
		return fmt.Appendf(dst, "id %d", j.Ack.ID)
	case j.GoAway != nil:
		return fmt.Appendf(dst, "reason %d, come back after %d ms", j.GoAway.Reason, j.GoAway.After)
	case j.Error != nil:
		dst = fmt.Appendf(dst, "code %d, %s", uint16(j.Error.Code), j.Error.Code)
		if j.Error.ID != 0 {
			dst = fmt.Appendf(dst, ", id %d", j.Error.ID)
		}
		if j.Error.Text != "" {
			dst = append(dst, "  "...)
			dst = appendPayload(dst, []byte(j.Error.Text))
		}
		return dst
	case j.Bye != nil:
		return append(dst, "the session ends"...)
	default:
		e, _ := wire.ParseExt(f)
		dst = fmt.Appendf(dst, "%-22s  %5d bytes", messageWords(&e), len(e.Payload))
		if len(e.Payload) > 0 {
			dst = append(dst, "  "...)
			dst = appendPayload(dst, e.Payload)
		}
		return dst
	}
}

func controlName(cmd uint32) string {
	for _, c := range goprCommands {
		if c.Value == cmd {
			return c.Name
		}
	}
	return ""
}

// appendHidden appends that there is something secret, and how much.
func appendHidden(dst []byte, what string, n int) []byte {
	if n == 0 {
		return dst
	}
	return fmt.Appendf(dst, ", %s of %s, not shown", what, plural(int64(n), "byte"))
}

// messageWords is what is said of an application frame beside its payload.
func messageWords(e *wire.Ext) string {
	words := []string{fmt.Sprintf("QoS %d", e.QoS)}
	if e.ID != 0 {
		words = append(words, fmt.Sprintf("id %d", e.ID))
	}
	switch e.Flag {
	case wire.FlagReq:
		words = append(words, "asks")
	case wire.FlagRsp:
		words = append(words, "answers")
	}
	if e.Dup {
		words = append(words, "dup")
	}
	if e.CRC {
		words = append(words, "crc")
	}
	return strings.Join(words, ", ")
}

// capabilities names the bits of c.
func capabilities(c wire.Capability) string {
	var words []string
	for _, bit := range []struct {
		bit  wire.Capability
		name string
	}{{wire.CapQoS, "qos"}, {wire.CapCRC, "crc"}, {wire.CapResume, "resume"}, {wire.CapPong, "pong"}} {
		if c&bit.bit != 0 {
			words = append(words, bit.name)
			c &^= bit.bit
		}
	}
	if c != 0 {
		words = append(words, fmt.Sprintf("0x%02X", uint8(c)))
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, " ")
}
