package cli

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func publishTo(addr string, qos uint8) sendArgs {
	return sendArgs{dialArgs: dialing(addr), cmd: wire.CmdApp, data: "hello", sessionArgs: sessionArgs{qos: qos, clientID: "d"}}
}

var anyTime = regexp.MustCompile(`\d+\.\d+`)

func TestSendOverASession(t *testing.T) {
	for _, tt := range []struct {
		name      string
		set       func(*sendArgs)
		got       string // by the gateway
		out, errs string
	}{
		{"QoS 1", func(a *sendArgs) { a.qos = 1 }, "1 hello", "", "acknowledged after T ms, session new\n"},
		{"QoS 2", func(a *sendArgs) { a.qos = 2 }, "2 hello", "", "acknowledged after T ms, session new\n"},
		{"QoS 0", func(*sendArgs) {}, "0 hello", "", "sent after T ms, session new\n"},
		{"a request", func(a *sendArgs) { a.flag = wire.FlagReq }, "0 hello", "hello\n", ""},
		{"JSON", func(a *sendArgs) { a.qos, a.json = 1, true }, "1 hello", `{"qos":1,"session":"new","time_ms":T}` + "\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := &sessionPeer{}
			a := publishTo(startGateway(t, g), 0)
			tt.set(&a)
			std, out, errs := terminal("")
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, exitOK, "")
			wantText(t, anyTime.ReplaceAllString(out.String(), "T"), tt.out)
			wantText(t, anyTime.ReplaceAllString(errs.String(), "T"), tt.errs)
			if got := g.got("d"); !slices.Equal(got, []string{tt.got}) {
				t.Errorf("the gateway has %q", got)
			}
		})
	}
}

// A ticket resumes the session; without one it ends with the command.
func TestSendResumes(t *testing.T) {
	g := &sessionPeer{}
	addr := startGateway(t, g)
	ticket := filepath.Join(t.TempDir(), "ticket")
	for i, want := range []string{"new", "resumed", "resumed"} {
		a := publishTo(addr, uint8(1+i%2))
		a.ticket = ticket
		std, _, errs := terminal("")
		code, err := send(t.Context(), a, std)
		wantCode(t, code, err, exitOK, "")
		if !strings.HasSuffix(errs.String(), "session "+want+"\n") {
			t.Errorf("run %d: %q", i+1, errs)
		}
	}
	if got := g.got("d"); !slices.Equal(got, []string{"1 hello", "2 hello", "1 hello"}) || g.byes != 0 {
		t.Errorf("the gateway has %q, and %d byes", got, g.byes)
	}
}

// The connection is lost before the acknowledgement: the message goes out again, and arrives once.
func TestSendGoesOn(t *testing.T) {
	g := &sessionPeer{fate: func(connection int, f *wire.Frame) bool { return connection == 1 && f.Cmd == wire.CmdApp }}
	a := publishTo(startGateway(t, g), 2)
	std, _, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitOK, "")
	if got := g.got("d"); !slices.Equal(got, []string{"2 hello"}) {
		t.Errorf("the gateway has %q", got)
	}
}

func TestSendRefused(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name       string
		credential string
		code       int
		want       string
	}{
		{"the right one", "open sesame", exitOK, ""},
		{"out of a file", "@" + secret, exitOK, ""},
		{"a wrong one", "sesame", exitUsage, `the gateway refuses the session: the peer says: not authorized: "a wrong credential"`},
		{"no file", "@" + secret + "s", exitUsage, "--credential: open "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := publishTo(startGateway(t, &sessionPeer{secret: "open sesame"}), 1)
			a.credential = tt.credential
			std, _, _ := terminal("")
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, tt.code, tt.want)
		})
	}

	t.Run("at the second connection", func(t *testing.T) {
		g := &sessionPeer{
			fate: func(connection int, f *wire.Frame) bool { return f.Cmd == wire.CmdApp },
			refuse: func(connection int, _ *wire.Hello) (e wire.ErrorFrame) {
				if connection > 1 {
					e = wire.ErrorFrame{Code: wire.ErrorStore, Text: "try later"}
				}
				return e
			},
		}
		a := publishTo(startGateway(t, g), 1)
		a.timeout = time.Minute
		std, _, _ := terminal("")
		code, err := send(t.Context(), a, std)
		wantCode(t, code, err, exitNo, `store unavailable: "try later"`)
	})
}

func TestSendNotAcknowledged(t *testing.T) {
	silent := &sessionPeer{fate: func(_ int, f *wire.Frame) bool { f.Cmd = wire.CmdPing; return false }}
	a := publishTo(startGateway(t, silent), 1)
	a.timeout = 100 * time.Millisecond
	std, _, _ := terminal("")
	code, err := send(t.Context(), a, std)
	wantCode(t, code, err, exitUsage, "HELLO")

	deaf := &sessionPeer{fate: func(_ int, f *wire.Frame) bool {
		if f.Cmd == wire.CmdApp {
			f.Cmd = wire.CmdPing // and the client ignores a PONG that answers nothing
		}
		return false
	}}
	a = publishTo(startGateway(t, deaf), 1)
	a.timeout = 2 * time.Second // in which it connects, too
	code, err = send(t.Context(), a, std)
	wantCode(t, code, err, exitNo, "not acknowledged within 2s")

	ctx, cancel := context.WithCancel(t.Context())
	a.timeout = time.Minute
	defer context.AfterFunc(t.Context(), cancel)()
	time.AfterFunc(200*time.Millisecond, cancel)
	code, err = send(ctx, a, std)
	if code == exitOK || err == nil || !strings.Contains(err.Error(), "interrupted") && !strings.Contains(err.Error(), "canceled") {
		t.Errorf("interrupted: %d, %v", code, err)
	}
}

func TestSendSessionArguments(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*sendArgs)
		want string
	}{
		{"nobody", func(a *sendArgs) { a.clientID = "" }, "--qos 1 without --client-id: messages of QoS 1 and 2 need a session, and a session somebody, such as --client-id device-42"},
		{"a ticket of nobody", func(a *sendArgs) { a.clientID, a.qos, a.ticket = "", 0, "t" }, "--credential and --ticket are for sessions: give --client-id, too"},
		{"a message that asks", func(a *sendArgs) { a.flag, a.flagGiven = 1, true }, "--flag 0x01: a message of QoS 1 is sent one way; leave out --flag, or --qos"},
		{"another flag", func(a *sendArgs) { a.qos, a.flag, a.flagGiven = 0, 4, true }, "--flag 0x04: over a session it is 0x01, which asks for an answer, or 0"},
		{"a command of the protocol", func(a *sendArgs) { a.cmd = 1 }, "--cmd 0x01: where there is a session, commands below 0x10 are the protocol's"},
		{"no room for the id", func(a *sendArgs) { a.data = strings.Repeat("x", 65532) }, "a payload of 65532 bytes: beside its id a message has room for 65531"},
		{"a long id", func(a *sendArgs) { a.clientID = strings.Repeat("x", 256) }, "--client-id: 256 bytes, and HELLO has room for 255"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := publishTo("127.0.0.1:1", 1)
			tt.set(&a)
			std, _, _ := terminal("")
			code, err := send(t.Context(), a, std)
			wantCode(t, code, err, exitUsage, tt.want)
		})
	}
}

func TestBenchPublish(t *testing.T) {
	g := &sessionPeer{fate: func(connection int, f *wire.Frame) bool { return connection == 1 && f.Cmd == wire.CmdPubRel }}
	a := benchArgs{
		dialArgs: dialing(startGateway(t, g)), conns: 3, inflight: 4, payload: 64, cmd: wire.CmdApp, duration: 500 * time.Millisecond,
		sessionArgs: sessionArgs{qos: 2, clientID: "b"},
	}
	std, out, errs := terminal("")
	code, err := bench(t.Context(), a, std)
	wantCode(t, code, err, exitNo, "") // a connection was lost, and that is an error
	var total int
	for _, client := range []string{"b-1", "b-2", "b-3"} {
		total += len(g.got(client))
	}
	for _, want := range []string{
		"acknowledged " + strconv.Itoa(total) + " messages of QoS 2 in 0.5 s, ", "messages/s and", "p99", "errors      1 closed by the peer",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s%s", want, out, errs)
		}
	}
	if g.byes != 3 || total < 12 {
		t.Errorf("%d byes, %d messages", g.byes, total)
	}

	a.addr = startGateway(t, &sessionPeer{secret: "x"})
	code, err = bench(t.Context(), a, std)
	wantCode(t, code, err, exitUsage, "session ")
	a.qos = 0
	code, err = bench(t.Context(), a, std)
	wantCode(t, code, err, exitUsage, "--client-id and --credential are for messages: give --qos 1 or --qos 2, too")
}
