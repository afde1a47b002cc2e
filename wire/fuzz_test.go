package wire

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// fuzzRules are the sets of rules that a fuzzed byte chooses from.
func fuzzRules() []Rules {
	return []Rules{
		{},
		gatewayRules(),
		{Versions: []uint32{0, 258, 65535}},
		{MaxPayload: 1},
		{Commands: NewCommandSet(CommandRange{0, 0}, CommandRange{64, 127})},
	}
}

// Whatever the split, and by whichever path: the same frames, the same verdict.
func FuzzDecodeSplit(f *testing.F) {
	for _, kind := range []string{"good", "bad"} {
		for _, v := range loadVectors(f, GOPR, kind) {
			if len(v.Stream) < 1024 { // the fuzzer is slow on long ones
				f.Add([]byte(v.Stream), []byte{1, 3, 10}, byte(1))
			}
		}
	}
	f.Add(AppendFrame(AppendPing(nil, Ping{Seq: 1, Time: 2}), CmdApp, FlagReq, []byte("hello")), []byte{}, byte(0))
	f.Add([]byte("xGOPGOPR\x00\x01\x00\x00\x01\x01"), []byte{2, 2, 2}, byte(0))

	f.Fuzz(func(t *testing.T, stream, cuts []byte, rules byte) {
		all := fuzzRules()
		r := all[int(rules)%len(all)]
		straight, compiled, slow := newDecoder(t, GOPR, r), newDecoder(t, twin, r), newDecoder(t, byLayout(GOPR), r)

		// Each byte of cuts is the length of a piece.
		var ends []int
		end := 0
		for _, c := range cuts {
			if end += int(c); end >= len(stream) {
				break
			}
			ends = append(ends, end)
		}
		ends = append(ends, len(stream))

		whole := receive(t, straight, stream, len(stream))
		for name, got := range map[string]outcome{
			"in pieces":               receive(t, straight, stream, ends...),
			"byte by byte":            receive(t, straight, stream, everyByte(stream)...),
			"compiled":                receive(t, compiled, stream, len(stream)),
			"compiled, in pieces":     receive(t, compiled, stream, ends...),
			"compiled, byte by byte":  receive(t, compiled, stream, everyByte(stream)...),
			"by layout":               receive(t, slow, stream, len(stream)),
			"by layout, in pieces":    receive(t, slow, stream, ends...),
			"by layout, byte by byte": receive(t, slow, stream, everyByte(stream)...),
		} {
			if !sameOutcome(got, whole) {
				t.Fatalf("%s (%v): %+v, in one piece %+v", name, ends, got, whole)
			}
		}

		checkAccepted(t, r, stream, whole)

		// What a dropping receiver makes of it does not depend on the split either.
		inOne := receiveDropping(t, straight, stream, len(stream))
		for _, ends := range [][]int{ends, everyByte(stream)} {
			got := receiveDropping(t, straight, stream, ends...)
			if !sameFrames(got.frames, inOne.frames) || got.rest != inOne.rest || got.skipping != inOne.skipping {
				t.Fatalf("dropping, in pieces to %v: %+v, in one piece %+v", ends, got, inOne)
			}
		}
	})
}

// checkAccepted holds the frames read to the rules, and to the bytes they came
// from: written again they are the stream.
func checkAccepted(t *testing.T, r Rules, stream []byte, o outcome) {
	t.Helper()
	var again []byte
	for _, f := range o.frames {
		if r.MaxPayload > 0 && len(f.Payload) > r.MaxPayload {
			t.Fatalf("a payload of %d bytes was accepted where %d is the maximum", len(f.Payload), r.MaxPayload)
		}
		if !r.Commands.Contains(f.Cmd) {
			t.Fatalf("command %#x was accepted, allowed are %v", f.Cmd, r.Commands)
		}
		var err error
		if again, err = GOPR.Append(again, f.Version, f.Cmd, f.Flag, f.Payload); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.HasPrefix(stream, again) {
		t.Fatalf("written again: %x, read from %x", again, stream)
	}
	if o.reject != nil && o.at != len(again) || o.reject == nil && o.rest != len(stream)-len(again) {
		t.Fatalf("%d bytes of frames, but rejected at %d or %d bytes left of %d", len(again), o.at, o.rest, len(stream))
	}
}

// What is encoded is what is decoded, between any two neighbours.
func FuzzRoundTrip(f *testing.F) {
	f.Add(uint32(Version), uint32(CmdPing), uint32(FlagReq), []byte(nil))
	f.Add(uint32(Version), uint32(CmdApp), uint32(0), []byte("GOPR\x00\x01\x00\x00\x01\x01"))
	f.Add(uint32(0), uint32(255), uint32(255), []byte{0})
	f.Add(uint32(65535), uint32(0), uint32(128), bytes.Repeat([]byte("GOPR"), 100))
	f.Add(uint32(65536), uint32(256), uint32(256), []byte("does not fit"))

	f.Fuzz(func(t *testing.T, version, cmd, flag uint32, payload []byte) {
		// Clipped, so that each append below has memory of its own.
		before := slices.Clip(AppendPing(nil, Ping{Seq: 1}))
		stream, err := GOPR.Append(before, version, cmd, flag, payload)
		fits := version <= 0xFFFF && cmd <= 0xFF && flag <= 0xFF && len(payload) <= MaxPayload
		if !fits {
			var fe *FieldError
			if !errors.As(err, &fe) || fe.Value <= fe.Max || !bytes.Equal(stream, before) {
				t.Fatalf("err = %v, stream %x", err, stream)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if version == Version {
			if got := AppendFrame(before, uint8(cmd), uint8(flag), payload); !bytes.Equal(got, stream) {
				t.Fatalf("AppendFrame made %x, Format.Append %x", got, stream)
			}
		}
		size := len(stream) - len(before)
		stream = AppendFrame(stream, CmdBye, 0, nil)

		for _, format := range everyPath {
			o := receive(t, newDecoder(t, format, Rules{Versions: []uint32{Version, version}}), stream, len(stream))
			if o.reject != nil || o.rest != 0 || len(o.frames) != 3 {
				t.Fatalf("%d frames, reject %v, rest %d", len(o.frames), o.reject, o.rest)
			}
			f := o.frames[1]
			if f.Version != version || f.Cmd != cmd || f.Flag != flag || !bytes.Equal(f.Payload, payload) || len(f.Raw) != size {
				t.Fatalf("got %+v", f)
			}
		}
	})
}

func FuzzResync(f *testing.F) {
	f.Add([]byte("GOPGOPR"))
	f.Add([]byte("xxGO"))
	d, err := GOPR.NewDecoder(Rules{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkResync(t, d, b) })
}

func FuzzParseCommandRange(f *testing.F) {
	for _, s := range []string{"16", "0x10-0xFF", "0xFF-0x10", "-", "0x", "00-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseCommandRange(s)
		if err != nil {
			return
		}
		if r.First > r.Last {
			t.Fatalf("%q: backwards: %v", s, r)
		}
		if back, err := ParseCommandRange(r.String()); err != nil || back != r {
			t.Fatalf("%q: %v, read back as %v, %v", s, r, back, err)
		}
	})
}
