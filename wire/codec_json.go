package wire

import (
	"bytes"
	"encoding/json"
)

// JSON is the codec of payloads that are one JSON value, by the rules of
// encoding/json. The zero value is ready: JSON[map[string]any]{} takes any
// object, for peers whose fields are not known or not agreed on.
//
// Fields that T lacks are passed over, since the peer may be newer than this
// program.
type JSON[T any] struct {
	// UseNumber keeps a number whose type T leaves open, as in map[string]any,
	// as a [json.Number], which has all its digits. Otherwise it becomes a
	// float64, which is exact for integers up to 2^53: too few for ids of 64
	// bits.
	UseNumber bool
}

// MarshalAppend appends v as JSON without white space. Keys of maps are in
// order, so equal values are equal payloads. The characters <, > and &, which
// [json.Marshal] escapes for HTML's sake, stay what they are.
func (JSON[T]) MarshalAppend(dst []byte, v T) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// Unmarshal reads payload, which may have white space around the value, into a
// *v that is first set to zero: unlike [json.Unmarshal] it merges nothing, so
// that no field of an earlier answer is taken for one of this.
func (c JSON[T]) Unmarshal(payload []byte, v *T) error {
	*v = *new(T)
	if !c.UseNumber {
		return json.Unmarshal(payload, v)
	}
	// A json.Decoder stops at the end of the first value, and calls an empty
	// payload an io.EOF: both are refused here.
	var whole json.RawMessage
	if err := json.Unmarshal(payload, &whole); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(whole))
	d.UseNumber()
	return d.Decode(v)
}
