package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile" // the adapter
	_ "github.com/mholt/caddy-l4/modules/l4close"
	_ "github.com/mholt/caddy-l4/modules/l4tls"

	_ "github.com/caddy-gopr/caddy-gopr/authenticate"
	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/handler"
	"github.com/caddy-gopr/caddy-gopr/matcher"
)

// adapt makes JSON of a Caddyfile, as `caddy adapt` does.
func adapt(t *testing.T, text string) ([]byte, error) {
	t.Helper()
	adapter := caddyconfig.GetAdapter("caddyfile")
	got, warnings, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	for _, w := range warnings {
		t.Errorf("warning: %v", w)
	}
	return got, err
}

// provision is what `caddy validate` does: nothing is listened on, and nobody is dialled.
func provision(config []byte) error {
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		return err
	}
	return caddy.Validate(&cfg)
}

// TestAdapt: each file in caddyfile/ is a Caddyfile, a line of dashes, and the JSON that it stands for, in the form of caddy-l4's own. The JSON is provisioned, too.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("caddyfile/*.caddytest")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddytest"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, want, ok := strings.Cut(string(b), "\n----------\n")
			if !ok {
				t.Fatalf("%s has no line of dashes", file)
			}
			text += "\n"
			if formatted := string(caddyfile.Format([]byte(text))); formatted != text {
				t.Errorf("the Caddyfile is not formatted; `caddy fmt` makes of it\n%s", formatted)
			}
			got, err := adapt(t, text)
			if err != nil {
				t.Fatal(err)
			}
			if got := indented(t, got); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			if err := provision([]byte(withCerts(t, string(got)))); err != nil {
				t.Errorf("it does not provision: %v", err)
			}
		})
	}
}

func indented(t *testing.T, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "\t"); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.String()
}

// TestEveryOptionHasAGoldenFile: an option that no file in caddyfile/ shows is an option that nobody has tried.
func TestEveryOptionHasAGoldenFile(t *testing.T) {
	shown := make(map[string]bool) // "handler.upstream.on_loss"
	files, err := filepath.Glob("caddyfile/*.caddytest")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(b), "\n----------\n")
		var config any
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		find(config, func(at string, module any) { mark(at, module, shown) })
	}
	for at, module := range map[string]any{"format": gateway.Format{}, "handler": handler.Handler{}, "matcher": matcher.Matcher{}} {
		for _, option := range options(at, reflect.TypeOf(module)) {
			if !shown[option] && option != "format.heartbeat.ping.any" { // a ping that may be any frame is refused
				t.Errorf("no golden file has %s", option)
			}
		}
	}
}

// find calls with each declared format, and each gopr handler and matcher of a configuration.
func find(v any, with func(at string, module any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			find(e, with)
		}
	case map[string]any:
		if v["handler"] == "gopr" {
			with("handler", v)
		}
		for name, e := range v {
			switch {
			case name == "gopr" && v["layer4"] != nil:
				formats, _ := e.(map[string]any)["formats"].(map[string]any)
				for _, format := range formats {
					with("format", format)
				}
			case name == "gopr":
				with("matcher", e)
			}
			find(e, with)
		}
	}
}

// mark notes the options that are set.
func mark(at string, v any, shown map[string]bool) {
	if v, ok := v.(map[string]any); ok {
		for name, e := range v {
			shown[at+"."+name] = true
			mark(at+"."+name, e, shown)
		}
	}
}

// options are the names of a struct's options in JSON.
func options(at string, of reflect.Type) (names []string) {
	for f := range of.Fields() {
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" {
			continue
		}
		names = append(names, at+"."+tag)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			names = append(names, options(at+"."+tag, inner)...)
		}
	}
	return names
}

// in puts a line, or more, into the block of a handler: line 5 of the file is the handler's, the first line of the block is line 6.
func in(block string) string {
	return fmt.Sprintf("{\n\tlayer4 {\n\t\t:7450 {\n\t\t\troute {\n\t\t\t\tgopr devices {\n%s\n\t\t\t\t}\n\t\t\t}\n\t\t}\n\t}\n}\n", block)
}

// TestMistakes: what is wrong, where, and what would be right.
func TestMistakes(t *testing.T) {
	const echo = "respond echo"
	tests := []struct{ name, text, want string }{
		{"an unknown option", in("idle 45s\n" + echo), `gopr has no option "idle"; it has access_log, commands, format, frame_timeout, heartbeat, idle_timeout, limits, max_payload, on_invalid, queue, require, respond, route, sessions, tcp_keepalive, upstream, versions, write_timeout, at Caddyfile:6`},
		{"an unknown limit", in("limits {\nper_host 5\n}\n" + echo), `limits has no option "per_host"; it has bytes, connections, exceed, failed_hello, first_frame, flapping, frames, handshake, pending, per_ip, at Caddyfile:7`},
		{"an option twice", in(echo + "\nversions 1\nversions 2"), "gopr versions is given twice: once is enough, at Caddyfile:8"},
		{"a duration that is none", in("idle_timeout 45\n" + echo), "idle_timeout: \"45\" is no duration: write it as `idle_timeout 45s`, at Caddyfile:6"},
		{"a negative duration", in("frame_timeout -1s\n" + echo), "frame_timeout: \"-1s\" is negative: write it as `frame_timeout 10s`, at Caddyfile:6"},
		{"a number that is none", in("limits {\nconnections many\n}\n" + echo), "connections: \"many\" is no whole number: write it as `connections 100000`, at Caddyfile:7"},
		{"a negative number", in("limits {\nconnections -1\n}\n" + echo), "connections: \"-1\" is negative: write it as `connections 100000`, at Caddyfile:7"},
		{"a size that is none", in("max_payload big\n" + echo), "max_payload: \"big\" is no size: write it as `max_payload 16KiB`, at Caddyfile:6"},
		{"a missing argument", in("on_invalid\n" + echo), "on_invalid has 0 arguments: write it as `on_invalid close`, at Caddyfile:6"},
		{"an argument too many", in("idle_timeout 45s 60s\n" + echo), "idle_timeout has 2 arguments: write it as `idle_timeout 45s`, at Caddyfile:6"},
		{"a heartbeat of one number", in("heartbeat {\nping 0x01\n}\n" + echo), "ping has 1 arguments: write it as `ping 0x01 0x01`, at Caddyfile:7"},
		{"a block where none is", in("idle_timeout 45s {\nx\n}\n" + echo), "idle_timeout takes no block: write it as `idle_timeout 45s`, at Caddyfile:7"},
		{"a rate without its time", in("limits {\nframes 1000\n}\n" + echo), "frames: \"1000\" does not say in which time: write it as `frames 1000/s 2000`, at Caddyfile:7"},
		{"a rate of words", in("limits {\nbytes much/s\n}\n" + echo), "bytes: \"much\" is no size: write it as `bytes 1MiB/s 4MiB`, at Caddyfile:7"},
		{"a ban that is not called one", in("limits {\nflapping 15/1m for 5m\n}\n" + echo), "flapping: \"for\" where \"ban\" should be: write it as `flapping 15/1m ban 5m`, at Caddyfile:7"},
		{"a word where a block is", in("limits 100\n" + echo), "limits takes a block, not \"100\": write `limits { … }`, at Caddyfile:6"},
		{"two names", strings.Replace(in(echo), "devices", "devices more", 1), "\"more\" is one argument too many: gopr takes a name and a block, as in `gopr devices { … }`, at Caddyfile:5"},

		{"nowhere to go", in("versions 1"), "gopr handler \"devices\": there is nowhere to send frames: add `upstream host:port`, or `respond echo`, at Caddyfile:5"},
		{"two ways to go", in("upstream 10.0.0.1:9000\n" + echo), `gopr handler "devices": both upstream and respond are set: frames can go one way only, so remove one, at Caddyfile:5`},
		{"a choice that is none", in("on_invalid ignore\n" + echo), `gopr handler "devices": unknown on_invalid "ignore": close or drop, at Caddyfile:5`},
		{"a command that is none", in("commands 0x10-0xXY\n" + echo), `gopr handler "devices": command "0x10-0xXY": want a number such as 16 or 0x10, or a range such as 0x10-0xFF, at Caddyfile:5`},
		{"a backend without a port", in("upstream 10.0.0.1"), `gopr handler "devices": upstream: backend "10.0.0.1" is no address: write it as host:port, such as 10.0.0.1:9000, or unix//path, at Caddyfile:5`},
		{"a port that is none", in("upstream 10.0.0.1:70000"), `gopr handler "devices": upstream: backend "10.0.0.1:70000" has no valid port: a number from 1 to 65535, at Caddyfile:5`},
		{"an upstream without a backend", in("upstream {\n}"), `gopr handler "devices": upstream: upstream has no backend: name at least one, such as 127.0.0.1:9000, or have them found, as with ` + "`dynamic srv _gopr._tcp.example.com`" + `, at Caddyfile:5`},
		{"a policy that is none", in("upstream 10.0.0.1:9000 {\npolicy best\n}"), `gopr handler "devices": upstream: unknown policy "best": one of client_hash, first, health, ip_hash, least_conn, random, round_robin, at Caddyfile:5`},
		{"min above max", in("upstream 10.0.0.1:9000 {\nconnections 65 64\n}"), `gopr handler "devices": upstream: connections min 65 is above max 64: give a min of 64 or less, at Caddyfile:5`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := adapt(t, string(caddyfile.Format([]byte(tt.text)))); err == nil || !strings.HasSuffix(err.Error(), tt.want) {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}

// TestMistakesOfTheWhole show only when the configuration is provisioned.
func TestMistakesOfTheWhole(t *testing.T) {
	two := strings.Replace(in("respond echo"), "\t\t\troute {", "\t\t\troute {\n\t\t\t\tgopr devices {\n\t\t\t\t\trespond echo\n\t\t\t\t}\n\t\t\t}\n\t\t\troute {", 1)
	config, err := adapt(t, string(caddyfile.Format([]byte(two))))
	if err != nil {
		t.Fatal(err)
	}
	const want = "two gopr handlers are named \"devices\": metrics and live connections go by the name, so give each its own, as in `gopr devices2 { … }`"
	if err := provision(config); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

// TestUnknownJSON: a word that the modules do not know is refused, and not passed over.
func TestUnknownJSON(t *testing.T) {
	config, err := adapt(t, string(caddyfile.Format([]byte(in("respond echo")))))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{`"idle": "45s"`, `"limits": {"per_host": 5}`, `"heartbeat": {"pnig": {}}`} {
		wrong := strings.Replace(string(config), `"respond":"echo"`, `"respond":"echo",`+word, 1)
		if wrong == string(config) {
			t.Fatalf("no place for %s in %s", word, config)
		}
		if err := provision([]byte(wrong)); err == nil || !strings.Contains(err.Error(), "unknown field") {
			t.Errorf("%s: got %v, want it refused", word, err)
		}
	}
}
