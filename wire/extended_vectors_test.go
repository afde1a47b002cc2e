package wire

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// A vector of testdata/extended_*.json, as testdata/README.md states it.
type extVector struct {
	Name  string   `json:"name"`
	Frame hexBytes `json:"frame"`

	Ext *struct {
		QoS     uint8    `json:"qos"`
		Flag    uint8    `json:"flag"`
		Dup     bool     `json:"dup"`
		CRC     bool     `json:"crc"`
		ID      uint32   `json:"id"`
		Payload hexBytes `json:"payload"`
	} `json:"ext"`
	Hello *struct {
		Version      uint8      `json:"version"`
		Capabilities Capability `json:"capabilities"`
		Expiry       uint32     `json:"expiry_s"`
		ClientID     hexBytes   `json:"client_id"`
		Token        hexBytes   `json:"token"`
		Credential   hexBytes   `json:"credential"`
	} `json:"hello"`
	Welcome *struct {
		Version      uint8      `json:"version"`
		Resumed      bool       `json:"resumed"`
		Capabilities Capability `json:"capabilities"`
		Heartbeat    uint16     `json:"heartbeat_s"`
		Idle         uint16     `json:"idle_s"`
		Expiry       uint32     `json:"expiry_s"`
		Window       uint16     `json:"window"`
		LastID       uint32     `json:"last_id"`
		Token        hexBytes   `json:"token"`
	} `json:"welcome"`
	Ack *struct {
		ID uint32 `json:"id"`
	} `json:"ack"`
	GoAway *struct {
		Reason uint16 `json:"reason"`
		After  uint32 `json:"after_ms"`
	} `json:"goaway"`
	Error *struct {
		Code uint16 `json:"code"`
		ID   uint32 `json:"id"`
		Text string `json:"text"`
	} `json:"error"`
	Bye *struct{} `json:"bye"`

	Reject *struct {
		Reason string `json:"reason"`
		Offset int    `json:"offset"`
		Got    uint64 `json:"got"`
		Want   uint64 `json:"want"`
		Skip   int    `json:"skip"`
	} `json:"reject"`
}

func loadExtended(t testing.TB, kind string) []extVector {
	t.Helper()
	file := "testdata/extended_" + kind + ".json"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Format  string      `json:"format"`
		Vectors []extVector `json:"vectors"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&all); err != nil || all.Format != "gopr" || len(all.Vectors) == 0 {
		t.Fatalf("%s: format %q, %d vectors: %v", file, all.Format, len(all.Vectors), err)
	}
	return all.Vectors
}

// frame reads the one frame of a vector.
func (v *extVector) frame(t testing.TB) Frame {
	t.Helper()
	var f Frame
	if n, err := newDecoder(t, GOPR, Rules{}).Next(v.Frame, &f); n != len(v.Frame) || err != nil {
		t.Fatalf("no frame: %d of %d bytes, %v", n, len(v.Frame), err)
	}
	return f
}

func TestExtendedGoodVectors(t *testing.T) {
	seen := map[uint32]bool{}
	for _, v := range loadExtended(t, "good") {
		t.Run(v.Name, func(t *testing.T) {
			f := v.frame(t)
			seen[min(f.Cmd, CmdApp)] = true
			if f.Cmd < CmdApp {
				if err := CheckControl(&f); err != nil {
					t.Errorf("CheckControl: %v", err)
				}
			}
			again, err := v.reread(t, &f)
			if err != nil {
				t.Fatal(err)
			}
			if again != nil && !bytes.Equal(again, v.Frame) {
				t.Errorf("written\n%x, want\n%x", again, []byte(v.Frame))
			}
		})
	}
	for cmd := uint32(CmdHello); cmd <= CmdBye; cmd++ {
		if !seen[cmd] {
			t.Errorf("no vector has the command %#x", cmd)
		}
	}
}

// reread compares what is read with the vector, and writes it again; nil: what it says is of a version that is not written.
func (v *extVector) reread(t *testing.T, f *Frame) ([]byte, error) {
	t.Helper()
	switch {
	case v.Ext != nil:
		got, err := ParseExt(f)
		want := Ext{v.Ext.QoS, v.Ext.Flag, v.Ext.Dup, v.Ext.CRC, v.Ext.ID, v.Ext.Payload}
		if err != nil || got.QoS != want.QoS || got.Flag != want.Flag || got.Dup != want.Dup || got.CRC != want.CRC || got.ID != want.ID ||
			!bytes.Equal(got.Payload, want.Payload) || cap(got.Payload) != len(got.Payload) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		return AppendExt(nil, uint8(f.Cmd), &want)
	case v.Hello != nil:
		got, ok := ParseHello(f.Payload)
		want := v.Hello
		h := Hello{want.Version, want.Capabilities, time.Duration(want.Expiry) * time.Second, want.ClientID, want.Token, want.Credential}
		if !ok || got.Version != h.Version || got.Capabilities != h.Capabilities || got.Expiry != h.Expiry || !bytes.Equal(got.ClientID, h.ClientID) ||
			!bytes.Equal(got.Token, h.Token) || !bytes.Equal(got.Credential, h.Credential) {
			t.Errorf("got %+v, %v, want %+v", got, ok, h)
		}
		if h.Version > HelloVersion {
			return nil, nil
		}
		return AppendHello(nil, &h)
	case v.Welcome != nil:
		got, ok := ParseWelcome(f.Payload)
		want := v.Welcome
		w := Welcome{
			want.Version, want.Resumed, want.Capabilities, time.Duration(want.Heartbeat) * time.Second, time.Duration(want.Idle) * time.Second,
			time.Duration(want.Expiry) * time.Second, want.Window, want.LastID, want.Token,
		}
		if !ok || !bytes.Equal(got.Token, w.Token) || !sameWelcome(got, w) {
			t.Errorf("got %+v, %v, want %+v", got, ok, w)
		}
		return AppendWelcome(nil, &w)
	case v.Ack != nil:
		if id, ok := ParseAck(f.Payload); !ok || id != v.Ack.ID {
			t.Errorf("got %d, %v", id, ok)
		}
		return AppendAck(nil, uint8(f.Cmd), v.Ack.ID), nil
	case v.GoAway != nil:
		want := GoAway{GoAwayReason(v.GoAway.Reason), time.Duration(v.GoAway.After) * time.Millisecond}
		if got, ok := ParseGoAway(f.Payload); !ok || got != want {
			t.Errorf("got %+v, %v", got, ok)
		}
		return AppendGoAway(nil, want), nil
	case v.Error != nil:
		want := ErrorFrame{ErrorCode(v.Error.Code), v.Error.ID, v.Error.Text}
		if got, ok := ParseError(f); !ok || got != want {
			t.Errorf("got %+v, %v", got, ok)
		}
		return AppendError(nil, want), nil
	case v.Bye != nil:
		return AppendBye(nil), nil
	}
	t.Fatal("the vector says nothing")
	return nil, nil
}

func sameWelcome(a, b Welcome) bool {
	a.Token, b.Token = nil, nil
	return a.Version == b.Version && a.Resumed == b.Resumed && a.Capabilities == b.Capabilities && a.Heartbeat == b.Heartbeat && a.Idle == b.Idle &&
		a.Expiry == b.Expiry && a.Window == b.Window && a.LastID == b.LastID
}

func TestExtendedBadVectors(t *testing.T) {
	for _, v := range loadExtended(t, "bad") {
		t.Run(v.Name, func(t *testing.T) {
			f := v.frame(t)
			var err error
			if f.Cmd < CmdApp {
				err = CheckControl(&f)
			} else {
				var e Ext
				if e, err = ParseExt(&f); e.Payload != nil || e.ID != 0 || e.QoS != 0 {
					t.Errorf("rejected, and yet %+v", e)
				}
			}
			want := vectorReject{Reason: v.Reject.Reason, Offset: v.Reject.Offset, Got: v.Reject.Got, Want: v.Reject.Want, Skip: v.Reject.Skip}
			reject, _ := err.(*RejectError)
			if reject == nil || *reject != want.reject(t) {
				t.Errorf("%+v, want %+v", err, want)
			}
		})
	}
}
