package cli

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// pongsOf is a peer that answers each ping of a format after a delay.
func pongsOf(t *testing.T, a formatArgs, delay time.Duration) func(int, net.Conn) {
	t.Helper()
	f, err := a.find()
	if err != nil {
		t.Fatal(err)
	}
	d, err := f.NewDecoder(wire.Rules{})
	if err != nil {
		t.Fatal(err)
	}
	return func(_ int, nc net.Conn) {
		var frame wire.Frame
		for frames := newFormatReader(nc, d, f); frames.next(&frame) == nil; {
			if !f.IsPing(&frame) {
				continue
			}
			time.Sleep(delay)
			if _, err := nc.Write(f.AppendPong(nil, &frame)); err != nil {
				return
			}
		}
	}
}

func TestPingFormats(t *testing.T) {
	mc, plain := formatArgs{format: "mc"}, formatArgs{format: "plain", config: "testdata/plain.json"}
	theirs, err := wire.MC.AppendPing(nil, []byte("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		format formatArgs
		serve  func(int, net.Conn)
		code   int
		want   string
	}{
		{"gopr", formatArgs{format: "gopr"}, pongsOf(t, formatArgs{}, 10*time.Millisecond), exitOK, `GOPR PING peer:7450 (pipe): frames of 22 bytes
22 bytes from pipe: seq=1 time=10.000 ms
22 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 GOPR ping statistics ---
2 sent, 2 received, 0% loss, time 1010 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`},
		{"the pong is the ping", mc, pongsOf(t, mc, 10*time.Millisecond), exitOK, `MC PING peer:7450 (pipe): frames of 25 bytes
25 bytes from pipe: seq=1 time=10.000 ms
25 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 MC ping statistics ---
2 sent, 2 received, 0% loss, time 1010 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`},
		{"and slower than the interval", mc, pongsOf(t, mc, 900*time.Millisecond), exitOK, `MC PING peer:7450 (pipe): frames of 25 bytes
25 bytes from pipe: seq=1 time=900.000 ms
25 bytes from pipe: seq=2 time=900.000 ms

--- peer:7450 MC ping statistics ---
2 sent, 2 received, 0% loss, time 1900 ms
round trip min/avg/p50/p95/p99/max = 900.000/900.000/900.000/900.000/900.000/900.000 ms
`},
		{"the peer pings as well", mc, func(_ int, nc net.Conn) {
			ours, answer := make([]byte, 25), make([]byte, len(theirs))
			_, _ = io.ReadFull(nc, ours)
			_, _ = nc.Write(theirs)
			if _, err := io.ReadFull(nc, answer); err != nil || !bytes.Equal(answer, theirs) {
				t.Errorf("their ping was answered with %x, %v", answer, err)
			}
			_, _ = nc.Write(ours)
			pongsOf(t, mc, 10*time.Millisecond)(0, nc)
		}, exitOK, `MC PING peer:7450 (pipe): frames of 25 bytes
25 bytes from pipe: seq=1 time=0.000 ms
25 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 MC ping statistics ---
2 sent, 2 received, 0% loss, time 1010 ms
round trip min/avg/p50/p95/p99/max = 0.000/5.000/0.000/10.000/10.000/10.000 ms
`},
		{"the connection is lost, and dialled again", mc, func(dial int, nc net.Conn) {
			if dial == 1 {
				_, _ = io.ReadFull(nc, make([]byte, 25))
				return
			}
			pongsOf(t, mc, 10*time.Millisecond)(dial, nc)
		}, exitOK, `MC PING peer:7450 (pipe): frames of 25 bytes
seq=1 lost: the peer closed the connection (perhaps it speaks TLS there: then add --tls)
25 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 MC ping statistics ---
2 sent, 1 received, 50% loss, time 1010 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`},
		{"declared, without an echo", plain, pongsOf(t, plain, 10*time.Millisecond), exitOK, `PLAIN PING peer:7450 (pipe): frames of 3 bytes
3 bytes from pipe: seq=1 time=10.000 ms
3 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 PLAIN ping statistics ---
2 sent, 2 received, 0% loss, time 1010 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`},
		{"not answered", mc, func(_ int, nc net.Conn) { silent(nc) }, exitNo, `MC PING peer:7450 (pipe): frames of 25 bytes
seq=1 lost: no answer within 4s
seq=2 lost: no answer within 4s

--- peer:7450 MC ping statistics ---
2 sent, 0 received, 100% loss, time 5000 ms
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{serve: tt.serve}
				a := pingArgs{
					dialArgs:   dialArgs{addr: "peer:7450", timeout: 4 * time.Second, dial: m.dial},
					formatArgs: tt.format, count: 2, interval: time.Second,
				}
				std, out, _ := terminal("")
				code, err := ping(t.Context(), a, std)
				m.all.Wait()
				wantCode(t, code, err, tt.code, "")
				wantText(t, out.String(), tt.want)
			})
		})
	}
}

// A format without a heartbeat is refused before anybody is dialled.
func TestPingFormatsWithoutHeartbeat(t *testing.T) {
	for _, name := range []string{"fram", "golg", "length"} {
		out, errs, err := runCommand("", "ping", "127.0.0.1:1", "--format", name)
		if want := "--format " + name + ": its frames have no heartbeat"; err == nil || out != "" || !strings.Contains(errs, want) {
			t.Errorf("%v, want %q in:\n%s", err, want, errs)
		}
	}
}
