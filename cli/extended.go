package cli

import (
	"bytes"
	"encoding/hex"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// extendedJSON is what a frame says on an extended connection, in the words of wire/testdata/README.md; but of tokens and credentials it has the length alone.
type extendedJSON struct {
	Ext     *extJSON     `json:"ext,omitempty"`
	Hello   *helloJSON   `json:"hello,omitempty"`
	Welcome *welcomeJSON `json:"welcome,omitempty"`
	Ack     *ackJSON     `json:"ack,omitempty"`
	GoAway  *goAwayJSON  `json:"goaway,omitempty"`
	Error   *errorJSON   `json:"error,omitempty"`
	Bye     *struct{}    `json:"bye,omitempty"`
}

type extJSON struct {
	QoS     uint8  `json:"qos"`
	Flag    uint8  `json:"flag"`
	Dup     bool   `json:"dup"`
	CRC     bool   `json:"crc"`
	ID      uint32 `json:"id"`
	Payload string `json:"payload"` // hexadecimal
	Text    string `json:"text,omitempty"`
}

type helloJSON struct {
	Version         uint8           `json:"version"`
	Capabilities    wire.Capability `json:"capabilities"`
	Expiry          int64           `json:"expiry_s"`
	ClientID        string          `json:"client_id"` // hexadecimal
	ClientText      string          `json:"client,omitempty"`
	TokenBytes      int             `json:"token_bytes"`
	CredentialBytes int             `json:"credential_bytes"`
}

type welcomeJSON struct {
	Version      uint8           `json:"version"`
	Resumed      bool            `json:"resumed"`
	Capabilities wire.Capability `json:"capabilities"`
	Heartbeat    int64           `json:"heartbeat_s"`
	Idle         int64           `json:"idle_s"`
	Expiry       int64           `json:"expiry_s"`
	Window       uint16          `json:"window"`
	LastID       uint32          `json:"last_id"`
	TokenBytes   int             `json:"token_bytes"`
}

type ackJSON struct {
	ID uint32 `json:"id"`
}

type goAwayJSON struct {
	Reason wire.GoAwayReason `json:"reason"`
	After  int64             `json:"after_ms"`
}

type errorJSON struct {
	Code wire.ErrorCode `json:"code"`
	ID   uint32         `json:"id"`
	Text string         `json:"text"`
}

// opensExtended reports whether a frame makes its connection extended: a HELLO that parses, or a WELCOME. That an application's own frame looks like one, with each of its
// lengths to the point, is as good as impossible.
func opensExtended(f *wire.Frame) bool {
	return (f.Cmd == wire.CmdHello || f.Cmd == wire.CmdWelcome) && wire.CheckControl(f) == nil
}

// checkExtended looks at a frame of an extended connection as its receiver does.
func checkExtended(f *wire.Frame) error {
	if f.Cmd < wire.CmdApp {
		return wire.CheckControl(f)
	}
	_, err := wire.ParseExt(f)
	return err
}

// newExtendedJSON reads a frame that checkExtended has nothing against; nil: it is a heartbeat.
func newExtendedJSON(f *wire.Frame) *extendedJSON {
	switch f.Cmd {
	case wire.CmdPing, wire.CmdPong:
		return nil
	case wire.CmdHello:
		h, _ := wire.ParseHello(f.Payload)
		j := &helloJSON{
			Version: h.Version, Capabilities: h.Capabilities, Expiry: int64(h.Expiry.Seconds()), ClientID: hex.EncodeToString(h.ClientID),
			TokenBytes: len(h.Token), CredentialBytes: len(h.Credential),
		}
		if printable(h.ClientID) {
			j.ClientText = string(h.ClientID)
		}
		return &extendedJSON{Hello: j}
	case wire.CmdWelcome:
		w, _ := wire.ParseWelcome(f.Payload)
		return &extendedJSON{Welcome: &welcomeJSON{
			Version: w.Version, Resumed: w.Resumed, Capabilities: w.Capabilities, Heartbeat: int64(w.Heartbeat.Seconds()), Idle: int64(w.Idle.Seconds()),
			Expiry: int64(w.Expiry.Seconds()), Window: w.Window, LastID: w.LastID, TokenBytes: len(w.Token),
		}}
	case wire.CmdPubAck, wire.CmdPubRec, wire.CmdPubRel, wire.CmdPubComp:
		id, _ := wire.ParseAck(f.Payload)
		return &extendedJSON{Ack: &ackJSON{id}}
	case wire.CmdGoAway:
		g, _ := wire.ParseGoAway(f.Payload)
		return &extendedJSON{GoAway: &goAwayJSON{g.Reason, g.After.Milliseconds()}}
	case wire.CmdError:
		e, _ := wire.ParseError(f)
		return &extendedJSON{Error: &errorJSON{e.Code, e.ID, e.Text}}
	case wire.CmdBye:
		return &extendedJSON{Bye: &struct{}{}}
	}
	e, _ := wire.ParseExt(f)
	j := &extJSON{QoS: e.QoS, Flag: e.Flag, Dup: e.Dup, CRC: e.CRC, ID: e.ID, Payload: hex.EncodeToString(e.Payload)}
	if printable(e.Payload) {
		j.Text = string(e.Payload)
	}
	return &extendedJSON{Ext: j}
}

// masked is the payload of a frame of an extended connection, with zeros for what is secret in it: tokens and credentials.
func masked(f *wire.Frame) []byte {
	switch f.Cmd {
	case wire.CmdHello:
		h, _ := wire.ParseHello(f.Payload)
		token := 1 + 1 + 4 + 1 + len(h.ClientID) + 1 // where it begins
		payload := bytes.Clone(f.Payload)
		clear(payload[token : token+len(h.Token)])
		clear(payload[token+len(h.Token)+2:])
		return payload
	case wire.CmdWelcome:
		w, _ := wire.ParseWelcome(f.Payload)
		token := 1 + 1 + 1 + 2 + 2 + 4 + 2 + 4 + 1
		payload := bytes.Clone(f.Payload)
		clear(payload[token : token+len(w.Token)])
		return payload
	}
	return f.Payload
}
