package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// memory is a network of one peer, inside a synctest bubble: each dial is a connection that serve answers.
type memory struct {
	serve func(dial int, nc net.Conn)

	mu    sync.Mutex
	dials int
	all   sync.WaitGroup
}

func (m *memory) dial(context.Context, string, string) (net.Conn, error) {
	m.mu.Lock()
	m.dials++
	dial := m.dials
	m.mu.Unlock()
	near, far := net.Pipe()
	m.all.Go(func() {
		defer far.Close()
		m.serve(dial, far)
	})
	return near, nil
}

// answerAfter is a peer that answers the n-th ping of a connection, from 0, after the n-th of the delays; the last
// is for all further ones. never: not at all.
func answerAfter(delays ...time.Duration) func(int, net.Conn) {
	return func(_ int, nc net.Conn) {
		var (
			answers sync.WaitGroup
			n       int
		)
		defer answers.Wait()
		each(nc, func(f *wire.Frame) {
			delay := delays[min(n, len(delays)-1)]
			n++
			if delay == never {
				return
			}
			pong := wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, f.Payload)
			answers.Go(func() {
				time.Sleep(delay)
				_, _ = nc.Write(pong)
			})
		})
	}
}

const never = time.Duration(-1)

func TestPing(t *testing.T) {
	const header = "GOPR PING peer:7450 (pipe): frames of 22 bytes\n"
	tests := []struct {
		name     string
		serve    func(int, net.Conn)
		count    int
		interval time.Duration
		until    time.Duration // Ctrl-C; 0: never
		code     int
		want     string
	}{
		{
			name: "answered", count: 3, interval: time.Second,
			serve: answerAfter(10*time.Millisecond, 20*time.Millisecond, 30*time.Millisecond),
			want: header + `22 bytes from pipe: seq=1 time=10.000 ms
22 bytes from pipe: seq=2 time=20.000 ms
22 bytes from pipe: seq=3 time=30.000 ms

--- peer:7450 GOPR ping statistics ---
3 sent, 3 received, 0% loss, time 2030 ms
round trip min/avg/p50/p95/p99/max = 10.000/20.000/20.005/30.000/30.000/30.000 ms
`,
		},
		{
			name: "one lost", count: 3, interval: time.Second,
			serve: answerAfter(10*time.Millisecond, never, 10*time.Millisecond),
			want: header + `22 bytes from pipe: seq=1 time=10.000 ms
22 bytes from pipe: seq=3 time=10.000 ms
seq=2 lost: no answer within 4s

--- peer:7450 GOPR ping statistics ---
3 sent, 2 received, 33.3% loss, time 5000 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`,
		},
		{
			name: "none answered", count: 2, interval: time.Second, serve: answerAfter(never), code: exitNo,
			want: header + `seq=1 lost: no answer within 4s
seq=2 lost: no answer within 4s

--- peer:7450 GOPR ping statistics ---
2 sent, 0 received, 100% loss, time 5000 ms
`,
		},
		{
			name: "slower than the interval", count: 3, interval: 100 * time.Millisecond,
			serve: answerAfter(350*time.Millisecond, 50*time.Millisecond, 160*time.Millisecond),
			want: header + `22 bytes from pipe: seq=2 time=50.000 ms
22 bytes from pipe: seq=1 time=350.000 ms
22 bytes from pipe: seq=3 time=160.000 ms

--- peer:7450 GOPR ping statistics ---
3 sent, 3 received, 0% loss, time 360 ms
round trip min/avg/p50/p95/p99/max = 50.000/186.667/160.039/350.000/350.000/350.000 ms
`,
		},
		{
			name: "interrupted", interval: time.Second, until: 2500 * time.Millisecond,
			serve: answerAfter(10*time.Millisecond, 10*time.Millisecond, time.Second),
			want: header + `22 bytes from pipe: seq=1 time=10.000 ms
22 bytes from pipe: seq=2 time=10.000 ms

--- peer:7450 GOPR ping statistics ---
3 sent, 2 received, 0% loss, time 2500 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`,
		},
		{
			name: "interrupted before any answer", interval: time.Second, until: 500 * time.Millisecond,
			serve: answerAfter(time.Second), code: exitNo,
			want: header + `
--- peer:7450 GOPR ping statistics ---
1 sent, 0 received, 0% loss, time 500 ms
`,
		},
		{
			name: "the connection is lost, and dialled again", count: 3, interval: time.Second,
			serve: func(dial int, nc net.Conn) {
				if dial == 1 {
					_, _ = nc.Read(make([]byte, pingSize))
					return
				}
				answerAfter(10*time.Millisecond)(dial, nc)
			},
			want: header + `seq=1 lost: the peer closed the connection (perhaps it speaks TLS there: then add --tls)
22 bytes from pipe: seq=2 time=10.000 ms
22 bytes from pipe: seq=3 time=10.000 ms

--- peer:7450 GOPR ping statistics ---
3 sent, 2 received, 33.3% loss, time 2010 ms
round trip min/avg/p50/p95/p99/max = 10.000/10.000/10.000/10.000/10.000/10.000 ms
`,
		},
		{
			name: "the connection ends later", count: 2, interval: time.Second,
			serve: func(_ int, nc net.Conn) {
				ping := make([]byte, pingSize)
				_, _ = io.ReadFull(nc, ping)
				_, _ = nc.Write(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, ping[wire.HeaderLen:]))
				_, _ = io.ReadFull(nc, ping)
			},
			want: header + `22 bytes from pipe: seq=1 time=0.000 ms
seq=2 lost: the connection ended: EOF

--- peer:7450 GOPR ping statistics ---
2 sent, 1 received, 50% loss, time 1000 ms
round trip min/avg/p50/p95/p99/max = 0.000/0.000/0.000/0.000/0.000/0.000 ms
`,
		},
		{
			name: "no GOPR", count: 1, interval: time.Second, code: exitNo,
			serve: func(_ int, nc net.Conn) {
				_, _ = nc.Read(make([]byte, pingSize))
				_, _ = nc.Write([]byte("\x15\x03\x01"))
				silent(nc)
			},
			want: header + `seq=1 lost: the connection ended: ` +
				`frame from pipe: wrong magic: byte 0 is 0x15, want 0x47 (the peer speaks TLS there: add --tls)

--- peer:7450 GOPR ping statistics ---
1 sent, 0 received, 100% loss, time 0 ms
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.until > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.until)
					defer cancel()
				}
				m := &memory{serve: tt.serve}
				a := pingArgs{dialArgs: dialArgs{addr: "peer:7450", timeout: 4 * time.Second, dial: m.dial}, count: tt.count, interval: tt.interval}
				std, out, errs := terminal("")
				code, err := ping(ctx, a, std)
				m.all.Wait()
				wantCode(t, code, err, tt.code, "")
				wantText(t, out.String(), tt.want)
				wantText(t, errs.String(), "")
			})
		})
	}
}

func TestPingCannotTry(t *testing.T) {
	tests := []struct {
		name string
		set  func(*pingArgs)
		want string
	}{
		{"nobody listens", func(a *pingArgs) { a.addr = nobody }, "connection refused"},
		{"no address", func(a *pingArgs) { a.addr = "localhost" }, "is not host:port"},
		{"no interval", func(a *pingArgs) { a.interval = 0 }, "--interval 0s: give 1ms or more; for load there is `caddy gopr bench --cmd 0x01`"},
		{"dial error", func(a *pingArgs) {
			a.dial = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route") }
		}, "no route"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := pingArgs{dialArgs: dialing("127.0.0.1:1"), interval: time.Second}
			tt.set(&a)
			std, out, _ := terminal("")
			code, err := ping(t.Context(), a, std)
			wantCode(t, code, err, exitUsage, tt.want)
			wantText(t, out.String(), "")
		})
	}
}

// Against what `caddy gopr echo` runs, over TCP and TLS.
func TestPingEcho(t *testing.T) {
	ca := newAuthority(t)
	ln, secure := ca.listenTLS(t)
	serveEcho(t, ln)
	for name, dial := range map[string]dialArgs{
		"TCP": dialing(startEcho(t)),
		"TLS": {addr: secure, timeout: 10 * time.Second, ca: ca.file},
	} {
		t.Run(name, func(t *testing.T) {
			std, out, _ := terminal("")
			code, err := ping(t.Context(), pingArgs{dialArgs: dial, count: 3, interval: time.Millisecond}, std)
			wantCode(t, code, err, exitOK, "")
			for _, want := range []string{"seq=1 time=", "seq=2 time=", "seq=3 time=", "3 sent, 3 received, 0% loss"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, out)
				}
			}
		})
	}
}
