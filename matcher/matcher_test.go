package matcher

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// unread is a connection that must not be read: a matcher has what was prefetched, and no more.
type unread struct {
	net.Conn
	t *testing.T
}

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the matcher reads from the connection itself")
	return 0, errors.New("not allowed")
}
func (unread) LocalAddr() net.Addr  { return &net.TCPAddr{Port: 7450} }
func (unread) RemoteAddr() net.Addr { return &net.TCPAddr{Port: 40000} }

// verdicts.
const (
	yes  = "yes"
	no   = "no"
	more = "more"
)

func match(t *testing.T, m *Matcher, prefetched string) (string, *layer4.Connection) {
	t.Helper()
	cx := layer4.WrapConnection(unread{t: t}, []byte(prefetched), zap.NewNop())
	ok, err := m.Match(cx)
	if got := string(cx.MatchingBytes()); got != prefetched {
		t.Errorf("%q is left of %q: the matcher must use nothing up", got, prefetched)
	}
	switch {
	case ok && err == nil:
		return yes, cx
	case err == nil:
		return no, cx
	case errors.Is(err, layer4.ErrConsumedAllPrefetchedBytes) && !ok:
		return more, cx
	}
	t.Fatalf("match says %v, %v", ok, err)
	return "", nil
}

// context is the one of a configuration that is being loaded.
func context(t *testing.T) caddy.Context {
	t.Helper()
	ctx, err := caddy.ProvisionContext(new(caddy.Config))
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func provisioned(t *testing.T, m *Matcher) *Matcher {
	t.Helper()
	if err := m.Provision(context(t)); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestMatchEveryPrefix: the verdict on each prefix of a stream is more, more, … and then yes or no for good.
func TestMatchEveryPrefix(t *testing.T) {
	picky := Matcher{Versions: []uint32{1, 2}, MaxPayload: 16, Commands: []string{"0x01", "0x10-0x1F"}}
	tests := []struct {
		name    string
		m       Matcher
		stream  string
		decided int // at so many bytes
		verdict string
	}{
		{"a frame", Matcher{}, "GOPR\x00\x01\x00\x05\x10\x01hello", 10, yes},
		{"without a payload", Matcher{}, "GOPR\x00\x01\x00\x00\x01\x01", 10, yes},
		{"two frames", Matcher{}, "GOPR\x00\x01\x00\x00\x01\x01GOPR\x00\x01\x00\x00\x01\x01", 10, yes},
		{"then garbage", Matcher{}, "GOPR\x00\x01\x00\x00\x01\x01garbage", 10, yes},
		{"HTTP", Matcher{}, "GET / HTTP/1.1\r\n\r\n", 2, no},
		{"TLS", Matcher{}, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 1, no},
		{"SSH", Matcher{}, "SSH-2.0-Go\r\n", 1, no},
		{"nearly", Matcher{}, "GOPX\x00\x01\x00\x00\x01\x01", 4, no},
		{"another version", Matcher{}, "GOPR\x00\x02\x00\x00\x01\x01", 8, no},
		{"an accepted version", picky, "GOPR\x00\x02\x00\x00\x01\x01", 10, yes},
		{"a version that is not", picky, "GOPR\x00\x03\x00\x00\x01\x01", 8, no},
		{"just not too long", picky, "GOPR\x00\x01\x00\x10\x10\x01", 10, yes},
		{"too long", picky, "GOPR\x00\x01\x00\x11\x10\x01", 8, no},
		{"a command of the range", picky, "GOPR\x00\x01\x00\x00\x1F\x01", 10, yes},
		{"a command that is not", picky, "GOPR\x00\x01\x00\x00\x20\x01", 9, no},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := provisioned(t, &tt.m)
			for n := range len(tt.stream) + 1 {
				want := more
				if n >= tt.decided {
					want = tt.verdict
				}
				if got, _ := match(t, m, tt.stream[:n]); got != want {
					t.Errorf("%q: %s, want %s", tt.stream[:n], got, want)
				}
			}
		})
	}
}

func TestPlaceholders(t *testing.T) {
	m := provisioned(t, &Matcher{Versions: []uint32{1, 2}})
	_, cx := match(t, m, "GOPR\x00\x02\x00\x00\x1F\x01")
	if got := cx.Replacer().ReplaceAll("{l4.gopr.format} {l4.gopr.version} {l4.gopr.cmd}", "?"); got != "gopr 2 31" {
		t.Errorf("placeholders say %q", got)
	}
	_, cx = match(t, m, "GET / HTTP/1.1")
	if got := cx.Replacer().ReplaceAll("{l4.gopr.format}", "none"); got != "none" {
		t.Errorf("the placeholder of another protocol's connection says %q", got)
	}
}

func TestUnmarshalCaddyfile(t *testing.T) {
	tests := []struct {
		name, in string
		want     string // JSON
		err      string // a part
	}{
		{"bare", `gopr`, `{}`, ""},
		{"an empty block", "gopr {\n}", `{}`, ""},
		{"all", "gopr {\nformat gopr\nversions 1 0x2\nmax_payload 16KiB\ncommands 0x01 0x10-0xFF\n}", `{"format":"gopr","versions":[1,2],"max_payload":16384,"commands":["0x01","0x10-0xFF"]}`, ""},
		{"an argument", `gopr devices`, "", "gopr takes a block, not \"devices\": write `gopr { … }`, at Testfile:1"},
		{"an unknown option", "gopr {\nmax 1\n}", "", `gopr has no option "max"; it has commands, format, max_payload, versions, at Testfile:2`},
		{"an option twice", "gopr {\nversions 1\nversions 2\n}", "", "gopr versions is given twice: once is enough, at Testfile:3"},
		{"no argument", "gopr {\nversions\n}", "", "versions has 0 arguments: write it as `versions 1`, at Testfile:2"},
		{"no size", "gopr {\n\nmax_payload -1\n}", "", "max_payload: \"-1\" is no size: write it as `max_payload 16KiB`, at Testfile:3"},
		{"no version", "gopr {\nversions one\n}", "", "versions: \"one\" is no number such as 16 or 0x10: write it as `versions 1`, at Testfile:2"},
		{"no command", "gopr {\ncommands ping\n}", "", `gopr matcher: command "ping": want a number such as 16 or 0x10, or a range such as 0x10-0xFF, at Testfile:1`},
		{"a command too great", "gopr {\ncommands 0x100\n}", "", `gopr matcher: command 0x100: the command field of gopr says at most 0xFF, at Testfile:1`},
		{"a version too great", "gopr {\nversions 65536\n}", "", `gopr matcher: version 65536: the version field of gopr says at most 65535, at Testfile:1`},
		{"a payload too long", "gopr {\nmax_payload 64KiB\n}", "", `gopr matcher: maximum payload of 65536 bytes: the length field of gopr says at most 65535, at Testfile:1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m Matcher
			err := m.UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.in))
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v\nwant %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.Marshal(&m)
			if err != nil || string(got) != tt.want {
				t.Errorf("got %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

// TestProvision: JSON's mistakes are told as the Caddyfile's are.
func TestProvision(t *testing.T) {
	for in, want := range map[string]string{
		`{"format": "mqtt"}`:                     `gopr matcher: unknown format "mqtt": one of gopr, mc, fram, golg, length, or one that the global option gopr declares`,
		`{"max_payload": -1}`:                    "gopr matcher: maximum payload of -1 bytes: want 1 to 65535, or 0 for 65535",
		`{"commands": ["0x20-0x10"]}`:            `gopr matcher: command range "0x20-0x10" runs backwards: want 0x10-0x20`,
		`{"versions": [1, 70000], "format": ""}`: "gopr matcher: version 70000: the version field of gopr says at most 65535",
	} {
		var m Matcher
		if err := json.Unmarshal([]byte(in), &m); err != nil {
			t.Fatal(err)
		}
		if err := m.Provision(context(t)); err == nil || err.Error() != want {
			t.Errorf("%s: got %v\nwant %s", in, err, want)
		}
	}
}

// TestNextRoute: through layer4's own routing, a connection of another protocol goes to the next route at its first wrong byte, and ours arrives whole.
func TestNextRoute(t *testing.T) {
	for _, tt := range []struct{ name, stream, want string }{
		{"ours", "GOPR\x00\x01\x00\x00\x10\x01", "gopr"},
		{"another's, one byte of it", "H", "other"},
		{"another's that begins like ours", "GOPH", "other"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			routes := layer4.RouteList{
				route("gopr", map[string]string{"gopr": "{}"}),
				route("other", nil),
			}
			ctx := context(t)
			if err := routes.Provision(ctx); err != nil {
				t.Fatal(err)
			}
			compiled := routes.Compile(zap.NewNop(), time.Minute, layer4.HandlerFunc(func(*layer4.Connection) error { return nil }))
			ours, theirs := net.Pipe()
			done := make(chan error)
			go func() { done <- compiled.Handle(layer4.WrapConnection(ours, nil, zap.NewNop())) }()
			go func() {
				for _, b := range []byte(tt.stream) {
					_, _ = theirs.Write([]byte{b})
				}
			}()
			got := make([]byte, 100)
			n, err := theirs.Read(got)
			if err != nil {
				t.Fatal(err)
			}
			if s := string(got[:n]); s != tt.want+" "+tt.stream {
				t.Errorf("the route says %q, want %q", s, tt.want+" "+tt.stream)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
			_, _ = ours.Close(), theirs.Close()
		})
	}
}

func init() { caddy.RegisterModule(naming{}) }

// naming is a handler that answers with its name and with what came first.
type naming struct {
	Name string `json:"name"`
}

func (naming) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.handlers.naming", New: func() caddy.Module { return new(naming) }}
}

func (n naming) Handle(cx *layer4.Connection, _ layer4.Handler) error {
	b := make([]byte, 100)
	size, err := cx.Read(b)
	if err != nil {
		return err
	}
	_, err = cx.Write([]byte(n.Name + " " + string(b[:size])))
	return err
}

func route(name string, match map[string]string) *layer4.Route {
	handler, _ := json.Marshal(map[string]string{"handler": "naming", "name": name})
	r := &layer4.Route{HandlersRaw: []json.RawMessage{handler}}
	if match != nil {
		set := caddy.ModuleMap{}
		for k, v := range match {
			set[k] = json.RawMessage(v)
		}
		r.MatcherSetsRaw = append(r.MatcherSetsRaw, set)
	}
	return r
}

// TestStrictJSON: a word that the matcher does not know is refused, and not passed over.
func TestStrictJSON(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
	defer cancel()
	_, err := ctx.LoadModuleByID("layer4.matchers.gopr", json.RawMessage(`{"max_payloads": 1}`))
	if err == nil || !strings.Contains(err.Error(), `unknown field "max_payloads"`) {
		t.Errorf("got %v", err)
	}
}
