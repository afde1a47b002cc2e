package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// codecRow is a value and the payload that stands for it, byte by byte.
type codecRow[T any] struct {
	name    string
	value   T
	payload string
}

// testCodec holds a codec to the contract of Codec: rows go both ways, dst is appended to and never written over, and
// payload may change afterwards. dirty is a value of which nothing may be left.
func testCodec[T any](t *testing.T, c Codec[T], dirty T, rows ...codecRow[T]) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, room := range []int{0, 1000} {
				dst := append(make([]byte, 0, 6+room), "before"...)
				got, err := c.MarshalAppend(dst, row.value)
				if err != nil || string(got) != "before"+row.payload {
					t.Errorf("MarshalAppend with room for %d: % X, %v, want % X", room, got[min(6, len(got)):], err, row.payload)
				}
			}
			if got, err := c.MarshalAppend(nil, row.value); err != nil || string(got) != row.payload {
				t.Errorf("MarshalAppend to nil: % X, %v, want % X", got, err, row.payload)
			}

			payload := []byte(row.payload)
			got := dirty
			if err := c.Unmarshal(payload, &got); err != nil {
				t.Fatalf("Unmarshal: %v", err)
			}
			for i := range payload {
				payload[i] ^= 0xFF
			}
			if !reflect.DeepEqual(got, row.value) {
				t.Errorf("Unmarshal: %+v, want %+v", got, row.value)
			}
		})
	}
}

// codecRefusal is a payload that no value has, and what the error says.
type codecRefusal struct{ name, payload, want string }

func testCodecRefuses[T any](t *testing.T, c Codec[T], refusals ...codecRefusal) {
	t.Helper()
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			var got T
			if err := c.Unmarshal([]byte(r.payload), &got); err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("Unmarshal: %+v, error %v, want one that says %q", got, err, r.want)
			}
		})
	}
}

// testCodecFails is a value that has no payload.
func testCodecFails[T any](t *testing.T, c Codec[T], v T, want string) {
	t.Helper()
	dst := append(make([]byte, 0, 100), "before"...)
	got, err := c.MarshalAppend(dst, v)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("MarshalAppend: error %v, want one that says %q", err, want)
	}
	if string(got) != "before" {
		t.Errorf("MarshalAppend returned %q with its error, want dst as it was", got)
	}
}

func TestBytes(t *testing.T) {
	testCodec(t, Codec[[]byte](Bytes{}), nil,
		codecRow[[]byte]{"nothing", nil, ""},
		codecRow[[]byte]{"a zero", []byte{0}, "\x00"},
		codecRow[[]byte]{"any bytes", []byte("\xFF\x00abc"), "\xFF\x00abc"},
	)
}

// Bytes writes into the array it is given, and not beyond its capacity.
func TestBytesInPlace(t *testing.T) {
	array := [8]byte{7, 7, 7, 7, 7, 7, 7, 7}
	v := array[:2:4]
	if err := (Bytes{}).Unmarshal([]byte("abc"), &v); err != nil {
		t.Fatal(err)
	}
	if &v[0] != &array[0] || string(v) != "abc" {
		t.Errorf("got %q elsewhere, want abc in the array", v)
	}
	if err := (Bytes{}).Unmarshal([]byte("defgh"), &v); err != nil {
		t.Fatal(err)
	}
	if want := [8]byte{'a', 'b', 'c', 7, 7, 7, 7, 7}; array != want || string(v) != "defgh" {
		t.Errorf("array is %v and value %q, want %v and defgh", array, v, want)
	}
}

func TestString(t *testing.T) {
	testCodec(t, Codec[string](String{}), "dirty",
		codecRow[string]{"nothing", "", ""},
		codecRow[string]{"text", "grüß", "gr\xC3\xBC\xC3\x9F"},
		codecRow[string]{"not UTF-8", "\xFF\x00", "\xFF\x00"},
	)
}

func TestEmpty(t *testing.T) {
	testCodec(t, Codec[struct{}](Empty{}), struct{}{}, codecRow[struct{}]{"nothing", struct{}{}, ""})
	testCodecRefuses(t, Codec[struct{}](Empty{}), codecRefusal{"a byte", "\x00", "payload of 1 bytes, want 0"})
}

// reading is what JSON and hand-written codecs are tested with.
type reading struct {
	Sensor string         `json:"sensor"`
	Value  float64        `json:"value,omitempty"`
	More   map[string]any `json:"more,omitempty"`
}

func TestJSON(t *testing.T) {
	testCodec(t, Codec[reading](JSON[reading]{}), reading{Sensor: "dirty", Value: 1, More: map[string]any{"dirty": true}},
		codecRow[reading]{"a struct", reading{Sensor: "roof", Value: 21.5}, `{"sensor":"roof","value":21.5}`},
		codecRow[reading]{"fields left out", reading{}, `{"sensor":""}`},
		codecRow[reading]{"no escapes for HTML", reading{Sensor: "<a&b>"}, `{"sensor":"<a&b>"}`},
		codecRow[reading]{"a line feed at the end of a string", reading{Sensor: "\n"}, `{"sensor":"\n"}`},
	)
	testCodec(t, Codec[map[string]any](JSON[map[string]any]{}), map[string]any{"dirty": 1.0},
		codecRow[map[string]any]{"an object", map[string]any{"z": 1.0, "a": []any{nil, true, "x"}}, `{"a":[null,true,"x"],"z":1}`},
		codecRow[map[string]any]{"an empty object", map[string]any{}, `{}`},
		codecRow[map[string]any]{"null", nil, `null`},
	)
	testCodec(t, Codec[map[string]any](JSON[map[string]any]{UseNumber: true}), map[string]any{"dirty": 1.0},
		codecRow[map[string]any]{"every digit", map[string]any{"id": json.Number("9007199254740993")}, `{"id":9007199254740993}`},
		codecRow[map[string]any]{"null", nil, `null`},
	)
	testCodec(t, Codec[*reading](JSON[*reading]{}), &reading{Value: 1},
		codecRow[*reading]{"a pointer", &reading{Sensor: "roof"}, `{"sensor":"roof"}`},
		codecRow[*reading]{"nil", nil, `null`},
	)
}

// What is in memory that the caller has seen before is not written over.
func TestJSONKeepsEarlierValue(t *testing.T) {
	v := map[string]any{"a": 1.0}
	earlier := v
	if err := (JSON[map[string]any]{}).Unmarshal([]byte(`{"b":2}`), &v); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(earlier, v) != "map[a:1] map[b:2]" {
		t.Errorf("earlier %v, now %v", earlier, v)
	}
}

func TestJSONAccepts(t *testing.T) {
	for _, payload := range []string{
		" \r\n\t{\"sensor\" : \"roof\"}\n",
		`{"sensor":"roof","newer":[1,2,3]}`,
		`{"SENSOR":"roof"}`,
	} {
		var got reading
		if err := (JSON[reading]{}).Unmarshal([]byte(payload), &got); err != nil || got.Sensor != "roof" {
			t.Errorf("%q: %+v, %v", payload, got, err)
		}
	}
}

func TestJSONRefuses(t *testing.T) {
	for _, number := range []bool{false, true} {
		testCodecRefuses(t, Codec[reading](JSON[reading]{UseNumber: number}),
			codecRefusal{"nothing", ``, "unexpected end of JSON input"},
			codecRefusal{"cut short", `{"sensor":"ro`, "unexpected end of JSON input"},
			codecRefusal{"bytes behind it", `{"sensor":"roof"}x`, "after top-level value"},
			codecRefusal{"two values", `{"sensor":"roof"} {}`, "after top-level value"},
			codecRefusal{"a NUL behind it", "{}\x00", "after top-level value"},
			codecRefusal{"another type", `{"sensor":1}`, "cannot unmarshal number"},
			codecRefusal{"no JSON", "\x00\x01", "invalid character"},
			codecRefusal{"too deep", strings.Repeat(`{"more":`, 30000), "exceeded max depth"},
		)
	}
	testCodecFails(t, Codec[any](JSON[any]{}), any(func() {}), "unsupported type")
	testCodecFails(t, Codec[any](JSON[any]{}), any([]any{1, func() {}}), "unsupported type")
}

// Types with AppendBinary, with MarshalBinary alone, and with methods of the pointer.
func TestBinary(t *testing.T) {
	testCodec(t, Binary[netip.AddrPort](), netip.AddrPortFrom(netip.IPv6Loopback(), 1),
		codecRow[netip.AddrPort]{"IPv4", netip.MustParseAddrPort("192.0.2.1:7450"), "\xC0\x00\x02\x01\x1A\x1D"},
		codecRow[netip.AddrPort]{"zero", netip.AddrPort{}, "\x00\x00"},
	)
	testCodecRefuses(t, Binary[netip.AddrPort](),
		codecRefusal{"cut short", "\xC0\x00\x02\x01\x1A", "unexpected slice size"},
		codecRefusal{"a byte more", "\xC0\x00\x02\x01\x1A\x1D\x00", "unexpected slice size"},
	)
	testCodec(t, Binary[time.Time](), time.Now(),
		codecRow[time.Time]{"UTC", time.Unix(0, 1).UTC(), "\x01\x00\x00\x00\x0E\x77\x91\xF7\x00\x00\x00\x00\x01\xFF\xFF"},
	)
	testCodecFails(t, Binary[time.Time](), time.Date(10, 1, 1, 0, 0, 0, 0, time.FixedZone("far", 60*40000)), "unexpected zone offset")

	testCodec(t, Binary[letter](), letter{'x'},
		codecRow[letter]{"MarshalBinary alone", letter{'a'}, "a"},
	)
	testCodecRefuses(t, Binary[letter](),
		codecRefusal{"cut short", "", errNoLetter.Error()},
		codecRefusal{"a byte more", "ab", errNoLetter.Error()},
	)
	testCodecFails(t, Binary[letter](), letter{'7'}, errNoLetter.Error())
	testCodecFails(t, Binary[halfway](), halfway{}, errNoLetter.Error())
}

// letter marshals itself by the older interface, and by its pointer's methods.
type letter struct{ b byte }

var errNoLetter = errors.New("not a letter")

func (l *letter) MarshalBinary() ([]byte, error) { return []byte{l.b}, l.check() }

func (l *letter) UnmarshalBinary(data []byte) error {
	if len(data) != 1 {
		return errNoLetter
	}
	l.b = data[0]
	return l.check()
}

func (l *letter) check() error {
	if l.b < 'a' || l.b > 'z' {
		return errNoLetter
	}
	return nil
}

// halfway fails when it has already appended.
type halfway struct{ letter }

func (halfway) AppendBinary(b []byte) ([]byte, error) { return append(b, "half"...), errNoLetter }

// AppendBinary is preferred where there is a choice, since it needs no copy.
func TestBinaryAppends(t *testing.T) {
	if _, ok := Binary[netip.AddrPort]().(binaryAppenderCodec[netip.AddrPort, *netip.AddrPort]); !ok {
		t.Errorf("%T for a type with AppendBinary", Binary[netip.AddrPort]())
	}
	if _, ok := Binary[letter]().(binaryCodec[letter, *letter]); !ok {
		t.Errorf("%T for a type without AppendBinary", Binary[letter]())
	}
}

func TestFunc(t *testing.T) {
	errShort := errors.New("shorter than it says")
	text := Func(
		func(dst []byte, v string) ([]byte, error) {
			dst = append(dst, byte(len(v)))
			if len(v) > 255 {
				return dst, errShort
			}
			return append(dst, v...), nil
		},
		func(payload []byte, v *string) error {
			if len(payload) == 0 || len(payload) != 1+int(payload[0]) {
				return errShort
			}
			*v = string(payload[1:])
			return nil
		},
	)
	testCodec(t, text, "dirty",
		codecRow[string]{"nothing", "", "\x00"},
		codecRow[string]{"text", "hi", "\x02hi"},
	)
	testCodecRefuses(t, text,
		codecRefusal{"nothing", "", errShort.Error()},
		codecRefusal{"cut short", "\x02h", errShort.Error()},
		codecRefusal{"a byte more", "\x02hi!", errShort.Error()},
	)
	testCodecFails(t, text, strings.Repeat("x", 256), errShort.Error())
}

// A message that is a pointer, as those of protocol buffers are.
func TestFuncOfPointers(t *testing.T) {
	number := Func(
		func(dst []byte, n *big.Int) ([]byte, error) { return append(dst, n.Bytes()...), nil },
		func(payload []byte, n **big.Int) error {
			*n = new(big.Int).SetBytes(payload)
			return nil
		},
	)
	earlier := big.NewInt(7)
	v := earlier
	payload, err := number.MarshalAppend(nil, big.NewInt(0x0102))
	if err != nil || !bytes.Equal(payload, []byte{1, 2}) {
		t.Fatalf("MarshalAppend: % X, %v", payload, err)
	}
	if err := number.Unmarshal(payload, &v); err != nil || v.Int64() != 0x0102 || earlier.Int64() != 7 {
		t.Errorf("Unmarshal: %v, %v, and the earlier value is %v", v, err, earlier)
	}
}
