package e2e

import (
	"fmt"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/store/sqlite/sqlitetest"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestDiskFull: while the disk is full, a HELLO is refused, and a message waits without an acknowledgement; when there is room, all goes on, and what was acknowledged arrives.
func TestDiskFull(t *testing.T) {
	disk := sqlitetest.Small(t, "16m")
	k := newKeeper(t)
	c := start(t, config(sessionsTo), places{"backend": k.addr, "dir": disk.Dir})
	k.stop()
	d := dial(t, c.addr("gateway"))
	w, err := d.hello("meter-1", nil)
	check(t, err)
	check(t, d.publish(1, 2, false, "kept"))
	works := func(store string, want float64) {
		t.Helper()
		eventually(t, fmt.Sprintf("store_up of %s is %v", store, want), func() bool { return c.metric("store_up", "devices", "store", store) == want })
	}

	disk.Fill()
	large := string(make([]byte, 50_000))
	b, err := wire.AppendExt(nil, wire.CmdApp, &wire.Ext{QoS: 1, ID: 2, Payload: []byte(large)})
	check(t, err)
	check(t, d.send(b))
	works("queue", 0)
	check(t, d.ping("the next frame is this one's PONG, and no PUBACK"))
	stranger := dial(t, c.addr("gateway"))
	hello, err := wire.AppendHello(nil, &wire.Hello{Capabilities: wire.CapQoS, ClientID: []byte("meter-2")})
	check(t, err)
	check(t, stranger.send(hello))
	check(t, stranger.isError(wire.ErrorStore))
	works("sessions", 0)
	c.closedFor(t, "store", 1)
	if n := c.metric("session_hellos_total", "devices", "outcome", "store"); n != 1 {
		t.Errorf("%v HELLOs were refused for the store's sake", n)
	}
	eventually(t, "the log says why", func() bool { return c.log.contains("the disk is full") })
	d.cut(t)

	k.start(t)
	disk.Free()
	d = dial(t, c.addr("gateway"))
	w, err = d.hello("meter-1", w.Token)
	check(t, err)
	if !w.Resumed || w.LastID == 0 {
		t.Errorf("WELCOME says %+v", w)
	}
	check(t, d.publish(2, 1, true, large))
	k.has(t, "kept", large)
	works("queue", 1)
	works("sessions", 1)
}
