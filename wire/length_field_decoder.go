package wire

import (
	"fmt"
	"math"
)

// LengthFieldBasedFrameDecoder is Netty's decoder of that name: for the same
// parameters it gives the same frames and the same errors, whatever the pieces
// in which the stream comes. It is for peers that have to agree with a Netty
// pipeline to the last byte, with what that does after an error as well. A
// [Decoder] is faster, knows magic and checksum, and has no state.
//
// It is not safe for use by several goroutines at once.
type LengthFieldBasedFrameDecoder struct {
	maxFrameLength       int64
	length               field
	lengthFieldEndOffset int64
	toAdd                int64 // to the length field's number, to make it the frame's length
	initialBytesToStrip  int64
	failFast             bool

	discardingTooLongFrame bool
	tooLongFrameLength     int64
	bytesToDiscard         int64
}

// NewLengthFieldBasedFrameDecoder takes the parameters of Netty's constructor,
// in their order, and refuses what it refuses: a maxFrameLength below 1 or too
// small for the length field, a negative lengthFieldOffset or
// initialBytesToStrip. A lengthFieldLength other than 1, 2, 3, 4 or 8, on which
// Netty fails with the first frame, is refused here.
//
// A frame that is longer than maxFrameLength bytes is discarded. With failFast
// this is an error as soon as its length is known, else when all of it has come.
func NewLengthFieldBasedFrameDecoder(
	byteOrder ByteOrder, maxFrameLength, lengthFieldOffset, lengthFieldLength, lengthAdjustment, initialBytesToStrip int, failFast bool,
) (*LengthFieldBasedFrameDecoder, error) {
	for _, p := range []struct {
		name         string
		value, least int
	}{
		{"maxFrameLength", maxFrameLength, 1},
		{"lengthFieldOffset", lengthFieldOffset, 0},
		{"initialBytesToStrip", initialBytesToStrip, 0},
		{"lengthAdjustment", lengthAdjustment, math.MinInt32},
	} {
		switch {
		case p.value > math.MaxInt32 || p.value < math.MinInt32:
			return nil, fmt.Errorf("%s: %d (expected: a number of 32 bits)", p.name, p.value)
		case p.value < p.least && p.least == 1:
			return nil, fmt.Errorf("%s: %d (expected: > 0)", p.name, p.value)
		case p.value < p.least:
			return nil, fmt.Errorf("%s: %d (expected: >= 0)", p.name, p.value)
		}
	}
	if err := checkLengthFieldLength(lengthFieldLength); err != nil {
		return nil, err
	}
	if lengthFieldOffset > maxFrameLength-lengthFieldLength {
		//lint:ignore ST1005 the text is Netty's
		return nil, fmt.Errorf("maxFrameLength (%d) must be equal to or greater than lengthFieldOffset (%d) + lengthFieldLength (%d).",
			maxFrameLength, lengthFieldOffset, lengthFieldLength)
	}
	return &LengthFieldBasedFrameDecoder{
		maxFrameLength:       int64(maxFrameLength),
		length:               newField(Field{Offset: lengthFieldOffset, Size: lengthFieldLength}, byteOrder),
		lengthFieldEndOffset: int64(lengthFieldOffset + lengthFieldLength),
		toAdd:                int64(int32(lengthAdjustment) + int32(lengthFieldOffset+lengthFieldLength)), // Netty's sum of two ints
		initialBytesToStrip:  int64(initialBytesToStrip),
		failFast:             failFast,
	}, nil
}

func checkLengthFieldLength(n int) error {
	switch n {
	case 1, 2, 3, 4, 8:
		return nil
	}
	return fmt.Errorf("lengthFieldLength must be either 1, 2, 3, 4, or 8: %d", n)
}

// Decode is one call of Netty's decode on the bytes that have come and are not
// yet used. n is how many of them are used up now. The caller calls again with
// the rest; if n is 0 without an error, not before more has come behind it.
//
// frame is a sub-slice of in, valid as long as that one is; nil: none yet, even
// if n is not 0 because bytes were discarded. It may be empty. The error is a
// [*TooLongFrameError] or a [*CorruptedFrameError], and the stream goes on
// behind it.
func (d *LengthFieldBasedFrameDecoder) Decode(in []byte) (frame []byte, n int, err error) {
	if d.discardingTooLongFrame {
		n = int(min(d.bytesToDiscard, int64(len(in))))
		in = in[n:]
		d.bytesToDiscard -= int64(n)
		if err := d.failIfNecessary(false); err != nil {
			return nil, n, err
		}
	}
	if int64(len(in)) < d.lengthFieldEndOffset {
		return nil, n, nil
	}
	length := int64(d.length.load(in))
	if length < 0 {
		return nil, n + int(d.lengthFieldEndOffset), &CorruptedFrameError{
			text: fmt.Sprintf("negative pre-adjustment length field: %d", length),
		}
	}
	length += d.toAdd
	if length < d.lengthFieldEndOffset {
		return nil, n + int(d.lengthFieldEndOffset), &CorruptedFrameError{
			text: fmt.Sprintf("Adjusted frame length (%d) is less than lengthFieldEndOffset: %d", length, d.lengthFieldEndOffset),
		}
	}
	if length > d.maxFrameLength {
		skipped, err := d.exceededFrameLength(len(in), length)
		return nil, n + skipped, err
	}
	if int64(len(in)) < length {
		return nil, n, nil
	}
	if d.initialBytesToStrip > length {
		return nil, n + int(length), &CorruptedFrameError{
			text: fmt.Sprintf("Adjusted frame length (%d) is less than initialBytesToStrip: %d", length, d.initialBytesToStrip),
		}
	}
	return in[d.initialBytesToStrip:length:length], n + int(length), nil
}

// exceededFrameLength discards what has come of a frame that is too long, and
// remembers how much of it is still to come.
func (d *LengthFieldBasedFrameDecoder) exceededFrameLength(readable int, length int64) (skipped int, err error) {
	d.tooLongFrameLength = length
	if discard := length - int64(readable); discard < 0 {
		skipped = int(length)
	} else {
		d.discardingTooLongFrame = true
		d.bytesToDiscard = discard
		skipped = readable
	}
	return skipped, d.failIfNecessary(true)
}

func (d *LengthFieldBasedFrameDecoder) failIfNecessary(firstDetection bool) error {
	length := d.tooLongFrameLength
	done := d.bytesToDiscard == 0
	if done {
		d.tooLongFrameLength = 0
		d.discardingTooLongFrame = false
	}
	if d.failFast && firstDetection || !d.failFast && done {
		return &TooLongFrameError{FrameLength: length, MaxFrameLength: d.maxFrameLength}
	}
	return nil
}

// TooLongFrameError is Netty's TooLongFrameException, with its text.
type TooLongFrameError struct {
	FrameLength    int64 // bytes
	MaxFrameLength int64
}

func (e *TooLongFrameError) Error() string {
	return fmt.Sprintf("Adjusted frame length exceeds %d: %d - discarded", e.MaxFrameLength, e.FrameLength)
}

// CorruptedFrameError is Netty's CorruptedFrameException, with its text: a
// length field that no frame can have.
type CorruptedFrameError struct{ text string }

func (e *CorruptedFrameError) Error() string { return e.text }
