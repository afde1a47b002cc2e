package wire

// Bytes is the codec of payloads as they are. Unmarshal copies, into the array
// that *v has where there is room: a nil *v gets memory of its own.
type Bytes struct{}

// MarshalAppend appends v.
func (Bytes) MarshalAppend(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }

// Unmarshal copies payload over *v. It never fails.
func (Bytes) Unmarshal(payload []byte, v *[]byte) error {
	*v = append((*v)[:0], payload...)
	return nil
}

// String is the codec of payloads that are text. It does not look at the text,
// which need not be UTF-8.
type String struct{}

// MarshalAppend appends the bytes of v.
func (String) MarshalAppend(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }

// Unmarshal makes *v the bytes of payload. It never fails.
func (String) Unmarshal(payload []byte, v *string) error {
	*v = string(payload)
	return nil
}

// Empty is the codec of payloads of no bytes: for requests whose command says
// it all, and answers that only say that it was done.
type Empty struct{}

// MarshalAppend appends nothing.
func (Empty) MarshalAppend(dst []byte, _ struct{}) ([]byte, error) { return dst, nil }

// Unmarshal refuses any payload but the empty one with a [*PayloadSizeError].
func (Empty) Unmarshal(payload []byte, _ *struct{}) error {
	if len(payload) != 0 {
		return &PayloadSizeError{Got: len(payload)}
	}
	return nil
}
