package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Reading is what the examples' sensor says of itself. It has no strings and no slices, so it is six bytes on the wire.
type Reading struct {
	Sensor uint16
	Value  float32
}

var readings = wire.MustFixed[Reading](wire.BigEndian)

// Ask with one type, and be answered with another. The peer of the examples answers with the payload of the request, so both
// are the same here.
func ExampleCall() {
	gateway := startPeer()
	defer gateway.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, gateway.addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	r, err := client.Call(ctx, c, 0x20, Reading{Sensor: 42, Value: 21.5}, readings, readings)
	fmt.Printf("%+v %v\n", r, err)

	object := wire.JSON[map[string]any]{}
	m, err := client.Call(ctx, c, 0x21, map[string]any{"sensor": 42}, object, object)
	fmt.Println(m, err)
	// Output:
	// {Sensor:42 Value:21.5} <nil>
	// map[sensor:42] <nil>
}

// An answer that is not what was expected is there to look at.
func ExampleAnswerError() {
	gateway := startPeer()
	defer gateway.stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, gateway.addr, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	_, err = client.Call(ctx, c, 0x20, "read 42", wire.String{}, readings)
	var answered *client.AnswerError
	if errors.As(err, &answered) {
		fmt.Printf("%q: %v\n", answered.Answer.Payload, answered.Err)
	}
	// Output: "read 42": payload of 7 bytes, want 6
}
