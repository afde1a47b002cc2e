package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// echoAfter is a peer that answers a piece of requests after a delay. change, where it is given, may make something else
// of an answer; n counts them from 0.
func echoAfter(delay time.Duration, change func(n int, answer []byte) []byte) func(int, net.Conn) {
	return func(_ int, nc net.Conn) {
		buf, n := make([]byte, 64<<10), 0
		for {
			got, err := nc.Read(buf)
			if err != nil {
				return
			}
			time.Sleep(delay)
			var (
				out []byte
				f   wire.Frame
			)
			for b := buf[:got]; len(b) > 0; b = b[len(f.Raw):] {
				if size, err := plain().Next(b, &f); size == 0 {
					panic(fmt.Sprint("requests that are split: ", err))
				}
				cmd := uint8(f.Cmd)
				if cmd == wire.CmdPing {
					cmd = wire.CmdPong
				}
				answer := wire.AppendFrame(nil, cmd, wire.FlagRsp, f.Payload)
				if change != nil {
					answer = change(n, answer)
				}
				out = append(out, answer...)
				n++
			}
			if _, err := nc.Write(out); err != nil {
				return
			}
		}
	}
}

// benchOf are arguments by which every run is the same: two connections with 4 requests each, so that an echoAfter of
// 30 ms answers 8 requests every 30 ms.
func benchOf(m *memory) benchArgs {
	return benchArgs{
		dialArgs: dialArgs{addr: "peer:7450", timeout: time.Second, dial: m.dial},
		conns:    2, inflight: 4, payload: 64, cmd: wire.CmdApp, duration: 2500 * time.Millisecond,
	}
}

func TestBench(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{serve: echoAfter(30*time.Millisecond, nil)}
		std, out, errs := terminal("")
		code, err := bench(t.Context(), benchOf(m), std)
		m.all.Wait()
		wantCode(t, code, err, exitOK, "")
		// 83 rounds of 8 in the 2.5 s, and one that was on its way then.
		wantText(t, out.String(), `answered    672 requests in 2.5 s, each compared with its request
throughput  266 frames/s and 0.0 MB/s each way
latency     min/avg/p50/p90/p95/p99/p99.9/max = 30.000/30.000/30.000/30.000/30.000/30.000/30.000/30.000 ms
errors      none
`)
		wantText(t, errs.String(), `GOPR BENCH peer:7450: 2 connections with 4 requests in flight each, payloads of 64 bytes, for 2.5s
connected 2 of 2
   1 s       264 frames/s  p50 30.000 ms  p99 30.000 ms  max 30.000 ms  errors 0
   2 s       264 frames/s  p50 30.000 ms  p99 30.000 ms  max 30.000 ms  errors 0
`)
	})
}

func TestBenchJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{serve: echoAfter(30*time.Millisecond, nil)}
		a := benchOf(m)
		a.json = true
		std, out, _ := terminal("")
		code, err := bench(t.Context(), a, std)
		m.all.Wait()
		wantCode(t, code, err, exitOK, "")
		wantText(t, out.String(), `{
  "addr": "peer:7450",
  "tls": false,
  "conns": 2,
  "inflight": 4,
  "payload": 64,
  "cmd": 16,
  "duration_s": 2.5,
  "answered": 672,
  "frames_per_s": 265.6,
  "bytes_per_s": 19654.4,
  "latency_ms": {
    "min": 30,
    "mean": 30,
    "p50": 30,
    "p90": 30,
    "p95": 30,
    "p99": 30,
    "p99_9": 30,
    "max": 30
  },
  "unanswered": 0,
  "errors": {}
}
`)
	})
}

// What goes wrong, and how it is told.
func TestBenchErrors(t *testing.T) {
	good := echoAfter(30*time.Millisecond, nil)
	// firstly is a peer that is wrong on its first connection.
	firstly := func(wrong func(int, net.Conn)) func(int, net.Conn) {
		return func(dial int, nc net.Conn) {
			if dial == 1 {
				wrong(dial, nc)
				return
			}
			good(dial, nc)
		}
	}
	tests := []struct {
		name     string
		serve    func(int, net.Conn)
		set      func(*benchArgs)
		none     bool // nothing is answered
		errors   string
		unanswer int64
	}{
		{
			name: "wrong answers", errors: "3 wrong answer",
			serve: firstly(echoAfter(30*time.Millisecond, func(n int, answer []byte) []byte {
				if n%10 == 0 && n < 30 {
					answer[len(answer)-1]++
				}
				return answer
			})),
		},
		{
			name: "an answer too many", errors: "1 an answer that nobody asked for; 4 requests unanswered", unanswer: 4,
			serve: firstly(echoAfter(30*time.Millisecond, func(n int, answer []byte) []byte {
				if n == 3 {
					return append(answer, answer...)
				}
				return answer
			})),
		},
		{
			name: "an answer is missing", errors: "1 no answer in time, 24 wrong answer; 4 requests unanswered", unanswer: 4,
			serve: firstly(echoAfter(200*time.Millisecond, func(n int, answer []byte) []byte {
				if n == 0 { // so every answer is taken for the one before
					return nil
				}
				if n >= 25 {
					return nil
				}
				return answer
			})),
		},
		{
			name: "no answers", errors: "2 no answer in time; 8 requests unanswered", unanswer: 8, none: true,
			serve: func(_ int, nc net.Conn) { silent(nc) },
			set:   func(a *benchArgs) { a.duration = 1120 * time.Millisecond },
		},
		{
			name: "a connection that is closed", errors: "1 closed by the peer; 4 requests unanswered", unanswer: 4,
			serve: firstly(func(_ int, nc net.Conn) {
				_, _ = nc.Read(make([]byte, 1<<10))
			}),
		},
		{
			name: "no GOPR", errors: "1 rejected: magic; 4 requests unanswered", unanswer: 4,
			serve: firstly(func(_ int, nc net.Conn) {
				_, _ = nc.Read(make([]byte, 1<<10))
				_, _ = io.WriteString(nc, "HTTP/1.1 400")
				silent(nc)
			}),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{serve: tt.serve}
				a := benchOf(m)
				if tt.set != nil {
					tt.set(&a)
				}
				std, out, _ := terminal("")
				code, err := bench(t.Context(), a, std)
				wantCode(t, code, err, exitNo, "")
				if !strings.HasSuffix(out.String(), "\nerrors      "+tt.errors+"\n") {
					t.Errorf("the errors are not %q in:\n%s", tt.errors, out)
				}
				if answered := !strings.HasPrefix(out.String(), "answered    0 requests"); answered == tt.none {
					t.Errorf("answered: %v, in:\n%s", answered, out)
				}

				a.json = true
				m.dials = 0
				std, out, _ = terminal("")
				code, err = bench(t.Context(), a, std)
				m.all.Wait()
				wantCode(t, code, err, exitNo, "")
				var r report
				if err := json.Unmarshal([]byte(out.String()), &r); err != nil || r.Unanswered != tt.unanswer || r.errors() != tt.errors {
					t.Errorf("%v, %d unanswered, errors: %s", err, r.Unanswered, r.errors())
				}
			})
		})
	}
}

// A connection that is lost is dialled again, however often it takes, and its dials that fail are told.
func TestBenchDialsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{serve: func(dial int, nc net.Conn) {
			if dial == 1 {
				_, _ = nc.Read(make([]byte, 1<<10))
				return
			}
			echoAfter(30*time.Millisecond, nil)(dial, nc)
		}}
		a := benchOf(m)
		a.conns = 1
		var dials atomic.Int64
		a.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if n := dials.Add(1); n == 2 || n == 3 {
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			}
			return m.dial(ctx, network, addr)
		}
		std, out, _ := terminal("")
		code, err := bench(t.Context(), a, std)
		m.all.Wait()
		wantCode(t, code, err, exitNo, "")
		if want := "errors      1 closed by the peer, 2 dial: connection refused; 4 requests unanswered\n"; !strings.HasSuffix(out.String(), want) {
			t.Errorf("want %q at the end of:\n%s", want, out)
		}
		if dials.Load() != 4 {
			t.Errorf("%d dials, want 4", dials.Load())
		}
	})
}

// Ctrl-C ends the load with the result so far. What is on its way then is no error.
func TestBenchInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{serve: echoAfter(30*time.Millisecond, nil)}
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		std, out, _ := terminal("")
		began := time.Now()
		code, err := bench(ctx, benchOf(m), std)
		took := time.Since(began)
		m.all.Wait()
		wantCode(t, code, err, exitOK, "")
		want := "answered    128 requests in 0.5 s, each compared with its request\nthroughput  256 frames/s "
		if !strings.HasPrefix(out.String(), want) || !strings.HasSuffix(out.String(), "\nerrors      none\n") {
			t.Errorf("want %q at the beginning of:\n%s", want, out)
		}
		if took != 500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestBenchWhileConnecting(t *testing.T) {
	tests := []struct {
		name  string
		dial  func(n int64, ctx context.Context) error
		until time.Duration
		code  int
		err   string
	}{
		{"one fails", func(n int64, _ context.Context) error {
			if n == 3 {
				return errors.New("no route")
			}
			return nil
		}, 0, exitUsage, "of 5: no route"},
		{"it takes long", func(_ int64, ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, 0, exitUsage, "of 5: context deadline exceeded"},
		{"interrupted", func(_ int64, ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}, 500 * time.Millisecond, exitNo, "interrupted before the load began"},
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
				m := &memory{serve: func(_ int, nc net.Conn) { silent(nc) }}
				a := benchOf(m)
				a.conns, a.timeout = 5, 1500*time.Millisecond
				var dials atomic.Int64
				a.dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if err := tt.dial(dials.Add(1), ctx); err != nil {
						return nil, err
					}
					return m.dial(ctx, network, addr)
				}
				std, out, errs := terminal("")
				code, err := bench(ctx, a, std)
				m.all.Wait() // so all connections were closed
				wantCode(t, code, err, tt.code, tt.err)
				wantText(t, out.String(), "")
				if tt.name == "it takes long" && !strings.Contains(errs.String(), "connected 0 of 5\n") {
					t.Errorf("no progress was told: %s", errs)
				}
			})
		})
	}
}

func TestBenchArguments(t *testing.T) {
	tests := []struct {
		name string
		set  func(*benchArgs)
		want string
	}{
		{"nobody listens", func(*benchArgs) {}, "of 2: dial tcp " + nobody + ": connect: connection refused"},
		{"no address", func(a *benchArgs) { a.addr = "localhost" }, "is not host:port"},
		{"no duration", func(a *benchArgs) { a.duration = 0 }, "--duration 0s: give a time such as 10s, and 1h0m0s at most"},
		{"too long", func(a *benchArgs) { a.duration = maxDuration + 1 }, "and 1h0m0s at most"},
		{
			"too much at once",
			func(a *benchArgs) { a.conns, a.inflight, a.payload = 100, 1000, 60_000 },
			"100 connections with 1000 requests of 60010 bytes on their way take 5723 MiB: at most 1024 MiB, so give smaller numbers, such as --inflight 178",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := benchArgs{dialArgs: dialing(nobody), conns: 2, inflight: 1, payload: 16, duration: time.Second}
			tt.set(&a)
			std, out, _ := terminal("")
			code, err := bench(t.Context(), a, std)
			wantCode(t, code, err, exitUsage, tt.want)
			wantText(t, out.String(), "")
		})
	}
}

func TestCheckFiles(t *testing.T) {
	tests := []struct {
		conns int
		limit uint64
		want  string
	}{
		{1000, 1032, ""},
		{1000, 0, ""},
		{1000, 1031, "1000 connections need 1032 file descriptors, and the limit is 1031: raise it with `ulimit -n 1032`, or give --conns 999 at most"},
		{1000, 10, "or give --conns 0 at most"},
	}
	for _, tt := range tests {
		err := checkFiles(tt.conns, tt.limit)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%d connections, limit %d: %v, want %q", tt.conns, tt.limit, err, tt.want)
		}
	}
}

// Against what `caddy gopr echo` runs, over TCP and TLS.
func TestBenchEcho(t *testing.T) {
	ca := newAuthority(t)
	ln, secure := ca.listenTLS(t)
	serveEcho(t, ln)
	tcp := dialing(startEcho(t))
	for _, tt := range []struct {
		name string
		args benchArgs
	}{
		{"TCP", benchArgs{dialArgs: tcp, conns: 5, inflight: 16, payload: 64, cmd: 0x10}},
		{"PINGs", benchArgs{dialArgs: tcp, conns: 2, inflight: 4, payload: wire.PingLen, cmd: wire.CmdPing}},
		{"large payloads", benchArgs{dialArgs: tcp, conns: 2, inflight: 100, payload: wire.MaxPayload, cmd: 0x10}},
		{"no payload", benchArgs{dialArgs: tcp, conns: 1, inflight: 1, cmd: 0x10}},
		{"many connections", benchArgs{dialArgs: tcp, conns: 300, inflight: 1, payload: 16, cmd: 0x10}},
		{"TLS", benchArgs{
			dialArgs: dialArgs{addr: secure, timeout: 10 * time.Second, ca: ca.file},
			conns:    3, inflight: 8, payload: 1000, cmd: 0x10,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.args.duration, tt.args.timeout, tt.args.json = 50*time.Millisecond, time.Minute, true
			std, out, _ := terminal("")
			code, err := bench(t.Context(), tt.args, std)
			wantCode(t, code, err, exitOK, "")
			var r report
			if err := json.Unmarshal([]byte(out.String()), &r); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if least := int64(tt.args.conns * tt.args.inflight); r.Answered < least || len(r.Errors) > 0 || r.Latency.Max < r.Latency.Min || r.Latency.Min <= 0 {
				t.Errorf("want %d answers or more, and no errors:\n%s", least, out)
			}
			if r.TLS != (tt.name == "TLS") {
				t.Errorf("tls is %v", r.TLS)
			}
		})
	}
}

func TestKindOf(t *testing.T) {
	deep := func(err error) error {
		return fmt.Errorf("connection 3: %w", &net.OpError{Op: "read", Err: err})
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{deep(io.EOF), "closed by the peer"},
		{deep(syscall.ECONNRESET), "connection reset by peer"},
		{deep(context.DeadlineExceeded), "timeout"},
		{deep(&wire.RejectError{Reason: wire.ReasonLength, Got: 5, Want: 4}), "rejected: length"},
		{errNoAnswer, "no answer in time"},
	} {
		if got := kindOf(tt.err); got != tt.want {
			t.Errorf("kindOf(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}
