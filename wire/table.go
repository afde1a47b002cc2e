package wire

import "bytes"

// table is a Layout with its defaults filled in and its sums done: what the
// layout path, [Format.Append] and [Decoder.Resync] walk, and what the
// decoder's straight paths are compiled from.
type table struct {
	magic, answer []byte // answer nil: the magic both ways
	magicAt       int

	version, cmd, flag, length field
	versions                   []uint32 // nil: all

	headerLen int
	payloadAt int // at most headerLen
	tailLen   int // checksum and trailer behind the payload

	// A frame is base plus the length's number long. The two lengths are the
	// numbers that make it minFrame and maxFrame long.
	base                 int
	minFrame, maxFrame   int
	minLength, maxLength uint64
	discardTooLong       bool

	sum     checksum
	trailer []byte

	id                        field // offset and size alone; perhaps in the payload
	ping, pong, asks, answers predicate
}

// checksum is a [Checksum] compiled.
type checksum struct {
	algorithm Algorithm
	field     field // in the header; behind the payload its offset is 0
	trailer   bool
	covers    []Range // in the header

	// payloadFrom is where in the frame the last stretch begins, which runs to
	// the end of the payload; less than 0: there is none.
	payloadFrom int
}

// frameSize is the size of the frame whose length field says length, which is
// between minLength and maxLength.
func (t *table) frameSize(length uint64) int { return int(int64(t.base) + int64(length)) }

// maxPayload is the longest payload that a frame of the format can have.
func (t *table) maxPayload() int { return t.maxFrame - t.payloadAt - t.tailLen }

// minPayload is the shortest: more than none where the payload begins with the
// rest of the header, or the length's number is added to so much.
func (t *table) minPayload() int { return t.minFrame - t.payloadAt - t.tailLen }

// payload is that of a whole frame.
func (t *table) payload(raw []byte) []byte {
	end := len(raw) - t.tailLen
	return raw[t.payloadAt:end:end]
}

// direction is what the magic of a frame says.
func (t *table) direction(raw []byte) Direction {
	switch {
	case t.answer == nil || len(raw) < t.headerLen:
		return AnyDirection
	case bytes.HasPrefix(raw[t.magicAt:], t.answer):
		return FromServer
	}
	return FromClient
}

// magicFrom is the magic of frames that go this way.
func (t *table) magicFrom(from Direction) []byte {
	if from == FromServer && t.answer != nil {
		return t.answer
	}
	return t.magic
}

// verify is the last check of a whole frame, and the only one that reads
// beyond the header.
func (t *table) verify(raw []byte) *RejectError {
	if t.sum.algorithm != NoChecksum {
		at, want := t.sumAt(raw), t.compute(raw)
		if got := t.sum.field.load(raw[at:]); got != uint64(want) {
			return &RejectError{
				Reason: ReasonChecksum, Offset: at + t.sum.field.offset,
				Got: got, Want: uint64(want), Skip: len(raw),
			}
		}
	}
	at := len(raw) - len(t.trailer)
	for i, want := range t.trailer {
		if got := raw[at+i]; got != want {
			return &RejectError{
				Reason: ReasonMalformed, Offset: at + i,
				Got: uint64(got), Want: uint64(want), Skip: len(raw),
			}
		}
	}
	return nil
}

// seal writes the checksum into a frame that is otherwise complete.
func (t *table) seal(raw []byte) {
	if t.sum.algorithm != NoChecksum {
		t.sum.field.store(raw[t.sumAt(raw):], uint64(t.compute(raw)))
	}
}

// sumAt is from where in the frame the checksum's offset counts.
func (t *table) sumAt(raw []byte) int {
	if t.sum.trailer {
		return len(raw) - t.tailLen
	}
	return 0
}

// compute is the checksum that a frame should have.
func (t *table) compute(raw []byte) uint32 {
	s := &t.sum
	sum := s.algorithm.start()
	for _, r := range s.covers {
		sum = s.algorithm.update(sum, raw[r.From:r.To])
	}
	if s.payloadFrom >= 0 {
		sum = s.algorithm.update(sum, raw[s.payloadFrom:len(raw)-t.tailLen])
	}
	return sum
}
