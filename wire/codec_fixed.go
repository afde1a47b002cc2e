package wire

import (
	"fmt"
	"reflect"
	"slices"
	"unsafe"
)

// Fixed is the codec of a type that always takes the same number of bytes: a
// number, a bool, an array of such, or a struct of such, as deep as it likes.
// The fields follow each other in their order and without padding, as in
// [encoding/binary], whose bytes these are. [NewFixed] makes one.
//
// What Go puts between fields to align them is not sent, and a C peer's
// padding is not guessed: where the peer has some, the struct says so by a
// field named _, which is sent as zeros and passed over when it comes.
//
// The type is looked at once, by NewFixed. Marshalling a value and
// unmarshalling it then use no reflection and allocate nothing, but for a dst
// without room.
type Fixed[T any] struct {
	layout fixedLayout
}

// NewFixed makes the codec of T with all numbers in one byte order; GOPR's own
// is [BigEndian].
//
// The error names the field that cannot be: a string, slice, map, pointer or
// the like, whose size varies; an int, uint or uintptr, whose size depends on
// the machine; an unexported field, which is not this package's to set.
func NewFixed[T any](order ByteOrder) (*Fixed[T], error) {
	if order > LittleEndian {
		return nil, fmt.Errorf("byte order %d: want BigEndian or LittleEndian", order)
	}
	layout, err := layFixed(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	layout.little = order == LittleEndian
	return &Fixed[T]{layout}, nil
}

// MustFixed is [NewFixed] that panics instead of returning an error, for
// variables of a package: T is known when the program is written.
func MustFixed[T any](order ByteOrder) *Fixed[T] {
	c, err := NewFixed[T](order)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return c
}

// Size is the length of every payload, in bytes.
func (c *Fixed[T]) Size() int { return c.layout.size }

// MarshalAppend appends the [Fixed.Size] bytes of v. It never fails.
func (c *Fixed[T]) MarshalAppend(dst []byte, v T) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, c.layout.size)[:start+c.layout.size]
	c.layout.store(dst[start:], unsafe.Pointer(&v))
	return dst, nil
}

// Unmarshal reads a payload of exactly [Fixed.Size] bytes; any other is a
// [*PayloadSizeError], and leaves *v alone. A bool is true for any byte but 0.
func (c *Fixed[T]) Unmarshal(payload []byte, v *T) error {
	if len(payload) != c.layout.size {
		return &PayloadSizeError{Got: len(payload), Want: c.layout.size}
	}
	c.layout.load(payload, unsafe.Pointer(v))
	return nil
}
