package e2e

import (
	"io"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// beside has GOPR and another protocol on one port. The time for matching is longer than any test waits: what works, works without it running out.
const beside = `
		${port_of_all} {
			matching_timeout 5m
			@meters gopr {
				commands 0x20-0x2F
			}
			route @meters {
				gopr meters {
					respond echo
				}
			}
			@gopr gopr
			route @gopr {
				gopr devices {
					upstream ${backend}
				}
			}
			route {
				echo
			}
		}
`

// TestMatcher: one port for several protocols.
func TestMatcher(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, config(beside), places{"backend": b.addr})
	addr := c.addr("port_of_all")

	t.Run("a header in pieces", func(t *testing.T) {
		for split := 1; split < wire.HeaderLen+5; split++ {
			d := dial(t, addr)
			frame := request([]byte("hello"))
			check(t, d.send(frame[:split]))
			time.Sleep(2 * time.Millisecond) // so that most pieces arrive as pieces; none need
			check(t, d.send(frame[split:]))
			check(t, d.expect(answer([]byte("hello"))))
			check(t, d.ask("and another"))
		}
	})
	t.Run("a byte at a time", func(t *testing.T) { oneByteAtATime(t, dial(t, addr)) })
	t.Run("many frames at once", func(t *testing.T) { oneWrite(t, dial(t, addr)) })
	t.Run("by command", func(t *testing.T) {
		d := dial(t, addr)
		check(t, d.send(wire.AppendFrame(nil, 0x21, wire.FlagReq, []byte("hello"))))
		check(t, d.expect(wire.AppendFrame(nil, 0x21, wire.FlagRsp, []byte("hello"))))
		if n := c.metric("connections", "meters"); n != 1 {
			t.Errorf("%v connections of meters, want 1", n)
		}
	})
	for _, other := range []string{"GOPS", "GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "\x00", "GOPR\x00\x02\x00\x00\x10\x01"} {
		t.Run("another protocol", func(t *testing.T) {
			d := dial(t, addr)
			check(t, d.send([]byte(other)))
			check(t, d.SetReadDeadline(time.Now().Add(patience)))
			got := make([]byte, len(other))
			if _, err := io.ReadFull(d, got); err != nil || string(got) != other {
				t.Errorf("%q came back as %q, %v: it did not reach the next route", other, got, err)
			}
		})
	}
}

// TestClientAddress: behind PROXY protocol the client is who that says it is.
func TestClientAddress(t *testing.T) {
	b := newBackend(t, echoes)
	c := start(t, configTLS(ways), places{"backend": b.addr})
	d := dial(t, c.addr("proxied"))
	check(t, d.send([]byte("PROXY TCP4 192.0.2.7 127.0.0.1 4711 7450\r\n")))
	check(t, d.ask("hello"))
	check(t, d.send([]byte("garbage")))
	check(t, d.ended())
	c.closed("proxied", "magic", 1)
	eventually(t, "the log names the client", func() bool {
		for _, l := range c.log.lines(t, "connection closed") {
			if l.Handler == "proxied" && l.Remote == "192.0.2.7:4711" {
				return true
			}
		}
		return false
	})
}
