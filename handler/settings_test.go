package handler

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// every has every option of the handler, in Caddyfile.
const every = `gopr devices {
	format        gopr
	versions      1 2
	commands      0x10-0x1F 0x80
	max_payload   16KiB
	on_invalid    drop
	frame_timeout 5s
	idle_timeout  90s
	write_timeout 7s
	heartbeat {
		ping  0x01 0x01
		pong  0x01 0x02
		probe 60s
	}
	tcp_keepalive 30s 5s 3
	limits {
		connections 1000
		per_ip      10
		frames      1000/s 2000
		bytes       1MiB/m
		exceed      close
		pending     64KiB
		flapping    15/1m ban 5m
		first_frame 3s
		handshake   4s
	}
	access_log
	upstream 10.0.0.1:9000 unix//run/backend.sock {
		to            10.0.0.2:9000
		pooling       session
		connections   0 64
		policy        least_conn
		dial_timeout  2s
		write_timeout 3s
		reconnect {
			initial  2s
			factor   2
			max      1m
			jitter   0
			attempts 0
			pause    10m
			stable   20s
		}
		heartbeat     10s 4s
		tcp_keepalive off
		on_loss       close
		buffer        8KiB
	}
}`

func parse(t *testing.T, in string) *Handler {
	t.Helper()
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(in)); err != nil {
		t.Fatal(err)
	}
	return h
}

func compiled(t *testing.T, h *Handler) *settings {
	t.Helper()
	s, err := h.compile()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestEveryOption: each option arrives where it belongs.
func TestEveryOption(t *testing.T) {
	s := compiled(t, parse(t, every))
	tests := []struct {
		option    string
		got, want any
	}{
		{"name", s.name, "devices"},
		{"format", s.format.Name(), "gopr"},
		{"versions", s.version, uint32(1)},
		{"commands", s.commands.String(), "0x10-0x1F 0x80"},
		{"max_payload", s.dec.MaxFrame(), 16384 + 10},
		{"on_invalid", s.drop, true},
		{"frame_timeout, idle_timeout", s.limits, keepalive.Limits{Frame: 5 * time.Second, Idle: 90 * time.Second}},
		{"write_timeout", s.transport.WriteTimeout, 7 * time.Second},
		{"heartbeat ping", s.ping, Control{1, 1}},
		{"heartbeat pong", s.pong, Control{1, 2}},
		{"heartbeat probe", *s.probe, keepalive.Heartbeat{Interval: time.Minute, Timeout: 30 * time.Second, Jitter: 0.1}},
		{"tcp_keepalive", s.tcp, keepalive.TCP{Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}},
		{"limits connections", s.rules.Connections, 1000},
		{"limits per_ip", s.rules.PerAddress, 10},
		{"limits frames", *s.rates.frames, rate{perSecond: 1000, burst: 2000}},
		{"limits bytes", *s.rates.bytes, rate{perSecond: (1 << 20) / 60.0, burst: 1 << 20}},
		{"limits exceed", s.rates.close, true},
		{"limits pending", s.transport.High, 65536},
		{"limits flapping", s.rules.Flapping, gateway.Flapping{Connects: 15, Within: time.Minute, Ban: 5 * time.Minute}},
		{"limits first_frame", s.first, 3 * time.Second},
		{"limits handshake", s.rules.Handshake, 4 * time.Second},
		{"access_log", s.accessLog, true},
		{"respond", s.echo, false},
		{"upstream, to", s.upstream.cfg.Backends, []string{"10.0.0.1:9000", "unix//run/backend.sock", "10.0.0.2:9000"}},
		{"connections min", s.upstream.cfg.MinLinks, -1},
		{"connections max", s.upstream.cfg.MaxLinks, 64},
		{"policy", s.upstream.cfg.Policy, upstream.LeastConn},
		{"dial_timeout", s.upstream.cfg.DialTimeout, 2 * time.Second},
		{"upstream write_timeout", s.upstream.cfg.WriteTimeout, 3 * time.Second},
		{"reconnect", s.upstream.cfg.Reconnect, upstream.Reconnect{
			Initial: 2 * time.Second, Factor: 2, Max: time.Minute, Jitter: -1, Attempts: -1, Pause: 10 * time.Minute, Stable: 20 * time.Second,
		}},
		{"upstream heartbeat", *s.upstream.cfg.Heartbeat, keepalive.Heartbeat{Interval: 10 * time.Second, Timeout: 4 * time.Second}},
		{"upstream tcp_keepalive", s.upstream.cfg.TCP.Off, true},
		{"on_loss", s.upstream.cfg.OnLoss, upstream.Close},
		{"buffer", s.upstream.cfg.Buffer, 8192},
	}
	for _, tt := range tests {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %v, want %v", tt.option, tt.got, tt.want)
		}
	}
}

func TestDefaults(t *testing.T) {
	s := compiled(t, parse(t, "gopr {\nupstream 127.0.0.1:9000\n}"))
	tests := []struct {
		option    string
		got, want any
	}{
		{"name", s.name, "default"},
		{"max_payload", s.dec.MaxFrame(), 65535 + 10},
		{"commands", s.commands.String(), "all"},
		{"on_invalid", s.drop, false},
		{"access_log", s.accessLog, false},
		{"frame_timeout, idle_timeout", s.limits, keepalive.Limits{Frame: 10 * time.Second, Idle: 45 * time.Second}},
		{"write_timeout", s.transport.WriteTimeout, 10 * time.Second},
		{"heartbeat ping", s.ping, Control{1, 1}},
		{"heartbeat pong", s.pong, Control{2, 2}},
		{"tcp_keepalive", s.tcp, keepalive.TCP{Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}},
		{"limits connections, per_ip, flapping, failed_hello, handshake", s.rules, gateway.Rules{FailedHello: gateway.Flapping{Connects: 10, Within: time.Minute, Ban: time.Minute}, Handshake: 5 * time.Second}},
		{"limits frames, bytes", s.rates, (*rates)(nil)},
		{"limits first_frame", s.first, time.Duration(0)},
		{"limits pending", s.transport.High, 1 << 20},
	}
	for _, tt := range tests {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s is %v, want %v", tt.option, tt.got, tt.want)
		}
	}
	if s.probe != nil {
		t.Errorf("clients are probed: %v", *s.probe)
	}
	if err := s.upstream.cfg.Validate(); err != nil {
		t.Error(err)
	}
	if s := compiled(t, parse(t, "gopr {\nupstream 127.0.0.1:9000 {\nheartbeat off\n}\n}")); s.upstream.cfg.Heartbeat.Interval >= 0 {
		t.Errorf("heartbeat off is an interval of %v, want a negative one", s.upstream.cfg.Heartbeat.Interval)
	}
}

// TestRoundTrip: Caddyfile, JSON and back are the same configuration, and the same settings.
func TestRoundTrip(t *testing.T) {
	for name, in := range map[string]string{
		"every option": every,
		"the least":    "gopr {\nrespond echo\n}",
		"zeros that are no defaults": `gopr {
			idle_timeout 0
			frame_timeout 0
			upstream 127.0.0.1:9000 {
				connections 0 0
				reconnect {
					jitter 0
					attempts 0
				}
			}
		}`,
	} {
		t.Run(name, func(t *testing.T) {
			from := parse(t, in)
			text, err := json.Marshal(from)
			if err != nil {
				t.Fatal(err)
			}
			back := new(Handler)
			if err := caddy.StrictUnmarshalJSON(text, back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(from, back) {
				t.Errorf("through JSON it is another: %s", text)
			}
			a, b := compiled(t, from), compiled(t, back)
			if a.upstream != nil {
				if a.upstream.key != b.upstream.key {
					t.Errorf("other groups: %s and %s", a.upstream.key, b.upstream.key)
				}
				if ha, hb := a.upstream.cfg.Heartbeat, b.upstream.cfg.Heartbeat; (ha == nil) != (hb == nil) || ha != nil && *ha != *hb {
					t.Errorf("other heartbeats: %v and %v", ha, hb)
				}
				for _, s := range []*settings{a, b} {
					s.upstream.cfg.Logger, s.upstream.cfg.Heartbeat = nil, nil
				}
			}
			if !reflect.DeepEqual(a, b) {
				t.Errorf("other settings: %+v and %+v", a, b)
			}
		})
	}
}

// TestGroupKey: what makes another group, and what does not.
func TestGroupKey(t *testing.T) {
	key := func(in string) string { return compiled(t, parse(t, in)).upstream.key }
	base := key("gopr {\nupstream 127.0.0.1:9000\n}")
	if other := key("gopr {\nidle_timeout 1m\nupstream 127.0.0.1:9000\n}"); other != base {
		t.Error("an option of the handler makes another group")
	}
	if other := key("gopr {\nupstream 127.0.0.1:9000 {\non_loss close\n}\n}"); other == base {
		t.Error("an option of the group makes no other group")
	}
}

// TestMistakesInJSON: what the Caddyfile's parser cannot say, or only without the line, Provision says, with the handler's name.
func TestMistakesInJSON(t *testing.T) {
	const echo, up = `"respond": "echo"`, `"upstream": {"backends": ["127.0.0.1:9000"]`
	tests := []struct{ name, in, want string }{
		{"nowhere to go", `{}`, "there is nowhere to send frames: add `upstream host:port`, or `respond echo`"},
		{"two ways", `{` + echo + `, ` + up + `}}`, "both upstream and respond are set: frames can go one way only, so remove one"},
		{"respond", `{"respond": "hello"}`, `unknown respond "hello": echo`},
		{"format", `{"format": "mqtt", ` + echo + `}`, `unknown format "mqtt": one of gopr, mc, fram, golg, length, or one that the global option gopr declares`},
		{"on_invalid", `{"on_invalid": "ignore", ` + echo + `}`, `unknown on_invalid "ignore": close or drop`},
		{"commands", `{"commands": ["0x1-"], ` + echo + `}`, `command "0x1-": want a number such as 16 or 0x10, or a range such as 0x10-0xFF`},
		{"commands backwards", `{"commands": ["9-1"], ` + echo + `}`, `command range "9-1" runs backwards: want 1-9`},
		{"commands too great", `{"commands": ["256"], ` + echo + `}`, `command 0x100: the command field of gopr says at most 0xFF`},
		{"versions", `{"versions": [65536], ` + echo + `}`, `version 65536: the version field of gopr says at most 65535`},
		{"max_payload", `{"max_payload": 65536, ` + echo + `}`, `maximum payload of 65536 bytes: the length field of gopr says at most 65535`},
		{"a negative max_payload", `{"max_payload": -1, ` + echo + `}`, `maximum payload of -1 bytes: want 1 to 65535, or 0 for 65535`},
		{"a negative idle_timeout", `{"idle_timeout": -1, ` + echo + `}`, "idle timeout -1ns is negative: give a time such as 45s, or 0 for none"},
		{"a negative frame_timeout", `{"frame_timeout": -1, ` + echo + `}`, "frame timeout -1ns is negative: give a time such as 10s, or 0 for none"},
		{"a negative write_timeout", `{"write_timeout": -1, ` + echo + `}`, "write_timeout -1ns is negative: give a time such as 10s"},
		{"ping and pong", `{"heartbeat": {"pong": {"cmd": 1, "flag": 1}}, ` + echo + `}`, "heartbeat ping and pong are the same frame: give them different commands or flags"},
		{"a ping that does not fit", `{"heartbeat": {"ping": {"cmd": 256, "flag": 1}}, ` + echo + `}`, "heartbeat: cmd 256 does not fit a gopr frame: at most 255"},
		{"a ping that is not a command", `{"commands": ["0x10"], "heartbeat": {"ping": {"cmd": 256, "flag": 1}}, ` + echo + `}`, "command 0x100: the command field of gopr says at most 0xFF"},
		{"a negative probe", `{"heartbeat": {"probe": -1}, ` + echo + `}`, "heartbeat probe: heartbeat interval -1ns is negative"},
		{"keepalive", `{"tcp_keepalive": {"count": 128}, ` + echo + `}`, "tcp keepalive count 128 is out of range: give 1 to 127, or 0 for 9"},
		{"limits connections", `{"limits": {"connections": -1}, ` + echo + `}`, "limits connections -1 is negative: give the most connections, or 0 for no limit"},
		{"limits pending", `{"limits": {"pending": -1}, ` + echo + `}`, "limits pending -1 is negative: give a size such as 1MiB"},
		{"limits per_ip", `{"limits": {"per_ip": -1}, ` + echo + `}`, "limits per_ip -1 is negative: give the most connections of one address, such as 1000, or 0 for no limit"},
		{"limits frames", `{"limits": {"frames": {"amount": 0}}, ` + echo + `}`, "limits frames: an amount of 0 lets nobody send: give one such as 1000/s, or leave the option out for no limit"},
		{"limits bytes", `{"limits": {"bytes": {"amount": 1, "per": "2h"}}, ` + echo + `}`, "limits bytes: a rate is so much in a time of up to 1h0m0s, and 2h0m0s is none: write it as 1MiB/s"},
		{"a negative burst", `{"limits": {"frames": {"amount": 1, "burst": -1}}, ` + echo + `}`, "limits frames: burst -1 is negative: give how much may come at once, or 0 for the amount"},
		{"exceed", `{"limits": {"frames": {"amount": 1}, "exceed": "drop"}, ` + echo + `}`, `unknown limits exceed "drop": delay or close`},
		{"exceed of nothing", `{"limits": {"exceed": "close"}, ` + echo + `}`, "limits exceed says what becomes of who exceeds frames or bytes, and neither is given: add one, such as `frames 1000/s`"},
		{"flapping", `{"limits": {"flapping": {"connects": 15, "within": "1m"}}, ` + echo + `}`, "limits flapping: 15 connects within 1m0s and a ban of 0s: all three must be above 0, as in `flapping 15/1m ban 5m`"},
		{"a negative first_frame", `{"limits": {"first_frame": -1}, ` + echo + `}`, "limits first_frame -1ns is negative: give a time such as 3s, or 0 for no limit"},
		{"a negative handshake", `{"limits": {"handshake": -1}, ` + echo + `}`, "limits handshake -1ns is negative: give a time such as 5s"},
		{"no backend", `{"upstream": {}}`, "upstream: upstream has no backend: name at least one, such as 127.0.0.1:9000"},
		{"no address", `{"upstream": {"backends": ["backend"]}}`, `upstream: backend "backend" is no address: write it as host:port, such as 10.0.0.1:9000, or unix//path`},
		{"no port", `{"upstream": {"backends": ["backend:99999"]}}`, `upstream: backend "backend:99999" has no valid port: a number from 1 to 65535`},
		{"port 0", `{"upstream": {"backends": ["backend:0"]}}`, `upstream: backend "backend:0" has no valid port: a number from 1 to 65535`},
		{"a backend twice", `{"upstream": {"backends": ["a:1", "a:1"]}}`, "upstream: backend a:1 is named twice: name it once"},
		{"tracing", `{` + up + `, "tracing": true}}`, "upstream: tracing makes a span of each request, which only pooling request tells apart: add `pooling request`, or remove tracing"},
		{"pooling", `{` + up + `, "pooling": "some"}}`, `upstream: unknown pooling "some": session, request or mux`},
		{"policy", `{` + up + `, "policy": "best"}}`, `upstream: unknown policy "best": one of client_hash, first, health, ip_hash, least_conn, random, round_robin`},
		{"on_loss", `{` + up + `, "on_loss": "cry"}}`, `upstream: unknown on_loss "cry": keep or close`},
		{"min", `{` + up + `, "connections": {"min": -1}}}`, "upstream: connections min -1 is negative: give the number of links to keep warm, or 0 for none"},
		{"min above max", `{` + up + `, "connections": {"min": 3, "max": 2}}}`, "upstream: connections min 3 is above max 2: give a min of 2 or less"},
		{"a negative max", `{` + up + `, "connections": {"max": -2}}}`, "upstream: connections max -2 is negative"},
		{"a negative buffer", `{` + up + `, "buffer": -1}}`, "upstream: buffer -1 is negative: give a size such as 256KiB"},
		{"a negative dial_timeout", `{` + up + `, "dial_timeout": -1}}`, "upstream: dial_timeout -1ns is negative: give a time such as 5s"},
		{"a negative heartbeat", `{` + up + `, "heartbeat": {"interval": -1}}}`, "upstream: heartbeat interval -1ns is negative: give a time such as 30s, or off"},
		{"factor", `{` + up + `, "reconnect": {"factor": 0.5}}}`, "upstream: reconnect factor 0.5 is below 1"},
		{"an unknown strategy", `{` + up + `, "reconnect": {"strategy": "linear"}}}`, "upstream: unknown reconnect strategy \"linear\": exponential, fixed or none"},
		{"a negative retry budget", `{` + up + `, "retry_budget": {"percent": -1}}}`, "upstream: retry_budget is negative: write it as `retry_budget 20% 10/s`, or `retry_budget off`"},
		{"a negative jitter", `{` + up + `, "reconnect": {"jitter": -0.5}}}`, "upstream: reconnect jitter -0.5 is negative: give a share such as 0.5, or 0 for none"},
		{"negative attempts", `{` + up + `, "reconnect": {"attempts": -5}}}`, "upstream: reconnect attempts -5 is negative: give a number such as 5, or 0 to never pause"},
		{"max below initial", `{` + up + `, "reconnect": {"initial": "1m"}}}`, "upstream: reconnect max 30s is shorter than initial 1m0s: give 1m0s or more"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := new(Handler)
			if err := caddy.StrictUnmarshalJSON([]byte(tt.in), h); err != nil {
				t.Fatal(err)
			}
			h.Name = "devices"
			_, err := h.compile()
			if err == nil {
				t.Fatalf("no error, want %s", tt.want)
			}
			contains(t, err.Error(), `gopr handler "devices": `+tt.want)
		})
	}
}

// TestMistakesInCaddyfile: what shows only when the whole block is read is told with the line of the handler.
func TestMistakesInCaddyfile(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"a second argument", "gopr devices 7450", "\"7450\" is one argument too many: gopr takes a name and a block, as in `gopr devices { … }`, at Testfile:1"},
		{"nothing", "\ngopr", "gopr handler \"default\": there is nowhere to send frames: add `upstream host:port`, or `respond echo`, at Testfile:2"},
		{"a heartbeat of one number", "gopr {\nheartbeat {\nping 1\n}\n}", "ping has 1 arguments: write it as `ping 0x01 0x01`, at Testfile:3"},
		{"a negative duration", "gopr {\nidle_timeout -5s\n}", "idle_timeout: \"-5s\" is negative: write it as `idle_timeout 45s`, at Testfile:2"},
		{"a port too great", "gopr {\n\nupstream 10.0.0.1:65536\n}", `gopr handler "default": upstream: backend "10.0.0.1:65536" has no valid port: a number from 1 to 65535, at Testfile:1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(tt.in))
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v\nwant %s", err, tt.want)
			}
		})
	}
}
