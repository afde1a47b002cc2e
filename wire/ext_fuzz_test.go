package wire

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever an extended connection brings: it is read and, written again, the same; or it is rejected, with the byte to blame in the frame.
func FuzzExtended(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, v := range loadExtended(f, kind) {
			if len(v.Frame) < 1024 {
				f.Add([]byte(v.Frame))
			}
		}
	}
	d, err := GOPR.NewDecoder(Rules{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var frame Frame
		if n, err := d.Next(raw, &frame); n == 0 || n != len(raw) || err != nil {
			return
		}
		again, err := rewrite(&frame)
		var reject *RejectError
		switch {
		case err == nil && again != nil && !bytes.Equal(again, raw):
			t.Fatalf("written again: %x", again)
		case err != nil && !errors.As(err, &reject):
			t.Fatalf("%v is no RejectError", err)
		case err != nil && (reject.Skip != len(raw) || reject.Offset > len(raw) || reject.Reason != ReasonMalformed && reject.Reason != ReasonChecksum):
			t.Fatalf("%+v, of %d bytes", reject, len(raw))
		}
		if frame.Cmd >= CmdApp && err == nil {
			dup := bytes.Clone(raw)
			SetDup(dup)
			var second Frame
			if _, err := d.Next(dup, &second); err != nil {
				t.Fatal(err)
			}
			e, err := ParseExt(&second)
			if e.QoS > 0 && (err != nil || !e.Dup) {
				t.Fatalf("marked as sent before: %+v, %v", e, err)
			}
		}
	})
}

// rewrite reads a frame of an extended connection, and writes what it has read; nil: there is nothing to compare with.
func rewrite(f *Frame) ([]byte, error) {
	if f.Cmd >= CmdApp {
		e, err := ParseExt(f)
		if err != nil {
			return nil, err
		}
		return AppendExt(nil, uint8(f.Cmd), &e)
	}
	if err := CheckControl(f); err != nil {
		return nil, err
	}
	switch f.Cmd {
	case CmdHello:
		if h, _ := ParseHello(f.Payload); h.Version == HelloVersion {
			return AppendHello(nil, &h)
		}
	case CmdWelcome:
		if w, _ := ParseWelcome(f.Payload); w.Version == HelloVersion {
			return AppendWelcome(nil, &w)
		}
	case CmdPubAck, CmdPubRec, CmdPubRel, CmdPubComp:
		id, _ := ParseAck(f.Payload)
		return AppendAck(nil, uint8(f.Cmd), id), nil
	case CmdGoAway:
		g, _ := ParseGoAway(f.Payload)
		return AppendGoAway(nil, g), nil
	case CmdError:
		e, _ := ParseError(f)
		if len(e.Text) <= MaxErrorText && bytes.HasSuffix(f.Payload, []byte(e.Text)) && len(e.Text)+2+idLen*min(int(e.ID), 1) == len(f.Payload) {
			return AppendError(nil, e), nil
		}
	case CmdBye:
		return AppendBye(nil), nil
	}
	return nil, nil
}
