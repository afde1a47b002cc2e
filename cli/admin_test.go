package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeAdmin is an admin endpoint that answers as it is told, and remembers what it was asked.
type fakeAdmin struct {
	answers map[string]string // by method and path, or method and path and query

	mu    sync.Mutex
	asked []string
}

func (f *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := r.Method + " " + r.URL.RequestURI()
	f.mu.Lock()
	f.asked = append(f.asked, asked)
	f.mu.Unlock()
	if o := r.Header.Get("Origin"); !strings.HasPrefix(o, "http://") {
		http.Error(w, `{"error":"no origin"}`, http.StatusForbidden)
		return
	}
	answer, ok := f.answers[asked]
	if !ok {
		answer, ok = f.answers[r.Method+" "+r.URL.Path]
	}
	switch {
	case !ok:
		http.NotFound(w, r)
	case strings.HasPrefix(answer, `{"error"`):
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, answer)
	default:
		fmt.Fprint(w, answer)
	}
}

func (f *fakeAdmin) took() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.asked
	f.asked = nil
	return all
}

// startAdmin returns the endpoint and its address.
func startAdmin(t *testing.T, answers map[string]string) (*fakeAdmin, string) {
	t.Helper()
	f := &fakeAdmin{answers: answers}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, strings.TrimPrefix(s.URL, "http://")
}

const handlersAnswer = `{"handlers":[{"handler":"devices","connections":1873,"connections_opened":20411,"frames_in":918273,"frames_out":910022,"bytes_in":59687745,"bytes_out":59151430,"generation":7,"draining":false}]}`

const upstreamsAnswer = `{"upstreams":[{"handler":"devices","upstream":"devices","admin":"enabled","waiting":2,"backends":[
{"backend":"10.0.0.1:9000","admin":"enabled","state":"connected","links":5,"spare":1,"in_flight":3,"failures":0,"error":"old","health":{"score":96.6},"requests":{"count":9,"p99_seconds":0.0125}},
{"backend":"10.0.0.2:9000","admin":"drained","state":"reconnecting","failures":4,"error":"connection refused"}]}]}`

func TestStatus(t *testing.T) {
	_, addr := startAdmin(t, map[string]string{"GET /gopr/handlers": handlersAnswer, "GET /gopr/upstreams": upstreamsAnswer})
	out, errs, err := runCommand("", "status", "--address", addr, "--interval", "1ms")
	want := `HANDLER  STATE  CONNECTIONS  OPENED/s  FRAMES IN/s  OUT/s  BYTES IN/s  OUT/s
devices  open   1873         0         0            0      0 B         0 B

UPSTREAM  WAITING  BACKEND        STATE                   SCORE  LINKS  SPARE  IN FLIGHT  REQUEST p99  FAILURES  LAST ERROR
devices   2        10.0.0.1:9000  connected               97     5      1      3          12.500 ms    0         -
                   10.0.0.2:9000  drained by an operator  0      0      0      0          -            4         connection refused
`
	if err != nil || out != want || errs != "" {
		t.Errorf("%v %s\n%s\nwant\n%s", err, errs, out, want)
	}
	out, _, err = runCommand("", "status", "--address", addr, "--interval", "0", "--json")
	if err != nil || !strings.Contains(out, `"handlers":[{"handler":"devices","connections":1873,"connections_opened":20411,`) || !strings.Contains(out, `"upstreams":[{"handler":"devices"`) || strings.Contains(out, "rates") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestStatusOfNothing(t *testing.T) {
	_, addr := startAdmin(t, map[string]string{"GET /gopr/handlers": `{"handlers":[]}`, "GET /gopr/upstreams": `{"upstreams":[]}`})
	if out, errs, err := runCommand("", "status", "--address", addr, "-i", "0"); err != nil || out != "this Caddy has no gopr handler, and no connection of one\n" {
		t.Errorf("%v %s\n%s", err, errs, out)
	}
}

// TestStatusWatch: it goes on until it is ended, also over a time without an answer.
func TestStatusWatch(t *testing.T) {
	f, addr := startAdmin(t, map[string]string{"GET /gopr/handlers": handlersAnswer, "GET /gopr/upstreams": upstreamsAnswer})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	std, out, errs := terminal("")
	ended := make(chan int, 1)
	go func() {
		code, err := status(ctx, statusArgs{adminArgs: adminArgs{address: addr}, watch: true, interval: time.Millisecond}, std)
		if err != nil {
			t.Error(err)
		}
		ended <- code
	}()
	await := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: never; %s", what, errs)
			}
		}
	}
	tables := func() int { return strings.Count(out.String(), "UPSTREAM ") }
	await("several tables", func() bool { return tables() > 2 })
	f.mu.Lock()
	f.answers = map[string]string{"GET /gopr/handlers": `{"error":"for a moment"}`}
	f.mu.Unlock()
	await("an error", func() bool { return strings.Contains(errs.String(), "for a moment") })
	f.mu.Lock()
	f.answers = map[string]string{"GET /gopr/handlers": handlersAnswer, "GET /gopr/upstreams": upstreamsAnswer}
	f.mu.Unlock()
	n := tables()
	await("another table", func() bool { return tables() > n })
	cancel()
	if code := <-ended; code != exitOK {
		t.Errorf("code %d, want %d", code, exitOK)
	}
}

func TestRates(t *testing.T) {
	at := time.Now()
	before := &overview{At: at, Handlers: []*handlerStatus{{Handler: "a", FramesIn: 100, BytesOut: 50}, {Handler: "b", FramesIn: 1000}}}
	now := &overview{At: at.Add(2 * time.Second), Handlers: []*handlerStatus{{Handler: "a", FramesIn: 300, BytesOut: 51}, {Handler: "b", FramesIn: 10}, {Handler: "new"}}}
	now.rate(before)
	if r := now.Handlers[0].Rates; now.Interval != 2 || r.FramesIn != 100 || r.BytesOut != 0.5 {
		t.Errorf("%v s: %+v", now.Interval, r)
	}
	if r := now.Handlers[1].Rates; r.FramesIn != 5 {
		t.Errorf("of a process that began anew: %+v", r)
	}
	if r := now.Handlers[2].Rates; r != nil {
		t.Errorf("of a handler that is new: %+v", r)
	}
}

// numbered are n connections, from a page's first to its last.
func numbered(list string, from, n int, next string) string {
	var all []string
	for i := from; i < from+n; i++ {
		all = append(all, fmt.Sprintf(`{"id":"r-%d","handler":"devices","remote":"10.0.0.1:%d","state":"idle","frames_in":7,"upstreams":[{"group":"devices","backend":"b:1"},{"group":"devices:0x20"}]}`, i, i))
	}
	if next != "" {
		next = `,"next":"` + next + `"`
	}
	return `{"` + list + `":[` + strings.Join(all, ",") + `]` + next + `}`
}

func TestConnections(t *testing.T) {
	f, addr := startAdmin(t, map[string]string{
		"GET /gopr/connections?limit=100":                               numbered("connections", 1, 100, "r-100"),
		"GET /gopr/connections?limit=1000":                              numbered("connections", 1, 1000, "r-1000"),
		"GET /gopr/connections?cursor=r-1000&limit=1000":                numbered("connections", 1001, 5, ""),
		"GET /gopr/connections?cursor=r-1000&limit=3":                   numbered("connections", 1001, 3, ""),
		"GET /gopr/connections?handler=a+b&idle_for=10m&limit=100":      numbered("connections", 1, 1, ""),
		"GET /gopr/closed?limit=100&reason=idle_timeout&tls_subject=CN": `{"closed":[{"id":"r-1","handler":"devices","remote":"10.0.0.1:1","closed":"2020-01-01T00:00:00Z","duration_seconds":61.5,"reason":"idle_timeout","error":"why"}]}`,
		"GET /gopr/connections/r-1":                                     `{"id":"r-1","handler":"devices","remote":"10.0.0.1:1","local":"10.0.0.9:7450","tls_subject":"CN=a","state":"active","rtt_seconds":0.0015,"frames_in":1,"bytes_in":2048,"upstreams":[{"group":"devices","backend":"b:1","unanswered":1},{"group":"devices:0x20"}],"frames":[{"at":"2020-01-01T00:00:00Z","direction":"in","heartbeat":true,"cmd":1,"flag":1,"bytes":26,"times":7},{"at":"2020-01-01T00:00:00Z","direction":"out","cmd":16,"flag":2,"bytes":74},{"at":"2020-01-01T00:00:00Z","direction":"in","rejected":"command","bytes":11}]}`,
		"GET /gopr/connections/r-2":                                     `{"error":"there is no connection r-2"}`,
	})
	for _, tt := range []struct {
		args  string
		lines int
		says  string // a regular expression
		errs  string
	}{
		{"", 101, `(?m)^ID +HANDLER +REMOTE +STATE +AGE +LAST FRAME +FRAMES IN +OUT +PENDING +UNANSWERED +BACKEND\nr-1 +devices +10.0.0.1:1 +idle +\S+ +- +7 +0 +0 B +0 +b:1$`, "100 connections; there are more: --limit 0 lists all\n"},
		{"--limit 0", 1006, `r-1005 `, ""},
		{"--limit 1003", 1004, `r-1003 `, ""},
		{"--limit 0 --json", 1005, `^{"id":"r-1",`, ""},
		{"--idle-for 10m --handler a_b", 2, ``, ""},
		{"--closed --reason idle_timeout --tls-subject CN", 2, `(?m)^\d+d\d+h ago +r-1 +devices +10.0.0.1:1 +1m1s +0 +0 +idle_timeout +why$`, ""},
		{"r-1", 21, `(?s)id +r-1\nhandler +devices\nremote +10.0.0.1:1\nlocal +10.0.0.9:7450\nTLS subject +CN=a\nstate +active\n.*round trip +1.500 ms\nin +1 frame, 2 KiB\nout +0 frames, 0 B\npending +0 B\nunanswered +0\nupstream +devices, backend b:1, 0*1 unanswered\nupstream +devices:0x20, backend none, 0 unanswered\n\nAGO +WAY +CMD +FLAG +BYTES\n\S+ +in +0x01 +0x01 +26 +heartbeat, 7 in a row\n\S+ +out +0x10 +0x02 +74\n\S+ +in +- +- +11 +rejected: command\n$`, ""},
		{"r-1 --json", 1, `^{"id":"r-1",.*"rejected":"command"`, ""},
	} {
		t.Run(tt.args, func(t *testing.T) {
			args := append([]string{"connections", "--address", addr}, strings.Fields(tt.args)...)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "a_b", "a b")
			}
			out, errs, err := runCommand("", args...)
			if n := strings.Count(out, "\n"); err != nil || n != tt.lines || errs != tt.errs || !regexp.MustCompile(tt.says).MatchString(out) {
				t.Errorf("%v: %d lines, want %d, %q, want %q\n%.3000s", err, n, tt.lines, errs, tt.errs, out)
			}
		})
	}
	f.took()
	for _, tt := range []struct{ args, says string }{
		{"r-2", "there is no connection r-2"},
		{"r-1 --handler a", "an id, r-1, and filters: give one or the other"},
		{"--reason eof", "--reason eof: a live connection has no reason to have ended: add --closed"},
		{"r-1 r-2", `"r-2" is one argument too many`},
		{"--limit many", "want a number"},
	} {
		if _, errs, err := runCommand("", append([]string{"connections", "--address", addr}, strings.Fields(tt.args)...)...); err == nil || !strings.Contains(errs, tt.says) {
			t.Errorf("%s: %v %s, want %s", tt.args, err, errs, tt.says)
		}
	}
}

func TestKill(t *testing.T) {
	f, addr := startAdmin(t, map[string]string{
		"DELETE /gopr/connections":               `{"closed":17}`,
		"DELETE /gopr/connections?state=waiting": `{"closed":0}`,
		"DELETE /gopr/connections/r-1":           `{"closed":1}`,
		"DELETE /gopr/connections/r-2":           `{"error":"there is no connection r-2"}`,
		"DELETE /gopr/connections/r-3":           `{"closed":1}`,
	})
	for _, tt := range []struct {
		args  string
		code  int
		says  string
		asked []string
	}{
		{"", exitUsage, "whom to close is missing: give ids, or filters such as --handler devices, or --all", nil},
		{"r-1 --all", exitUsage, "ids and filters: give one or the other", nil},
		{"--all --handler a", exitUsage, "--all and filters: give one or the other", nil},
		{"--all", exitOK, "closed 17 connections\n", []string{"DELETE /gopr/connections?all=true"}},
		{"--handler a --older-than 2d --limit 5", exitOK, "closed 17 connections\n", []string{"DELETE /gopr/connections?handler=a&limit=5&older_than=2d"}},
		{"--state waiting", exitNo, "closed 0 connections\n", []string{"DELETE /gopr/connections?state=waiting"}},
		{"r-1 r-3", exitOK, "closed 2 connections\n", []string{"DELETE /gopr/connections/r-1", "DELETE /gopr/connections/r-3"}},
		{"r-1 r-2 r-3", exitNo, "closed 2 connections\nthere is no connection r-2\n", []string{"DELETE /gopr/connections/r-1", "DELETE /gopr/connections/r-2", "DELETE /gopr/connections/r-3"}},
	} {
		f.took()
		out, errs, err := runCommand("", append([]string{"kill", "--address", addr}, strings.Fields(tt.args)...)...)
		if codeOf(err) != tt.code || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: code %d, want %d: %s%s, want %s", tt.args, codeOf(err), tt.code, out, errs, tt.says)
		}
		if asked := f.took(); fmt.Sprint(asked) != fmt.Sprint(tt.asked) {
			t.Errorf("%s: asked %q, want %q", tt.args, asked, tt.asked)
		}
	}
}

func TestUpstreams(t *testing.T) {
	f, addr := startAdmin(t, map[string]string{
		"GET /gopr/upstreams": upstreamsAnswer, "GET /gopr/upstreams/devices:0x20": upstreamsAnswer,
		"POST /gopr/upstreams/devices/drain": upstreamsAnswer,
		"GET /gopr/upstreams/none":           `{"error":"no upstream \"none\""}`,
	})
	for _, tt := range []struct {
		args  string
		code  int
		says  string
		asked string
	}{
		{"", exitOK, "UPSTREAM  WAITING  BACKEND", "GET /gopr/upstreams"},
		{"devices:0x20", exitOK, "10.0.0.1:9000", "GET /gopr/upstreams/devices:0x20"},
		{"--json", exitOK, `{"handler":"devices","upstream":"devices"`, "GET /gopr/upstreams"},
		{"devices drain --backend b:1", exitOK, "drained by an operator", "POST /gopr/upstreams/devices/drain?backend=b%3A1"},
		{"none", exitNo, `no upstream "none"`, "GET /gopr/upstreams/none"},
		{"devices --backend b:1", exitUsage, "--backend b:1: it is for a verb, as in `upstreams GROUP drain --backend b:1`", ""},
		{"a b c", exitUsage, `"c" is one argument too many`, ""},
	} {
		f.took()
		out, errs, err := runCommand("", append([]string{"upstreams", "--address", addr}, strings.Fields(tt.args)...)...)
		if codeOf(err) != tt.code || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: code %d, want %d: %s%s, want %s", tt.args, codeOf(err), tt.code, out, errs, tt.says)
		}
		if asked := strings.Join(f.took(), " "); asked != tt.asked {
			t.Errorf("%s: asked %q, want %q", tt.args, asked, tt.asked)
		}
	}
}

func TestDrain(t *testing.T) {
	f, addr := startAdmin(t, map[string]string{
		"POST /gopr/drain":                 `{"handlers":[{"handler":"devices","connections":1873},{"handler":"other","connections":1}],"grace_seconds":5,"drain_seconds":30}`,
		"DELETE /gopr/drain":               `{"handlers":[{"handler":"devices","connections":12}]}`,
		"DELETE /gopr/drain?handler=other": `{"handlers":[]}`,
		"POST /gopr/drain?handler=none":    `{"error":"there is no handler \"none\""}`,
	})
	for _, tt := range []struct {
		args  string
		code  int
		says  string
		asked string
	}{
		{"", exitOK, "devices: 1873 connections to be closed over 30s, after 5s\nother: 1 connection to be closed over 30s, after 5s\n", "POST /gopr/drain"},
		{"devices --grace 5s --drain 30s", exitOK, "devices: 1873", "POST /gopr/drain?drain=30s&grace=5s&handler=devices"},
		{"--cancel", exitOK, "devices lets clients in again, beside 12 connections\n", "DELETE /gopr/drain"},
		{"other --cancel", exitNo, "there was nothing to do\n", "DELETE /gopr/drain?handler=other"},
		{"none", exitNo, `there is no handler "none"`, "POST /gopr/drain?handler=none"},
		{"--cancel --grace 1s", exitUsage, "--cancel lets clients in again: leave --grace and --drain out", ""},
	} {
		f.took()
		out, errs, err := runCommand("", append([]string{"drain", "--address", addr}, strings.Fields(tt.args)...)...)
		if codeOf(err) != tt.code || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: code %d, want %d: %s%s, want %s", tt.args, codeOf(err), tt.code, out, errs, tt.says)
		}
		if asked := strings.Join(f.took(), " "); asked != tt.asked {
			t.Errorf("%s: asked %q, want %q", tt.args, asked, tt.asked)
		}
	}
}

func TestHandlerState(t *testing.T) {
	for want, h := range map[string]handlerStatus{"open": {Generation: 1}, "draining": {Generation: 1, Draining: true}, "gone": {}} {
		if got := h.state(); got != want {
			t.Errorf("%+v: %s, want %s", h, got, want)
		}
	}
}

// TestAdminAddress: where the endpoint is said to be, and what is said where there is none.
func TestAdminAddress(t *testing.T) {
	answers := map[string]string{"GET /gopr/handlers": handlersAnswer, "GET /gopr/upstreams": upstreamsAnswer}
	_, addr := startAdmin(t, answers)
	config := filepath.Join(t.TempDir(), "caddy.json")
	if err := os.WriteFile(config, []byte(`{"admin":{"listen":"`+addr+`"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err) // a system without
	}
	onUnix := &httptest.Server{Listener: ln, Config: &http.Server{Handler: &fakeAdmin{answers: answers}}}
	onUnix.Start()
	t.Cleanup(onUnix.Close)
	bare := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(bare.Close)
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"--address " + addr, exitOK, "devices"},
		{"--config " + config, exitOK, "devices"},
		{"--address unix/" + socket, exitOK, "devices"},
		{"--address unix/" + socket + "|0600", exitOK, "devices"},
		{"--address " + strings.TrimPrefix(bare.URL, "http://"), exitNo, "this Caddy has no such admin API: it is built without this module"},
		{"--address localhost:1-9", exitUsage, "--address localhost:1-9: want one such as localhost:2019 or unix//run/caddy.sock"},
		{"--config /nowhere/caddy.json", exitUsage, "/nowhere/caddy.json"},
	} {
		out, errs, err := runCommand("", append(strings.Fields("status -i 0"), strings.Fields(tt.args)...)...)
		if codeOf(err) != tt.code || !strings.Contains(out+errs, tt.says) {
			t.Errorf("%s: code %d, want %d: %s%s, want %s", tt.args, codeOf(err), tt.code, out, errs, tt.says)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	std, _, _ := terminal("")
	if code, err := status(ctx, statusArgs{adminArgs: adminArgs{address: nobody}}, std); code != exitUsage || !strings.Contains(fmt.Sprint(err), "no answer of Caddy's admin endpoint, at http://"+nobody) {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 350*time.Millisecond + 3: "350ms", 12*time.Second + 5e8: "12s", 5*time.Minute + 30*time.Second: "5m30s",
		7*time.Hour + 12*time.Minute + 59*time.Second: "7h12m", 76 * time.Hour: "3d4h",
	} {
		if got := span(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0 B", 999: "999 B", 1000: "0.977 KiB", 2048: "2 KiB", 1 << 20: "1 MiB", 1 << 61: "2.05e+03 PiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}

// codeOf is the exit code that an error of runCommand stands for.
func codeOf(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errExitNo):
		return exitNo
	default:
		return exitUsage
	}
}
