package wire

import "fmt"

// Codec turns values of one type into payloads and back. It is what a program
// and its peer agree on beside the command: [Fixed] for structs of numbers,
// [JSON] for maps and whatever else, [Binary] for types that marshal
// themselves, [Bytes], [String] and [Empty] for payloads that need no codec,
// [Func] for all others, protocol buffers among them.
//
// A codec keeps nothing between calls, so that any number of goroutines may use
// one at once.
type Codec[T any] interface {
	// MarshalAppend appends the payload that stands for v to dst, and returns
	// the longer slice. It keeps neither. On an error dst comes back as it was.
	MarshalAppend(dst []byte, v T) ([]byte, error)

	// Unmarshal makes *v what payload stands for. All of payload is that
	// value: one that is cut short, or that has bytes behind its end, is an
	// error, after which *v is not to be used.
	//
	// Nothing of *v's earlier value is left, but its memory may be: a codec
	// that says so writes into the slices that *v has. Nothing of payload is
	// kept either, so it may be a [Frame]'s Payload, in a buffer that is read
	// into again.
	Unmarshal(payload []byte, v *T) error
}

// Func makes a codec of two functions that keep the contract of [Codec]'s two
// methods: hand-written ones, or those of a library that this module does not
// import. For protocol buffers they are
//
//	func(dst []byte, m *pb.Order) ([]byte, error) {
//		return proto.MarshalOptions{}.MarshalAppend(dst, m)
//	}
//	func(payload []byte, m **pb.Order) error {
//		*m = new(pb.Order)
//		return proto.Unmarshal(payload, *m)
//	}
//
// and docs/sdk.md has them for messages of any type.
func Func[T any](
	marshalAppend func(dst []byte, v T) ([]byte, error),
	unmarshal func(payload []byte, v *T) error,
) Codec[T] {
	return funcCodec[T]{marshalAppend, unmarshal}
}

type funcCodec[T any] struct {
	marshalAppend func([]byte, T) ([]byte, error)
	unmarshal     func([]byte, *T) error
}

func (c funcCodec[T]) MarshalAppend(dst []byte, v T) ([]byte, error) {
	b, err := c.marshalAppend(dst, v)
	if err != nil {
		return dst, err // whatever it returned: an encoder may fail half way
	}
	return b, nil
}

func (c funcCodec[T]) Unmarshal(payload []byte, v *T) error { return c.unmarshal(payload, v) }

// PayloadSizeError is a payload that is not as long as its type is, in bytes.
type PayloadSizeError struct {
	Got, Want int
}

func (e *PayloadSizeError) Error() string {
	return fmt.Sprintf("payload of %d bytes, want %d", e.Got, e.Want)
}
