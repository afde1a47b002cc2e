package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
)

func TestHeader(t *testing.T) {
	d := newDecoder(t, GOPR, gatewayRules())
	frame, err := GOPR.Append(nil, 2, 0x20, FlagReq, make([]byte, 300))
	if err != nil {
		t.Fatal(err)
	}
	for k := range len(frame) + 1 {
		f := Frame{Cmd: 0xDEAD, Raw: []byte("old"), Payload: []byte("old")}
		size, err := d.Header(frame[:k:k], &f)
		switch {
		case err != nil:
			t.Fatalf("%d bytes: %v", k, err)
		case k < HeaderLen:
			if size != 0 || f.Cmd != 0xDEAD {
				t.Errorf("%d bytes: size %d, frame %+v, want 0 and the frame left alone", k, size, f)
			}
		case size != len(frame):
			t.Errorf("%d bytes: size %d, want %d", k, size, len(frame))
		case f.Version != 2 || f.Cmd != 0x20 || f.Flag != FlagReq:
			t.Errorf("%d bytes: %+v", k, f)
		case f.Raw != nil || f.Payload != nil:
			t.Errorf("%d bytes: stale slices are left in the frame: %+v", k, f)
		}
	}
}

// A thousand frames in one read, and the same read one byte at a time.
func TestNextThousandFrames(t *testing.T) {
	var stream []byte
	for i := range 1000 {
		stream = AppendFrame(stream, uint8(0x10+i%0xF0), uint8(i), bytes.Repeat([]byte{byte(i)}, i%37))
	}
	for _, format := range everyPath {
		d := newDecoder(t, format, Rules{})
		whole := receive(t, d, stream, len(stream))
		if whole.reject != nil || len(whole.frames) != 1000 || whole.rest != 0 {
			t.Fatalf("%d frames, reject %v, rest %d", len(whole.frames), whole.reject, whole.rest)
		}
		for i, f := range whole.frames {
			if f.Version != 1 || f.Cmd != uint32(0x10+i%0xF0) || f.Flag != uint32(uint8(i)) || !bytes.Equal(f.Payload, bytes.Repeat([]byte{byte(i)}, i%37)) {
				t.Fatalf("frame %d: %+v", i, f)
			}
		}
		if got := receive(t, d, stream, everyByte(stream)...); !sameOutcome(got, whole) {
			t.Fatalf("byte by byte: %d frames, reject %v", len(got.frames), got.reject)
		}
	}
}

// Every value of every field of the header, by every path: the same verdict,
// and the one that the rules say.
func TestHeaderFieldsExhaustive(t *testing.T) {
	rules := gatewayRules()
	straight, compiled, slow := newDecoder(t, GOPR, rules), newDecoder(t, twin, rules), newDecoder(t, byLayout(GOPR), rules)
	payload := make([]byte, MaxPayload)
	stream := AppendFrame(nil, CmdApp, 0, payload)

	check := func(what string, value int, want Reason) {
		t.Helper()
		a := receive(t, straight, stream, len(stream))
		for path, d := range map[string]*Decoder{"compiled": compiled, "by layout": slow} {
			if b := receive(t, d, stream, len(stream)); !sameOutcome(a, b) {
				t.Fatalf("%s %d: straight %+v, %s %+v", what, value, a, path, b)
			}
		}
		var got Reason
		if a.reject != nil && a.at == 0 {
			got = a.reject.Reason
		}
		if got != want {
			t.Fatalf("%s %d: %v, want %v", what, value, got, want)
		}
	}
	only := func(ok bool, otherwise Reason) Reason {
		if ok {
			return 0
		}
		return otherwise
	}

	header := func() { copy(stream, "GOPR\x00\x01\x00\x00\x10\x00") }
	for i := range 4 {
		for v := range 256 {
			header()
			stream[i] = byte(v)
			check(fmt.Sprintf("magic byte %d", i), v, only(byte(v) == "GOPR"[i], ReasonMagic))
		}
	}
	for v := range 1 << 16 {
		header()
		binary.BigEndian.PutUint16(stream[OffsetVersion:], uint16(v))
		check("version", v, only(v == 1 || v == 2, ReasonVersion))

		header()
		binary.BigEndian.PutUint16(stream[OffsetLength:], uint16(v))
		check("length", v, only(v <= 4096, ReasonLength))
	}
	for v := range 256 {
		header()
		stream[OffsetCmd] = byte(v)
		check("command", v, only(v == 1 || v == 2 || v >= 0x10, ReasonCommand))

		header()
		stream[OffsetFlag] = byte(v)
		check("flag", v, 0)
	}
}

// Which of several faults is reported is the order of docs/protocol.md, and
// all that is reported is the same however much of the frame is there.
func TestOrderOfChecks(t *testing.T) {
	rules := Rules{Commands: NewCommandSet(CommandRange{CmdPing, CmdPing}), MaxPayload: 16}
	good := []byte("GOPR\x00\x01\x00\x10\x01\x01")
	faults := []struct {
		reason Reason
		offset int
		value  byte
		known  int // bytes
	}{
		{ReasonMagic, 3, 'r', 4},
		{ReasonVersion, 5, 7, 8},
		{ReasonLength, 7, 17, 8},
		{ReasonCommand, 8, 0x10, 9},
	}
	for set := range 1 << len(faults) {
		header := bytes.Clone(good)
		first := -1
		for i, fault := range faults {
			if set>>i&1 == 0 {
				continue
			}
			header[fault.offset] = fault.value
			if first < 0 {
				first = i
			}
		}
		if first < 0 {
			continue
		}
		stream := append(header, make([]byte, 17)...)
		for _, format := range everyPath {
			d := newDecoder(t, format, rules)
			for k := range len(stream) + 1 {
				var f Frame
				_, err := d.Next(stream[:k:k], &f)
				switch {
				case k < faults[first].known:
					if err != nil {
						t.Errorf("faults %04b, %d bytes: %v too early", set, k, err)
					}
				case err == nil || err.(*RejectError).Reason != faults[first].reason:
					t.Errorf("faults %04b, %d bytes: %v, want %v", set, k, err, faults[first].reason)
				}
			}
		}
	}
}

// A decoder has no state: one serves connections that are read at once.
func TestDecoderConcurrent(t *testing.T) {
	d := newDecoder(t, GOPR, gatewayRules())
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			var stream []byte
			for i := range 100 {
				stream = AppendFrame(stream, uint8(CmdApp+g), uint8(i), bytes.Repeat([]byte{byte(g)}, i))
			}
			stream = append(stream, "GOPR\x00\x09\x00\x00"...)
			o := receive(t, d, stream, everyByte(stream)...)
			if len(o.frames) != 100 || o.reject == nil || o.reject.Got != 9 {
				t.Errorf("connection %d: %d frames, reject %v", g, len(o.frames), o.reject)
			}
			for i, f := range o.frames {
				if f.Cmd != uint32(CmdApp+g) || f.Flag != uint32(i) || len(f.Payload) != i {
					t.Errorf("connection %d, frame %d: %+v", g, i, f)
				}
			}
		})
	}
	wg.Wait()
}
