package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sessionsTo is a handler with sessions that outlive it.
const sessionsTo = `
		${gateway} {
			route {
				gopr devices {
					upstream ${backend} {
						connections 0
					}
					sessions {
						store sqlite ${dir}/gopr.db
					}
					queue {
						store sqlite ${dir}/gopr.db
					}
				}
			}
		}
`

// sessionsOverTLS is the same behind TLS.
var sessionsOverTLS = strings.Replace(sessionsTo, "gopr devices", `tls {
					connection_policy {
						default_sni localhost
					}
				}
				gopr devices`, 1)

// TestSession: HELLO, messages both ways at QoS 1 and 2, an absence, resume, BYE; on an event loop, on goroutines and over TLS.
func TestSession(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, at places) (dial func() *device)
	}{
		{"on an event loop", func(t *testing.T, at places) func() *device {
			c := start(t, config(sessionsTo), at)
			return func() *device { return dial(t, c.addr("gateway")) }
		}},
		{"on goroutines", func(t *testing.T, at places) func() *device {
			t.Setenv("CADDY_GOPR_EVENT_LOOP", "off")
			c := start(t, config(sessionsTo), at)
			return func() *device { return dial(t, c.addr("gateway")) }
		}},
		{"over TLS", func(t *testing.T, at places) func() *device {
			c := start(t, configTLS(sessionsOverTLS), at)
			return func() *device { return c.dialTLS(c.addr("gateway")) }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKeeper(t)
			dial := tt.setup(t, places{"backend": k.addr, "dir": t.TempDir()})
			d := dial()
			w, err := d.hello("meter-1", nil)
			check(t, err)
			if w.Resumed || len(w.Token) != 16 || w.Window != 64 || w.Idle != 45*time.Second {
				t.Errorf("WELCOME says %+v", w)
			}
			check(t, d.publish(1, 1, false, "one"))
			check(t, d.publish(2, 2, false, "two"))
			check(t, d.ping("between"))
			k.has(t, "one", "two")

			k.says(t, "down one")
			e, err := d.message("down one")
			check(t, err)
			if e.QoS != 1 || e.ID != 1 || e.Dup {
				t.Errorf("it came as %+v", e)
			}
			check(t, d.send(wire.AppendAck(nil, wire.CmdPubAck, 1)))
			check(t, d.ping("it is acknowledged")) // and not in a buffer that the reset throws away
			k.says(t, "down two")
			_, err = d.message("down two")
			check(t, err)
			d.cut(t) // without having acknowledged it
			k.says(t, "down three")

			d = dial()
			w2, err := d.hello("meter-1", w.Token)
			check(t, err)
			if !w2.Resumed || w2.LastID != 2 {
				t.Errorf("the second WELCOME says %+v", w2)
			}
			if e, err = d.message("down two"); err != nil || e.ID != 2 || !e.Dup {
				t.Errorf("it came again as %+v (%v)", e, err)
			}
			if e, err = d.message("down three"); err != nil || e.ID != 3 {
				t.Errorf("what had waited came as %+v (%v)", e, err)
			}
			check(t, d.send(wire.AppendAck(wire.AppendAck(nil, wire.CmdPubAck, 2), wire.CmdPubAck, 3)))
			check(t, d.publish(2, 2, true, "two"))
			check(t, d.publish(3, 1, false, "three"))
			k.has(t, "one", "two", "three")
			if n := k.linked(); n != 1 {
				t.Errorf("the backend has had %d links, want one that was parked", n)
			}

			check(t, d.send(wire.AppendFrame(nil, wire.CmdBye, 0, nil)))
			check(t, d.ended())
			d = dial()
			w, err = d.hello("meter-1", w2.Token)
			check(t, err)
			if w.Resumed || w.LastID != 0 {
				t.Errorf("after BYE, WELCOME says %+v", w)
			}
		})
	}
}

// cut closes the connection with a reset, over TLS too.
func (d *device) cut(t testing.TB) {
	t.Helper()
	if tcp, ok := d.Conn.(interface{ SetLinger(int) error }); ok {
		check(t, tcp.SetLinger(0))
	}
	_ = d.Close()
}

// TestSessionTakeover: who comes with the token while the old connection is there has the session; the old one is told so, and closed.
func TestSessionTakeover(t *testing.T) {
	k := newKeeper(t)
	c := start(t, config(sessionsTo), places{"backend": k.addr, "dir": t.TempDir()})
	old := dial(t, c.addr("gateway"))
	w, err := old.hello("meter-1", nil)
	check(t, err)
	d := dial(t, c.addr("gateway"))
	if w, err = d.hello("meter-1", w.Token); err != nil || !w.Resumed {
		t.Fatalf("WELCOME says %+v (%v)", w, err)
	}
	_, err = old.goAway(wire.GoAwayTakenOver)
	check(t, err)
	check(t, d.publish(1, 1, false, "still here"))
	k.has(t, "still here")
	c.closedFor(t, "taken_over", 1)
}

// closedFor waits until so many connections have ended for the reason.
func (c *caddy) closedFor(t testing.TB, reason string, n float64) {
	t.Helper()
	eventually(t, reason, func() bool { return c.metric("connections_closed_total", "devices", "reason", reason) == n })
}

// TestSessionDrain: each client is told when to come back before it is closed, and finds its session there, and what it was told is safe, after a restart.
func TestSessionDrain(t *testing.T) {
	const clients = 20
	k := newKeeper(t)
	at := places{"backend": k.addr, "dir": t.TempDir()}
	c := start(t, withDrain("0", "500ms", sessionsTo), at)
	k.stop()
	var devices []*device
	var tokens [][]byte
	for i := range clients {
		d := dial(t, c.addr("gateway"))
		w, err := d.hello(string(rune('a'+i)), nil)
		check(t, err)
		check(t, d.publish(1, 1, false, "kept"))
		devices, tokens = append(devices, d), append(tokens, w.Token)
	}
	check(t, c.cmd.Process.Signal(syscall.SIGTERM))
	delays := make(map[time.Duration]bool)
	for _, d := range devices {
		g, err := d.goAway(wire.GoAwayDrain)
		check(t, err)
		delays[g.After] = true
	}
	if len(delays) < clients/2 {
		t.Errorf("%d clients were told only %d delays", clients, len(delays))
	}
	<-c.exited
	check(t, c.err)

	k.start(t)
	c = start(t, config(sessionsTo), at)
	for i, token := range tokens {
		w, err := dial(t, c.addr("gateway")).hello(string(rune('a'+i)), token)
		if err != nil || !w.Resumed || w.LastID != 1 {
			t.Fatalf("WELCOME says %+v (%v)", w, err)
		}
	}
	eventually(t, "the backend has all", func() bool { return len(k.all()) == clients })
}

// all returns what it has got.
func (k *keeper) all() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.got...)
}

// TestSessionReload: other backends and another capacity reach a session that lives, and another store does not.
func TestSessionReload(t *testing.T) {
	a, b := newKeeper(t), newKeeper(t)
	at := places{"backend": a.addr, "other": b.addr, "dir": t.TempDir()}
	c := start(t, config(sessionsTo), at)
	d := dial(t, c.addr("gateway"))
	_, err := d.hello("meter-1", nil)
	check(t, err)
	check(t, d.publish(1, 2, false, "to a"))
	a.has(t, "to a")

	moved := strings.Replace(sessionsTo, "${backend}", "${other}", 1)
	moved = strings.Replace(moved, "store sqlite ${dir}/gopr.db\n\t\t\t\t\t}\n\t\t\t\t}", "store sqlite ${dir}/gopr.db\n\t\t\t\t\t\tcapacity 1\n\t\t\t\t\t}\n\t\t\t\t}", 1)
	check(t, c.load(config(moved)))
	eventually(t, "the session's link is to the other backend", func() bool { return b.linked() == 1 })
	check(t, d.publish(2, 2, false, "to b"))
	b.has(t, "to b")
	b.says(t, "from b")
	_, err = d.message("from b")
	check(t, err)

	check(t, c.load(config(strings.ReplaceAll(moved, "gopr.db", "other.db"))))
	check(t, d.publish(3, 2, false, "still to b"))
	b.has(t, "to b", "still to b")
	d2 := dial(t, c.addr("gateway"))
	if w, err := d2.hello("meter-1", nil); err != nil || w.LastID != 0 {
		t.Errorf("in the other store, WELCOME says %+v (%v)", w, err)
	}
	check(t, d.ping("and the old one is still there"))
}

// TestSessionsOnly: where HELLO is required, nobody is served without; and who is not let in too often, is not asked any more.
func TestSessionsOnly(t *testing.T) {
	k := newKeeper(t)
	c := start(t, config(strings.Replace(sessionsTo, "sessions {", "sessions {\nrequire hello", 1)), places{"backend": k.addr, "dir": t.TempDir()})
	d := dial(t, c.addr("gateway"))
	check(t, d.send(request([]byte("plain"))))
	check(t, d.isError(wire.ErrorProtocol))
	c.closedFor(t, "no_hello", 1)
	d = dial(t, c.addr("gateway"))
	_, err := d.hello("meter-1", nil)
	check(t, err)
	_, err = d.hello("meter-1", nil)
	if err == nil {
		t.Error("a second HELLO is answered")
	}
	c.closedFor(t, "late_hello", 1)
	if n := k.linked(); n > 1 {
		t.Errorf("the backend has had %d links", n)
	}
}
