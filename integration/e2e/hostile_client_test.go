package e2e

import (
	"bytes"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// harsh are handlers with bounds so tight that a test need not wait for them. The bystander's has none but the defaults.
const harsh = `
		${bystander} {
			route {
				gopr bystander {
					upstream ${backend}
				}
			}
		}
		${strict} {
			route {
				gopr strict {
					commands 0x10-0x1F
					max_payload 2KB
					frame_timeout 200ms
					upstream ${backend}
				}
			}
		}
		${idle} {
			route {
				gopr idle {
					idle_timeout 1s
					upstream ${backend}
				}
			}
		}
		${echo} {
			route {
				gopr echo {
					write_timeout 300ms
					limits {
						pending 64KiB
					}
					respond echo
				}
			}
		}
		${upstream} {
			route {
				gopr upstream {
					write_timeout 300ms
					limits {
						pending 64KiB
					}
					upstream ${backend}
				}
			}
		}
		${few} {
			route {
				gopr few {
					limits {
						connections 2
					}
					upstream ${backend}
				}
			}
		}
`

// hold is a request that the backend never answers.
func hold(payload []byte) []byte { return wire.AppendFrame(nil, cmdHold, wire.FlagReq, payload) }

func startHarsh(t *testing.T) *caddy {
	t.Helper()
	b := newBackend(t, echoes)
	return start(t, config(harsh), places{"backend": b.addr})
}

// TestRejected: each kind of wrong frame ends its own connection, with its own reason, after what came before it was answered.
func TestRejected(t *testing.T) {
	c := startHarsh(t)
	bystand(t, c.addr("bystander"))
	neighbour := dial(t, c.addr("strict"))
	check(t, neighbour.ask("before"))
	defer c.bounded(32 << 20)()

	header := func(version, length uint16) []byte {
		return []byte{'G', 'O', 'P', 'R', byte(version >> 8), byte(version), byte(length >> 8), byte(length), 0x10, 0x01}
	}
	for _, tt := range []struct {
		name   string
		bytes  []byte
		reason string
	}{
		{"garbage", []byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), "magic"},
		{"zeros", make([]byte, 100_000), "magic"},
		{"a magic that goes wrong at its last byte", []byte("GOPS"), "magic"},
		{"a wrong version", header(2, 5), "version"},
		{"a length over the maximum", header(1, 2001), "length"},
		{"the greatest length", header(1, 65535), "length"},
		{"a command that is not allowed", wire.AppendFrame(nil, 0x20, wire.FlagReq, nil), "command"},
		{"half a header held open", header(1, 5)[:6], "frame_timeout"},
		{"one byte held open", []byte("G"), "frame_timeout"},
		{"half a payload held open", request([]byte("hello"))[:12], "frame_timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := c.metrics()
			closed := series("connections_closed_total", "strict", "reason", tt.reason)
			rejected := series("rejected_frames_total", "strict", "reason", tt.reason)

			d := dial(t, c.addr("strict"))
			check(t, d.ask("a good frame"))
			check(t, d.ping("another"))
			_ = d.send(tt.bytes) // which may fail when the gateway has seen enough of it
			check(t, d.ended())

			c.closed("strict", tt.reason, int(before[closed])+1)
			if n := c.metric("rejected_frames_total", "strict", "reason", tt.reason); tt.reason != "frame_timeout" && n != before[rejected]+1 {
				t.Errorf("%s is %v, want %v", rejected, n, before[rejected]+1)
			}
		})
	}
	check(t, neighbour.ask("after"))
}

// TestDripping: a frame that never completes is given up however steadily its bytes come.
func TestDripping(t *testing.T) {
	c := startHarsh(t)
	bystand(t, c.addr("bystander"))
	d := dial(t, c.addr("strict"))
	go func() {
		for _, b := range request(make([]byte, 2000)) {
			if d.send([]byte{b}) != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	check(t, d.ended())
	c.closed("strict", "frame_timeout", 1)
}

// TestClaims: a thousand connections that each announce a large frame and send its header alone cost what they have sent, not what they announce.
func TestClaims(t *testing.T) {
	c := startHarsh(t)
	stop := bystand(t, c.addr("bystander"))
	defer c.bounded(48 << 20)() // a thousand connections and links; the frames announced are 62 MiB
	for range 1000 {
		check(t, dial(t, c.addr("idle")).send(wire.AppendHeader(nil, wire.CmdApp, wire.FlagReq, wire.MaxPayload)))
	}
	c.closed("idle", "idle_timeout", 1000)
	stop()
}

// TestSilent: a thousand connections that say nothing are closed when their time is up, and nobody notices.
func TestSilent(t *testing.T) {
	c := startHarsh(t)
	stop := bystand(t, c.addr("bystander"))
	defer c.bounded(48 << 20)()
	devices := make([]*device, 1000)
	for i := range devices {
		devices[i] = dial(t, c.addr("idle"))
	}
	c.closed("idle", "idle_timeout", 1000)
	for _, d := range devices {
		check(t, d.ended())
	}
	if n := c.metric("connections", "idle"); n != 0 {
		t.Errorf("%v connections are live, want none", n)
	}
	stop()
}

// TestNeverReads: a client that asks and does not read is closed, and what waits for it is bounded.
func TestNeverReads(t *testing.T) {
	c := startHarsh(t)
	for _, handler := range []string{"echo", "upstream"} {
		t.Run(handler, func(t *testing.T) {
			stop := bystand(t, c.addr("bystander"))
			neighbour := dial(t, c.addr(handler))
			check(t, neighbour.ask("before"))
			defer c.bounded(48 << 20)()

			d := dial(t, c.addr(handler))
			check(t, d.Conn.(*net.TCPConn).SetReadBuffer(8<<10))
			requests := bytes.Repeat(request(make([]byte, 50_000)), 20)
			sent := 0
			for ; sent < 1<<30; sent += len(requests) { // it stops when the gateway stops reading, and fails when that closes
				if d.send(requests) != nil {
					break
				}
			}
			if sent >= 1<<30 {
				t.Error("the gateway took 1 GiB from a client that reads nothing")
			}
			c.closed(handler, "write_timeout", 1)
			t.Logf("the gateway took %d MiB", sent>>20)
			check(t, neighbour.ask("after"))
			stop()
		})
	}
}

// TestVanishes: clients that ask and are gone, whether they say so or not, are counted as that and leave nothing behind.
func TestVanishes(t *testing.T) {
	c := startHarsh(t)
	stop := bystand(t, c.addr("bystander"))
	const each = 50
	for range each {
		d := dial(t, c.addr("upstream"))
		check(t, d.ask("hello"))
		check(t, d.send(bytes.Repeat(request([]byte("unread")), 100)))
		d.vanish(t)

		d = dial(t, c.addr("upstream"))
		check(t, d.ask("hello"))
		check(t, d.send(request([]byte("half a frame"))[:15]))
		check(t, d.Close())
	}
	c.closed("upstream", "network", each)
	c.closed("upstream", "eof", each)
	eventually(t, "the links are given back", func() bool {
		n := 0.0
		for name, v := range c.metrics() {
			if v > 0 && bytes.Contains([]byte(name), []byte(`state="leased"`)) {
				n += v
			}
		}
		return n == 1 // the bystander's
	})
	stop()
}

// TestTooMany: connections over the limit are closed at once, and there is room again when others end.
func TestTooMany(t *testing.T) {
	c := startHarsh(t)
	first, second := dial(t, c.addr("few")), dial(t, c.addr("few"))
	check(t, first.ask("first"))
	check(t, second.ask("second"))
	for i := range 5 {
		refused(t, c.addr("few"), nil)
		c.closed("few", "connections", i+1)
	}
	check(t, first.ask("first, again"))
	check(t, first.Close())
	c.closed("few", "eof", 1)
	check(t, dial(t, c.addr("few")).ask("third"))
	check(t, second.ask("second, again"))
}

// TestLogIsQuiet: a storm of bad clients is a line a second in the log, however many they are, and the line says how many.
func TestLogIsQuiet(t *testing.T) {
	c := startHarsh(t)
	written := func() (lines []line) {
		for _, l := range c.log.lines(t, "connection closed") {
			if l.Handler == "strict" && l.Reason == "magic" {
				lines = append(lines, l)
			}
		}
		return lines
	}
	began := time.Now()
	n := 0
	for len(written()) < 3 && time.Since(began) < patience {
		for range 20 {
			d := dial(t, c.addr("strict"))
			check(t, d.send(fmt.Append(nil, "garbage ", n)))
			check(t, d.ended())
			n++
		}
	}
	c.closed("strict", "magic", n)
	lines := written()
	if elapsed := time.Since(began); len(lines) < 3 || len(lines) > 1+int(elapsed/time.Second) {
		t.Fatalf("%d lines for %d connections in %v, want 3, or one a second", len(lines), n, elapsed)
	}
	told := 0
	for _, l := range lines {
		told += 1 + l.Suppressed
		if l.Level != "warn" || l.Error == "" || l.Remote == "" {
			t.Errorf("the line lacks something: %+v", l)
		}
	}
	if told > n || told < n/3 {
		t.Errorf("the lines tell of %d connections, want most of %d", told, n)
	}
}
