package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func dialTCP(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	return nc.(*net.TCPConn)
}

// exchange sends a stream, and returns what comes back until a last PING is answered.
func exchange(t *testing.T, addr, stream string) string {
	t.Helper()
	nc := dialTCP(t, addr)
	defer nc.Close()
	if _, err := io.WriteString(nc, stream+frame(wire.CmdPing, wire.FlagReq, "last")); err != nil {
		t.Error(err)
	}
	var (
		got  []byte
		last = []byte(frame(wire.CmdPong, wire.FlagRsp, "last"))
		buf  = make([]byte, 64<<10)
	)
	for !bytes.HasSuffix(got, last) {
		n, err := nc.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Errorf("after %d bytes: %v", len(got), err)
			return string(got)
		}
	}
	return string(got[:len(got)-len(last)])
}

func TestEchoAnswers(t *testing.T) {
	large := strings.Repeat("x", wire.MaxPayload)
	tests := []struct{ name, stream, want string }{
		{"a request", frame(0x10, 1, "hello"), frame(0x10, 2, "hello")},
		{"its command and other flags", frame(0x7F, 0x81, "hello"), frame(0x7F, 0x82, "hello")},
		{"no payload", frame(0x10, 1, ""), frame(0x10, 2, "")},
		{"the largest payload", frame(0x10, 1, large), frame(0x10, 2, large)},
		{"in order", frame(0x10, 1, "a") + frame(0x11, 1, "b") + frame(0x10, 1, "c"), frame(0x10, 2, "a") + frame(0x11, 2, "b") + frame(0x10, 2, "c")},
		{"a PING", frame(1, 1, "ping"), frame(2, 2, "ping")},
		{"what asks for nothing", frame(0x10, 0, "a") + frame(0x10, 2, "b") + frame(2, 2, ""), ""},
	}
	addr := startEcho(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exchange(t, addr, tt.stream); got != tt.want {
				t.Errorf("got %.100q, want %.100q", got, tt.want)
			}
		})
	}
}

// Requests that come in any pieces are answered in order.
func TestEchoSplits(t *testing.T) {
	nc := dialTCP(t, startEcho(t))
	var want []byte
	go func() {
		for i := range 300 {
			f := frame(0x10, 1, strings.Repeat("x", i))
			for len(f) > 0 {
				n := min(len(f), 1+i%7*40)
				_, _ = io.WriteString(nc, f[:n])
				f = f[n:]
			}
		}
		_ = nc.CloseWrite()
	}()
	for i := range 300 {
		want = append(want, frame(0x10, 2, strings.Repeat("x", i))...)
	}
	got, err := io.ReadAll(nc)
	if err != nil || string(got) != string(want) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
	}
}

// A peer that sends, and reads only when all is sent, gets every answer: until then the server stops reading, and holds
// no more than it has to.
func TestEchoSlowReader(t *testing.T) {
	ln, addr := listen(t)
	e := serveEcho(t, smallBuffers{ln})
	nc := dialTCP(t, addr)
	_ = nc.SetReadBuffer(smallBuffer)

	request, all := frame(0x10, 1, strings.Repeat("x", 10_000)), 2000 // 20 MB: more than all buffers on the way
	go func() {
		for range all {
			if _, err := io.WriteString(nc, request); err != nil {
				return
			}
		}
		_ = nc.CloseWrite()
	}()
	// It has stopped when nothing came in for a while. However long that is, the test holds.
	for last := int64(-1); e.bytesIn.Load() != last; time.Sleep(100 * time.Millisecond) {
		last = e.bytesIn.Load()
	}
	if in := e.bytesIn.Load(); in == int64(all*len(request)) {
		t.Error("everything was read, and nothing taken back")
	}
	got, err := io.Copy(io.Discard, nc)
	if err != nil || got != int64(all*len(request)) {
		t.Errorf("%d bytes came back, %v; want %d", got, err, all*len(request))
	}
}

// smallBuffer is no smaller, because Linux can stall for minutes over a receive buffer below the segment size of the
// loopback, 64 KiB.
const smallBuffer = 256 << 10

type smallBuffers struct{ net.Listener }

func (ln smallBuffers) Accept() (net.Conn, error) {
	nc, err := ln.Listener.Accept()
	if err == nil {
		_ = nc.(*net.TCPConn).SetReadBuffer(smallBuffer)
		_ = nc.(*net.TCPConn).SetWriteBuffer(smallBuffer)
	}
	return nc, err
}

func TestEchoManyConnections(t *testing.T) {
	addr := startEcho(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			text := strings.Repeat("x", i*100)
			if got := exchange(t, addr, frame(0x10, 1, text)); got != frame(0x10, 2, text) {
				t.Errorf("connection %d: %d bytes", i, len(got))
			}
		})
	}
	all.Wait()
}

// The command: what it prints, until Ctrl-C.
func TestEcho(t *testing.T) {
	tests := []struct {
		name    string
		verbose bool
		stream  string
		want    string // ADDR and PEER stand for the addresses
	}{
		{
			name: "summary", stream: frame(0x10, 1, "hello") + frame(0x10, 0, "event") + frame(1, 1, "") + frame(1, 1, "seq"),
			want: `listening on ADDR
1 connection: 1 request and 2 pings answered, 1 frame that asked for nothing, 53 bytes in, 38 bytes out
`,
		},
		{
			name: "verbose", verbose: true, stream: frame(0x10, 1, "hello") + frame(1, 1, ""),
			want: `listening on ADDR
PEER  connected
PEER  cmd 0x10       flag 0x01 asks         5 bytes  "hello"
PEER  cmd 0x01 PING  flag 0x01 asks         0 bytes
PEER  closed by the peer
1 connection: 1 request and 1 ping answered, 0 frames that asked for nothing, 25 bytes in, 25 bytes out
`,
		},
		{
			name: "garbage", verbose: true, stream: frame(0x10, 0, "a") + "GET / HTTP/1.1",
			want: `listening on ADDR
PEER  connected
PEER  cmd 0x10       flag 0x00              1 bytes  "a"
PEER  closed: frame from PEER: wrong magic: byte 1 is 0x45, want 0x4F
1 connection: 0 requests and 0 pings answered, 1 frame that asked for nothing, 11 bytes in, 0 bytes out, 1 connection rejected
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // the end of a stream that comes with its last bytes is noticed a second later
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			std, out, _ := terminal("")
			lines := make(chan string, 100)
			std.out = writerFunc(func(p []byte) (int, error) {
				lines <- string(p)
				return out.Write(p)
			})
			ended := make(chan error)
			go func() {
				code, err := echo(ctx, echoArgs{listen: "127.0.0.1:0", verbose: tt.verbose}, std)
				wantCode(t, code, err, exitOK, "")
				ended <- err
			}()
			addr := strings.TrimSpace(strings.TrimPrefix(<-lines, "listening on "))

			nc := dialTCP(t, addr)
			peer := nc.LocalAddr().String()
			_, _ = io.WriteString(nc, tt.stream)
			_ = nc.CloseWrite()
			_, _ = io.Copy(io.Discard, nc) // until the server has closed it, too
			if tt.verbose {
				for line := range lines { // which it does before it says so
					if strings.Contains(line, "  closed") {
						break
					}
				}
			}
			nc.Close()
			cancel()
			<-ended
			got := strings.NewReplacer(addr, "ADDR", peer, "PEER").Replace(out.String())
			wantText(t, got, tt.want)
		})
	}
}

// Ctrl-C ends connections that are open, too, and a peer that floods.
func TestEchoEndsWithItsConnections(t *testing.T) {
	ln, addr := listen(t)
	e := newEchoServer(false, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.serve(ctx, ln)
	}()
	nc := dialTCP(t, addr)
	if _, err := io.WriteString(nc, frame(0x10, 1, "hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(nc, make([]byte, 15)); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-ended
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is open still: %v", err)
	}
}

func TestEchoCannotListen(t *testing.T) {
	_, taken := listen(t)
	for listen, want := range map[string]string{
		taken:       "address already in use",
		"localhost": "missing port",
	} {
		std, _, _ := terminal("")
		code, err := echo(t.Context(), echoArgs{listen: listen}, std)
		wantCode(t, code, err, exitUsage, want)
	}
}

// A listener that runs out of descriptors goes on when there are some again.
func TestEchoGoesOnAccepting(t *testing.T) {
	ln, addr := listen(t)
	e := serveEcho(t, &failing{Listener: ln, failures: 2})
	if got := exchange(t, addr, frame(0x10, 1, "hello")); got != frame(0x10, 2, "hello") {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(e.summary(), ", 2 connections not accepted") {
		t.Errorf("the summary does not say so: %s", e.summary())
	}
}

type failing struct {
	net.Listener
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("accept: too many open files")
	}
	return f.Listener.Accept()
}
