package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// A device publishes, receives, and comes back whenever it is cut off. It notes all that in its ledger.
type device interface {
	// run keeps the device connected until ctx ends.
	run(ctx context.Context)
	// publish hands a message over. What it promises is in the ledger when it is kept.
	publish(qos uint8)
	// leave ends the connection, and has the device come back at once: where its dialer then leads. With a takeover the old connection is not closed before, as it is
	// where a network has changed and nobody has told the gateway.
	leave(takeover bool)
	book() *ledger
	status() status
}

// A status is where a device is.
type status struct {
	connected bool
	hellos    int   // that were answered with WELCOME
	err       error // why the last connection ended
}

// A dialer connects to a gateway: to which, is its own affair.
type dialer func(context.Context) (net.Conn, error)

// clientID names a device to the gateway; deviceOf is its inverse.
func clientID(device uint32) string { return fmt.Sprintf("device-%06d", device) }

func deviceOf(id []byte) (uint32, error) {
	digits, ok := strings.CutPrefix(string(id), "device-")
	n, err := strconv.ParseUint(digits, 10, 32)
	if !ok || err != nil {
		return 0, fmt.Errorf("client id %q is none of ours", id)
	}
	return uint32(n), nil
}
