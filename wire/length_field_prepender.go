package wire

import (
	"fmt"
	"math"
	"slices"
)

// LengthFieldPrepender is Netty's encoder of that name, the other side of a
// [LengthFieldBasedFrameDecoder]: it writes the length of a message before it.
// It has no state, and is safe for use by any number of goroutines.
type LengthFieldPrepender struct {
	length field
	toAdd  int32
}

// NewLengthFieldPrepender takes the parameters of Netty's constructor, in their
// order. lengthFieldLength is 1, 2, 3, 4 or 8 bytes. The number written is the
// length of the message and lengthAdjustment, and lengthFieldLength as well
// with lengthIncludesLengthFieldLength.
func NewLengthFieldPrepender(
	byteOrder ByteOrder, lengthFieldLength, lengthAdjustment int, lengthIncludesLengthFieldLength bool,
) (*LengthFieldPrepender, error) {
	if err := checkLengthFieldLength(lengthFieldLength); err != nil {
		return nil, err
	}
	if lengthAdjustment != int(int32(lengthAdjustment)) {
		return nil, fmt.Errorf("lengthAdjustment: %d (expected: a number of 32 bits)", lengthAdjustment)
	}
	p := &LengthFieldPrepender{
		length: newField(Field{Size: lengthFieldLength}, byteOrder),
		toAdd:  int32(lengthAdjustment),
	}
	if lengthIncludesLengthFieldLength {
		p.toAdd += int32(lengthFieldLength)
	}
	return p, nil
}

// Append appends the length field and the message. A length that is negative or
// does not fit the field is a [*LengthError], and dst comes back as it was.
func (p *LengthFieldPrepender) Append(dst, msg []byte) ([]byte, error) {
	if len(msg) > math.MaxInt32 {
		return dst, &LengthError{Length: int64(len(msg)), LengthFieldLength: p.length.size}
	}
	length := int64(int32(len(msg)) + p.toAdd) // Netty's sum of two ints
	if length < 0 || !p.length.fits(uint64(length)) {
		return dst, &LengthError{Length: length, LengthFieldLength: p.length.size}
	}
	start := len(dst)
	dst = slices.Grow(dst, p.length.size+len(msg))[:start+p.length.size]
	p.length.store(dst[start:], uint64(length))
	return append(dst, msg...), nil
}

// LengthError is a length that a [LengthFieldPrepender] cannot write, with
// Netty's text.
type LengthError struct {
	Length            int64
	LengthFieldLength int // bytes
}

func (e *LengthError) Error() string {
	if e.Length < 0 {
		return fmt.Sprintf("length: %d (expected: >= 0)", e.Length)
	}
	name := map[int]string{1: "byte", 2: "short integer", 3: "medium integer"}[e.LengthFieldLength]
	if name == "" {
		name = "integer"
	}
	return fmt.Sprintf("length does not fit into a %s: %d", name, e.Length)
}
