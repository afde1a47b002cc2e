package wire_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Reading is what a sensor sends: 20 bytes, two of them padding.
type Reading struct {
	Sensor uint32
	At     int64 // Unix milliseconds
	Value  float32
	Status uint16
	_      [2]byte
}

// The layout is made once, and the compiler's own padding is not in it.
var readings = wire.MustFixed[Reading](wire.BigEndian)

func ExampleFixed() {
	payload, err := readings.MarshalAppend(nil, Reading{Sensor: 42, At: 1000, Value: 21.5, Status: 1})
	fmt.Printf("%d bytes: %x %v\n", readings.Size(), payload, err)

	var r Reading
	fmt.Println(readings.Unmarshal(payload, &r), r.Sensor, r.Value)
	fmt.Println(readings.Unmarshal(payload[1:], &r))
	// Output:
	// 20 bytes: 0000002a00000000000003e841ac000000010000 <nil>
	// <nil> 42 21.5
	// payload of 19 bytes, want 20
}

// What has no fixed size is refused when the codec is made, by the name of the field.
func ExampleNewFixed() {
	type alarm struct {
		At   int64
		Text string
	}
	_, err := wire.NewFixed[alarm](wire.LittleEndian)
	fmt.Println(err)
	// Output:
	// wire_test.alarm has no fixed layout: field Text is of type string, whose size varies
}

// An old peer's object, of whose fields not much is known.
func ExampleJSON() {
	peer := wire.JSON[map[string]any]{UseNumber: true}

	var v map[string]any
	if err := peer.Unmarshal([]byte(`{"id": 9007199254740993, "state": "up"}`), &v); err != nil {
		fmt.Println(err)
		return
	}
	v["seen"] = true
	payload, err := peer.MarshalAppend(nil, v)
	fmt.Printf("%s %v\n", payload, err)
	// Output:
	// {"id":9007199254740993,"seen":true,"state":"up"} <nil>
}

func ExampleBinary() {
	addrs := wire.Binary[netip.AddrPort]()
	payload, err := addrs.MarshalAppend(nil, netip.MustParseAddrPort("192.0.2.1:7450"))
	fmt.Printf("%x %v\n", payload, err)
	// Output:
	// c00002011a1d <nil>
}

// An id and a name behind it: not of fixed size, so by hand.
func ExampleFunc() {
	type device struct {
		ID   uint32
		Name string
	}
	devices := wire.Func(
		func(dst []byte, d device) ([]byte, error) {
			dst = binary.BigEndian.AppendUint32(dst, d.ID)
			return append(dst, d.Name...), nil
		},
		func(payload []byte, d *device) error {
			if len(payload) < 4 {
				return errors.New("no id")
			}
			*d = device{ID: binary.BigEndian.Uint32(payload), Name: string(payload[4:])}
			return nil
		},
	)
	payload, err := devices.MarshalAppend(nil, device{7, "pump"})
	fmt.Printf("%x %v\n", payload, err)

	var d device
	fmt.Println(devices.Unmarshal(payload, &d), d)
	fmt.Println(devices.Unmarshal(payload[:3], &d))
	// Output:
	// 0000000770756d70 <nil>
	// <nil> {7 pump}
	// no id
}
