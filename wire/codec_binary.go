package wire

import "encoding"

// BinaryPointer is a pointer to a T that marshals itself. Which of the methods
// are T's own and which its pointer's does not matter.
type BinaryPointer[T any] interface {
	*T
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// Binary is the codec of a type that has the methods MarshalBinary and
// UnmarshalBinary: Binary[netip.AddrPort](), or Binary[Order](), where the
// methods are those of *Order.
//
// A type that also has AppendBinary ([encoding.BinaryAppender]) marshals by
// that, without a copy in between. Whether a payload that is cut short or has
// bytes behind its end is refused is up to the type's UnmarshalBinary.
func Binary[T any, P BinaryPointer[T]]() Codec[T] {
	if _, ok := any(P(nil)).(encoding.BinaryAppender); ok {
		return binaryAppenderCodec[T, P]{}
	}
	return binaryCodec[T, P]{}
}

type binaryCodec[T any, P BinaryPointer[T]] struct{}

func (binaryCodec[T, P]) MarshalAppend(dst []byte, v T) ([]byte, error) {
	b, err := P(&v).MarshalBinary()
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

func (binaryCodec[T, P]) Unmarshal(payload []byte, v *T) error { return P(v).UnmarshalBinary(payload) }

type binaryAppenderCodec[T any, P BinaryPointer[T]] struct{ binaryCodec[T, P] }

func (binaryAppenderCodec[T, P]) MarshalAppend(dst []byte, v T) ([]byte, error) {
	b, err := any(P(&v)).(encoding.BinaryAppender).AppendBinary(dst)
	if err != nil {
		return dst, err // whatever it returned: it may have failed half way
	}
	return b, nil
}
