package wire

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// randomLayout is a declaration that may be right: most parts are there in one
// of two formats, and most lie where there is room.
func randomLayout(r *rand.Rand) Layout {
	at := 0 // where there is room
	take := func(size int) (offset int) {
		switch r.IntN(30) {
		case 0:
			offset = r.IntN(24) // anywhere
		case 1, 2, 3:
			at += r.IntN(4) // bytes that nobody has
			fallthrough
		default:
			offset = at
			at += size
		}
		return offset
	}
	l := Layout{ByteOrder: ByteOrder(r.IntN(2))}
	parts := []func(){
		func() {
			l.Magic = randomBytes(r, 1+r.IntN(5))
			if r.IntN(20) == 0 {
				l.Magic = randomBytes(r, 9)
			}
			l.MagicOffset = take(len(l.Magic))
			if r.IntN(3) == 0 {
				l.AnswerMagic = bytes.Clone(l.Magic)
				l.AnswerMagic[r.IntN(len(l.Magic))] ^= 1 << r.IntN(8)
			}
		},
		func() {
			l.Version = randomField(r, take)
			for range r.IntN(4) {
				fd := newField(l.Version, l.ByteOrder)
				l.Versions = append(l.Versions, uint32(r.Uint64()&fd.max()))
			}
		},
		func() { l.Cmd = randomField(r, take) },
		func() { l.Flag = randomField(r, take) },
		func() { l.ID = IDField{Size: 1 << r.IntN(4)}; l.ID.Offset = take(l.ID.Size) },
		func() {
			l.Checksum.Algorithm = Algorithm(1 + r.IntN(len(algorithmNames)-1))
			if l.Checksum.Trailer = r.IntN(2) == 0; !l.Checksum.Trailer {
				l.Checksum.Offset = take(l.Checksum.Algorithm.Size())
			}
			if r.IntN(3) == 0 {
				l.Checksum.CoversPayload = true
			}
		},
		func() { l.Trailer = randomBytes(r, 1+r.IntN(3)) },
	}
	length := func() {
		l.LengthFieldLength = [...]int{1, 2, 3, 4, 8}[r.IntN(5)]
		l.LengthFieldOffset = take(l.LengthFieldLength)
	}
	r.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	before := r.IntN(len(parts) + 1)
	for i, part := range parts {
		if i == before {
			length()
		}
		if r.IntN(2) == 0 {
			part()
		}
	}
	if l.LengthFieldLength == 0 {
		length()
	}

	if r.IntN(3) == 0 {
		l.Header = at + r.IntN(3)
	}
	if r.IntN(4) == 0 {
		l.LengthAdjustment = new(r.IntN(30) - 15)
	}
	if r.IntN(4) == 0 {
		l.InitialBytesToStrip = r.IntN(at + 2)
	}
	if r.IntN(3) == 0 {
		l.MaxFrameLength = at + r.IntN(60)
	}
	l.DiscardTooLong = r.IntN(2) == 0
	if l.Cmd.Size > 0 && r.IntN(2) == 0 {
		l.Heartbeat.Ping.Cmd = Is(uint32(r.IntN(2)))
		if r.IntN(2) == 0 {
			l.Heartbeat.Pong = &Reply{Cmd: new(uint32(2)), EchoPayload: r.IntN(2) == 0}
		}
	}
	return l
}

func randomField(r *rand.Rand, take func(int) int) Field {
	f := Field{Size: 1 + r.IntN(4)}
	f.Offset = take(f.Size)
	if r.IntN(4) == 0 {
		f.Shift = r.IntN(8)
		f.Mask = uint32(1+r.IntN(15)) << f.Shift
	}
	return f
}

func randomRules(r *rand.Rand, f *Format) Rules {
	rules := Rules{From: Direction(r.IntN(3))}
	if f.version.size > 0 && r.IntN(3) == 0 {
		for range 1 + r.IntN(3) {
			rules.Versions = append(rules.Versions, uint32(r.Uint64()&f.version.max()))
		}
	}
	if f.cmd.size > 0 && r.IntN(3) == 0 {
		rules.Commands = NewCommandSet()
		for range 3 {
			c := uint32(r.Uint64() & f.cmd.max())
			rules.Commands.Add(CommandRange{c, min(c+uint32(r.IntN(10)), uint32(f.cmd.max()))})
		}
	}
	if r.IntN(3) == 0 {
		rules.MaxPayload = min(f.MaxPayload(), max(f.minPayload(), 1)+r.IntN(30))
	}
	return rules
}

// randomStream is frames of the format, with some of their bytes changed, and
// garbage between.
func randomStream(t testing.TB, r *rand.Rand, f *Format) (stream []byte) {
	for range r.IntN(6) {
		payload := randomBytes(r, min(f.MaxPayload(), f.minPayload()+r.IntN(40)))
		version := uint32(r.Uint64() & f.version.max())
		if len(f.versions) > 0 {
			version = f.versions[r.IntN(len(f.versions))]
		}
		cmd, flag := uint32(r.Uint64()&f.cmd.max()), uint32(r.Uint64()&f.flag.max())
		if r.IntN(3) == 0 {
			cmd = uint32(uint64(r.IntN(2)) & f.cmd.max())
		}
		before := len(stream)
		var err error
		if stream, err = f.AppendFrom(stream, Direction(r.IntN(3)), version, cmd, flag, payload); err != nil {
			t.Fatalf("%+v: %v", f.declared, err)
		}
		if len(stream) > before && r.IntN(4) == 0 {
			stream[before+r.IntN(min(len(stream)-before, f.headerLen+2))] ^= byte(1 << r.IntN(8))
		}
		if r.IntN(6) == 0 {
			stream = append(stream, randomBytes(r, r.IntN(12))...)
		}
	}
	return stream
}

// checkFormat holds a format to all that any must keep, on one stream.
func checkFormat(t testing.TB, f *Format, rules Rules, stream []byte, ends []int) {
	d, err := f.NewDecoder(rules)
	if err != nil {
		t.Fatalf("%+v\n%+v: %v", f.declared, rules, err)
	}
	slow := newDecoder(t, byLayout(f), rules)

	whole := receive(t, d, stream, len(stream))
	for name, got := range map[string]outcome{
		"in pieces":               receive(t, d, stream, ends...),
		"byte by byte":            receive(t, d, stream, everyByte(stream)...),
		"by layout":               receive(t, slow, stream, len(stream)),
		"by layout, byte by byte": receive(t, slow, stream, everyByte(stream)...),
	} {
		if !sameOutcome(got, whole) {
			t.Fatalf("%+v\n%+v\n%x\n%s (%v): %+v, in one piece %+v", f.declared, rules, stream, name, ends, got, whole)
		}
	}

	for _, frame := range whole.frames {
		if len(frame.Raw) > d.MaxFrame() || len(frame.Raw) < f.minFrame || f.declared.MaxFrameLength > 0 && len(frame.Raw) > f.declared.MaxFrameLength {
			t.Fatalf("%+v: a frame of %d bytes, of %d to %d", f.declared, len(frame.Raw), f.minFrame, d.MaxFrame())
		}
		if !rules.Commands.Contains(frame.Cmd) || len(frame.Payload) > f.MaxPayload() || rules.MaxPayload > 0 && len(frame.Payload) > rules.MaxPayload {
			t.Fatalf("%+v\n%+v: accepted %+v", f.declared, rules, frame)
		}
		checkReplies(t, f, frame)
	}
	if whole.reject == nil && whole.rest >= d.MaxFrame() {
		t.Fatalf("%+v\n%+v: waits for more with %d bytes there, where a frame is at most %d", f.declared, rules, whole.rest, d.MaxFrame())
	}
	if r := whole.reject; r != nil && (r.Offset < 0 || r.Offset >= len(stream)-whole.at || r.Got == r.Want && r.Reason != ReasonCommand || r.Skip < 0) {
		t.Fatalf("%+v: %+v of %d bytes", f.declared, *r, len(stream)-whole.at)
	}

	inOne := receiveDropping(t, d, stream, len(stream))
	for _, ends := range [][]int{ends, everyByte(stream)} {
		got := receiveDropping(t, d, stream, ends...)
		if !sameFrames(got.frames, inOne.frames) || got.rest != inOne.rest || got.skipping != inOne.skipping {
			t.Fatalf("%+v\n%+v\n%x\ndropping, in pieces to %v: %+v, in one piece %+v", f.declared, rules, stream, ends, got, inOne)
		}
	}
}

// checkReplies reads back what a format writes because of a frame, and the
// frame itself written again.
func checkReplies(t testing.TB, f *Format, frame Frame) {
	d := newDecoder(t, f, Rules{Versions: []uint32{frame.Version}[:min(1, f.version.size)]})
	read := func(what string, b []byte) (got Frame) {
		n, err := d.Next(b, &got)
		if n != len(b) || err != nil {
			t.Fatalf("%+v\nframe %x\n%s %x: %d, %v", f.declared, frame.Raw, what, b, n, err)
		}
		return got
	}

	again, err := f.AppendFrom(nil, f.direction(frame.Raw), frame.Version, frame.Cmd, frame.Flag, frame.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := read("again", again); !sameFrames([]Frame{got}, []Frame{frame}) {
		t.Fatalf("%+v\n%+v was written and read as %+v", f.declared, frame, got)
	}
	if f.IsPing(&frame) {
		if pong := read("pong", f.AppendPong(nil, &frame)); !f.IsPong(&pong) {
			t.Fatalf("%+v\nping %x: %x is no pong", f.declared, frame.Raw, pong.Raw)
		}
	}
	answer, err := f.AppendAnswer(nil, &frame, frame.Payload)
	if err != nil {
		t.Fatal(err)
	}
	got := read("answer", answer)
	want, ok := f.ID(&frame)
	if id, ok2 := f.ID(&got); id != want || ok != ok2 {
		t.Fatalf("%+v\n%x: id %d (%t), of its answer %x: %d (%t)", f.declared, frame.Raw, want, ok, got.Raw, id, ok2)
	}
	if other := ^want & f.MaxID(); f.SetID(answer, other) {
		got := read("answer with another id", answer)
		if id, _ := f.ID(&got); id != other {
			t.Fatalf("%+v\n%x: id %d, want %d", f.declared, answer, id, other)
		}
	} else if ok {
		t.Fatalf("%+v\n%x: no id to set", f.declared, answer)
	}
}

func TestRandomFormats(t *testing.T) {
	var accepted, compiled, frames int
	const formats = 4000
	for seed := range uint64(formats) {
		r := rand.New(rand.NewPCG(seed, 1))
		f, err := NewFormat("random", randomLayout(r))
		if err != nil {
			continue
		}
		accepted++
		rules := randomRules(r, f)
		stream := randomStream(t, r, f)
		checkFormat(t, f, rules, stream, randomEnds(r, stream))

		d := newDecoder(t, f, Rules{})
		frames += len(receive(t, d, stream, len(stream)).frames)
		if d.path == pathCompiled {
			compiled++
		}
	}
	t.Logf("of %d declarations %d were accepted, %d were compiled, %d frames read", formats, accepted, compiled, frames)
	if accepted < formats/4 || compiled < accepted/2 || frames < accepted {
		t.Error("too few of them to prove much")
	}
}

func randomEnds(r *rand.Rand, stream []byte) (ends []int) {
	for at := r.IntN(10); at < len(stream); at += 1 + r.IntN(20) {
		ends = append(ends, at)
	}
	return append(ends, len(stream))
}

func FuzzFormats(f *testing.F) {
	for seed := range uint64(50) {
		f.Add(seed, []byte{}, []byte{3, 0x80})
	}
	f.Fuzz(func(t *testing.T, seed uint64, garbage, changes []byte) {
		r := rand.New(rand.NewPCG(seed, 2))
		format, err := NewFormat("fuzzed", randomLayout(r))
		if err != nil {
			return
		}
		rules := randomRules(r, format)
		stream := append(randomStream(t, r, format), garbage...)
		for i := 0; i+1 < len(changes); i += 2 { // each at how far, and which bits
			if at := int(changes[i]); at < len(stream) {
				stream[at] ^= changes[i+1]
			}
		}
		checkFormat(t, format, rules, stream, randomEnds(r, stream))
	})
}

// A layout by Netty's parameters gives the frames that Netty's decoder gives,
// up to where that has an error.
func TestLayoutIsNettys(t *testing.T) {
	compared, errs := 0, 0
	for seed := range uint64(6000) {
		r := rand.New(rand.NewPCG(seed, 3))
		order := ByteOrder(r.IntN(2))
		length := [...]int{1, 2, 3, 4, 8}[r.IntN(5)]
		offset, adjustment, strip, most := r.IntN(6), r.IntN(17)-8, r.IntN(10), 20+r.IntN(40)
		f, err := NewFormat("netty", Layout{
			ByteOrder:         order,
			LengthFieldOffset: offset, LengthFieldLength: length, LengthAdjustment: &adjustment,
			InitialBytesToStrip: strip, MaxFrameLength: most,
		})
		if err != nil {
			continue // its maximum is less than the shortest frame
		}
		netty := newLengthFieldDecoder(t, order, most, offset, length, adjustment, strip, true)
		stream := decodeStream(r, newField(Field{Offset: offset, Size: length}, order), adjustment, most)
		got := receive(t, newDecoder(t, f, Rules{}), stream, len(stream))

		rest := stream
		for i := 0; ; i++ {
			frame, n, err := netty.Decode(rest)
			if err != nil {
				var tooLong *TooLongFrameError
				if got.reject == nil || got.reject.Reason != ReasonLength || len(got.frames) != i ||
					errors.As(err, &tooLong) && got.reject.Got < got.reject.Want ||
					!errors.As(err, &tooLong) && got.reject.Got > got.reject.Want && got.reject.Got < math.MaxInt64-100 { // where its number turns negative
					t.Fatalf("%+v\n%x: after %d frames %v; got %+v", f.declared, stream, i, err, got)
				}
				errs++
				break
			}
			if frame == nil {
				// Netty finds out later than the header that it is too short.
				if len(got.frames) != i || got.reject != nil && got.reject.Got >= got.reject.Want {
					t.Fatalf("%+v\n%x: %d frames; got %+v", f.declared, stream, i, got)
				}
				break
			}
			if i >= len(got.frames) || !bytes.Equal(got.frames[i].Raw[strip:], frame) {
				t.Fatalf("%+v\n%x: frame %d is %x; got %+v", f.declared, stream, i, frame, got)
			}
			compared++
			rest = rest[n:]
		}
	}
	if compared < 2000 || errs < 500 {
		t.Errorf("only %d frames and %d errors were compared", compared, errs)
	}
}
