package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// sendTo are the arguments of send with their defaults.
func sendTo(addr string) sendArgs {
	return sendArgs{dialArgs: dialing(addr), cmd: wire.CmdApp, flag: wire.FlagReq}
}

func TestSendPrints(t *testing.T) {
	addr := startEcho(t)
	file := filepath.Join(t.TempDir(), "payload")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	longest := strings.Repeat("x", wire.MaxPayload)
	tests := []struct {
		name  string
		set   func(*sendArgs)
		stdin string
		want  string
	}{
		{"text", func(a *sendArgs) { a.data = "hello" }, "", "hello\n"},
		{"lines", func(a *sendArgs) { a.data = "a\nb" }, "", "a\nb\n"},
		{"bytes", func(a *sendArgs) { a.hex = "00 ff" }, "", "00ff\n"},
		{"text given in hex", func(a *sendArgs) { a.hex = "6869" }, "", "hi\n"},
		{"nothing", func(*sendArgs) {}, "", "\n"},
		{"raw text", func(a *sendArgs) { a.data, a.raw = "hello", true }, "", "hello"},
		{"raw bytes", func(a *sendArgs) { a.hex, a.raw = "00ff", true }, "", "\x00\xff"},
		{"a file", func(a *sendArgs) { a.file = file }, "", "from a file\n"},
		{"standard input", func(a *sendArgs) { a.file = "-" }, "piped", "piped\n"},
		{"the longest payload", func(a *sendArgs) { a.file = "-" }, longest, longest + "\n"},
		{"another command", func(a *sendArgs) { a.cmd, a.data = 0xFF, "x" }, "", "x\n"},
		{"a PING", func(a *sendArgs) { a.cmd, a.data = wire.CmdPing, "ping" }, "", "ping\n"},
		{"no answer asked for", func(a *sendArgs) { a.flag, a.data = 0, "hello" }, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := sendTo(addr)
			tt.set(&a)
			std, out, errs := terminal(tt.stdin)
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, exitOK, "")
			wantText(t, out.String(), tt.want)
			wantText(t, errs.String(), "")
		})
	}
}

func TestSendJSON(t *testing.T) {
	a := sendTo(startEcho(t))
	a.cmd, a.data, a.json = 0x11, "<b>", true
	std, out, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitOK, "")
	head, took, _ := strings.Cut(out.String(), `"time_ms":`)
	wantText(t, head, `{"version":1,"cmd":17,"flag":2,"length":3,"payload":"3c623e","text":"<b>",`)
	var ms float64
	if err := json.Unmarshal([]byte(strings.TrimSuffix(took, "}\n")), &ms); err != nil || ms <= 0 {
		t.Errorf("time_ms is %q", took)
	}
}

func TestSendTLS(t *testing.T) {
	ca := newAuthority(t)
	ln, addr := ca.listenTLS(t)
	serveEcho(t, ln)
	a := sendTo(addr)
	a.data = "hello"
	std, _, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitNo, "no answer")

	a.ca = ca.file
	std, out, _ := terminal("")
	code, err = send(t.Context(), a, std)
	wantCode(t, code, err, exitOK, "")
	wantText(t, out.String(), "hello\n")
}

// What a peer does before it answers, if it does.
func TestSendPeers(t *testing.T) {
	say := func(frames string) func(net.Conn) {
		return func(nc net.Conn) {
			each(nc, func(*wire.Frame) { _, _ = io.WriteString(nc, frames) })
		}
	}
	tests := []struct {
		name    string
		peer    func(net.Conn)
		timeout time.Duration // 0: longer than the peer needs
		code    int
		err     string
		want    string
	}{
		{
			name: "other frames first",
			peer: say(frame(0x20, 0, "event") + frame(0x10, wire.FlagReq, "question") + frame(0x10, wire.FlagRsp, "answer")),
			want: "answer\n",
		},
		{
			name: "a PONG is no answer",
			peer: say(frame(wire.CmdPong, wire.FlagRsp, "pong") + frame(0x10, wire.FlagRsp, "answer")),
			want: "answer\n",
		},
		{
			name: "a PING first, which must be answered",
			peer: func(nc net.Conn) {
				each(nc, func(f *wire.Frame) {
					switch f.Cmd {
					case wire.CmdApp:
						_, _ = io.WriteString(nc, frame(wire.CmdPing, wire.FlagReq, "alive?"))
					case wire.CmdPong:
						_, _ = io.WriteString(nc, frame(0x10, wire.FlagRsp, "got "+string(f.Payload)))
					}
				})
			},
			want: "got alive?\n",
		},
		{name: "no answer", peer: silent, timeout: time.Second, code: exitNo, err: "no answer within 1s"},
		{
			name: "an answer that is not marked as one", peer: say(frame(0x10, 0, "answer")), timeout: 2 * time.Second, code: exitNo,
			err: "no answer within 2s (but 1 frame that answered nothing, the last with command 0x10 and flag 0x00; an answer has flag 0x02)",
		},
		{
			name: "closed", code: exitNo, err: "no answer: the peer closed the connection (perhaps it speaks TLS there: then add --tls)",
			peer: func(nc net.Conn) { _, _ = io.ReadFull(nc, make([]byte, wire.HeaderLen)) },
		},
		{
			name: "closed in an answer", code: exitNo, err: "no answer: the stream ends inside a frame: it begins at byte 0, and has 12 of its 15 bytes",
			peer: func(nc net.Conn) {
				_, _ = io.ReadFull(nc, make([]byte, wire.HeaderLen))
				_, _ = io.WriteString(nc, frame(0x10, wire.FlagRsp, "hello")[:12])
			},
		},
		{name: "no GOPR", peer: say("HTTP/1.1 400 Bad Request"), code: exitNo, err: "no answer: wrong magic: byte 0 is 0x48, want 0x47"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := sendTo(startPeer(t, tt.peer))
			if tt.timeout > 0 {
				a.timeout = tt.timeout
			}
			std, out, _ := terminal("")
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, tt.code, tt.err)
			wantText(t, out.String(), tt.want)
		})
	}
}

// A frame that asks for nothing arrives whole, also at a peer that has sent something that nobody reads: to close
// the connection then is to reset it.
func TestSendOneWayArrives(t *testing.T) {
	got := make(chan string, 1)
	a := sendTo(startPeer(t, func(nc net.Conn) {
		_, _ = io.WriteString(nc, frame(0x20, 0, "event"))
		b, err := io.ReadAll(nc)
		if err != nil {
			b = []byte(err.Error())
		}
		got <- string(b)
	}))
	a.flag, a.data = 0, strings.Repeat("x", 60_000)
	std, _, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitOK, "")
	if b := <-got; b != frame(0x10, 0, a.data) {
		t.Errorf("%d bytes came: %.80q", len(b), b)
	}
}

// A peer that reads too little of a frame, and then nothing.
func TestSendNotWritten(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	a := sendTo("peer:7450")
	a.timeout = 50 * time.Millisecond
	a.dial = func(context.Context, string, string) (net.Conn, error) { return near, nil }
	std, _, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitNo, "the frame was not sent within 50ms")
}

func TestSendInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := sendTo(startPeer(t, func(nc net.Conn) {
		_, _ = io.ReadFull(nc, make([]byte, wire.HeaderLen))
		cancel()
		silent(nc)
	}))
	std, _, _ := terminal("")
	code, err := send(ctx, a, std)
	wantCode(t, code, err, exitNo, "no answer: interrupted")
}

func TestSendCannotTry(t *testing.T) {
	tests := []struct {
		name  string
		set   func(*sendArgs)
		stdin string
		want  string
	}{
		{"nobody listens", func(*sendArgs) {}, "", "connection refused"},
		{"no address", func(a *sendArgs) { a.addr = "" }, "", `address "" is not host:port`},
		{"two payloads", func(a *sendArgs) { a.data, a.hex = "a", "61" }, "", "the payload is given twice: give one of --data, --hex and --file"},
		{"two forms", func(a *sendArgs) { a.raw, a.json = true, true }, "", "--raw prints bytes, and --json does not: leave out one of them"},
		{"wrong hex", func(a *sendArgs) { a.hex = "6" }, "", "hex: 1 digits make no whole bytes"},
		{"a file that is not there", func(a *sendArgs) { a.file = "testdata/none" }, "", "no such file or directory"},
		{"a payload that is too long", func(a *sendArgs) { a.file = "-" }, strings.Repeat("x", wire.MaxPayload+1), "the payload is longer than a frame can carry, which is 65535 bytes"},
		{"the same by --data", func(a *sendArgs) { a.data = strings.Repeat("x", wire.MaxPayload+1) }, "", "the payload is longer than a frame can carry"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := sendTo(nobody)
			tt.set(&a)
			std, _, _ := terminal(tt.stdin)
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, exitUsage, tt.want)
		})
	}
}

func TestSendCannotPrint(t *testing.T) {
	full := errors.New("disk full")
	for _, set := range []func(*sendArgs){
		func(*sendArgs) {},
		func(a *sendArgs) { a.raw = true },
		func(a *sendArgs) { a.json = true },
		func(a *sendArgs) { a.hex = "00" },
	} {
		a := sendTo(startEcho(t))
		set(&a)
		std, _, _ := terminal("")
		std.out = writerFunc(func([]byte) (int, error) { return 0, full })
		code, err := send(t.Context(), a, std)
		if code != exitUsage || !errors.Is(err, full) {
			t.Errorf("exit code %d, %v", code, err)
		}
	}
}
