package handler

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/queue"
)

func init() { caddy.RegisterModule(new(knows)) }

// knows is an authenticator of clients whose secret is a word of its own.
type knows struct {
	Word string `json:"word,omitempty"`
}

func (*knows) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: gateway.Authenticators + ".test_word", New: func() caddy.Module { return new(knows) }}
}

func (k *knows) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.Args(&k.Word) {
		return d.ArgErr()
	}
	return nil
}

func (k *knows) Authenticate(_ context.Context, c gateway.Credentials) error {
	if string(c.Secret) != k.Word {
		return gateway.ErrNotAuthorized
	}
	return nil
}

// everySessions has every option of sessions and queue, in Caddyfile.
const everySessions = `gopr devices {
	idle_timeout 60s
	limits {
		failed_hello 5/2m
	}
	upstream 10.0.0.1:9000 {
		extended
	}
	sessions {
		store         redis redis://10.0.0.9:6379/0
		expiry        48h
		park          10s
		heartbeat     20s
		require       hello
		authenticate  test_word sesame
		authenticate  test_word street
		on_store_loss local
	}
	queue {
		store       sqlite /var/lib/caddy/gopr.db
		capacity    500 512KiB
		total       2GiB
		overflow    drop_oldest
		ttl         12h
		ack_timeout 5s
		max_retries 0
		inflight    32
		downlink    0
	}
}`

// place returns what a store is that the configuration has.
func place(t *testing.T, s gateway.Store) gateway.Place {
	t.Helper()
	p, err := (*gateway.App)(nil).QueuePlace(&s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEverySessionOption(t *testing.T) {
	h := parse(t, everySessions)
	s := compiled(t, h)
	want := &sessions{
		places: gateway.Places{
			Sessions: place(t, gateway.Store{Kind: "redis", URL: "redis://10.0.0.9:6379/0"}),
			Queue:    place(t, gateway.Store{Kind: "sqlite", Path: "/var/lib/caddy/gopr.db"}),
		},
		require: true,
		rules: gateway.SessionRules{
			Local: true, Group: s.upstream.key, Settings: delivery.Settings{
				Bounds: queue.Bounds{Messages: 500, Bytes: 512 << 10, Total: 2 << 30, Overflow: queue.DropOldest},
				Expiry: 48 * time.Hour, Park: 10 * time.Second, Heartbeat: 20 * time.Second, Idle: time.Minute,
				TTL: 12 * time.Hour, AckTimeout: 5 * time.Second, Inflight: 32, Extended: true,
			},
		},
	}
	s.sessions.rules.Lease = nil // functions are not compared
	if !reflect.DeepEqual(s.sessions, want) {
		t.Errorf("sessions are\n%+v, want\n%+v", s.sessions, want)
	}
	if want := (gateway.Flapping{Connects: 5, Within: 2 * time.Minute, Ban: 2 * time.Minute}); s.rules.FailedHello != want {
		t.Errorf("failed_hello is %+v, want %+v", s.rules.FailedHello, want)
	}
	text, err := json.Marshal(h.Sessions.AuthenticateRaw)
	if want := `[{"module":"test_word","word":"sesame"},{"module":"test_word","word":"street"}]`; err != nil || string(text) != want {
		t.Errorf("authenticate is %s (%v), want %s", text, err, want)
	}
	text, err = json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	back := new(Handler)
	if err := caddy.StrictUnmarshalJSON(text, back); err != nil {
		t.Fatal(err)
	}
	again := compiled(t, back).sessions
	again.rules.Lease = nil
	if !reflect.DeepEqual(again, want) {
		t.Errorf("through JSON it is another: %s", text)
	}
}

func TestSessionDefaults(t *testing.T) {
	of := compiled(t, parse(t, "gopr {\nupstream 127.0.0.1:9000\nsessions\n}"))
	s := of.sessions
	s.rules.Lease = nil
	want := &sessions{
		places: gateway.Places{Sessions: place(t, gateway.Store{}), Queue: place(t, gateway.Store{})},
		rules: gateway.SessionRules{
			Group: of.upstream.key, Settings: delivery.Settings{
				Bounds: queue.Bounds{Messages: 1000, Bytes: 1 << 20, Total: 1 << 30, Overflow: queue.Reject},
				Expiry: 24 * time.Hour, Park: 30 * time.Second, Heartbeat: 30 * time.Second, Idle: 45 * time.Second,
				TTL: 24 * time.Hour, AckTimeout: 3 * time.Second, MaxRetries: 3, Inflight: 64, Downlink: 1,
			},
		},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("sessions are\n%+v, want\n%+v", s, want)
	}
	for idle, want := range map[string]time.Duration{"20s": 40 * time.Second / 3, "0": 30 * time.Second, "3h": 2 * time.Hour} {
		if s := compiled(t, parse(t, "gopr {\nidle_timeout "+idle+"\nupstream 127.0.0.1:9000\nsessions\n}")).sessions; s.rules.Heartbeat != want {
			t.Errorf("with an idle_timeout of %s the heartbeat is %v, want %v", idle, s.rules.Heartbeat, want)
		}
	}
	if s := compiled(t, parse(t, "gopr {\nupstream 127.0.0.1:9000\n}")); s.sessions != nil {
		t.Error("there are sessions without the option")
	}
}

// TestSessionsAndCommands: an allow-list leaves out no command of the protocol's own, and still no other frame has it.
func TestSessionsAndCommands(t *testing.T) {
	s := compiled(t, parse(t, "gopr {\ncommands 0x10\nupstream 127.0.0.1:9000\nsessions\n}"))
	if s.commands.Contains(3) {
		t.Error("the application may use HELLO's command")
	}
}

// TestSessionMistakes: what is wrong, and what would be right.
func TestSessionMistakes(t *testing.T) {
	const up = "upstream 127.0.0.1:9000\n"
	sessions := func(lines string) string { return up + "sessions {\n" + lines + "\n}" }
	queue := func(lines string) string { return up + "sessions\nqueue {\n" + lines + "\n}" }
	tests := []struct{ name, in, want string }{
		{"a queue alone", up + "queue", "queue keeps the messages of sessions, and there are none: add `sessions`, or remove queue"},
		{"extended alone", "upstream 127.0.0.1:9000 {\nextended\n}", "upstream extended is about the messages of sessions, and there are none: add `sessions`, or remove extended"},
		{"another format", "format mc\n" + up + "sessions", "sessions: the format mc has no HELLO, which is GOPR's alone: take `format gopr`, or remove sessions"},
		{"translation", "upstream 127.0.0.1:9000 {\nformat fram\n}\nsessions", "sessions: messages go to backends as they came: remove `format` from the upstream, or remove sessions"},
		{"respond", "respond echo\nsessions", "sessions: messages need backends to go to: put `upstream host:port` in the place of respond, or remove sessions"},
		{"routes", up + "route cmd 0x10 {\nupstream 127.0.0.1:9001\n}\nsessions", "sessions: all messages of a session go to one group of backends, so that their order is kept: remove the routes, or remove sessions"},
		{"request pooling", "upstream 127.0.0.1:9000 {\npooling request\n}\nsessions", "sessions: pooling request has no link for a client to come back to: take `pooling session` or `pooling mux` for the upstream, or remove sessions"},
		{"another heartbeat", "heartbeat {\nping 0x20 0x01\n}\n" + up + "sessions", "sessions: HELLO changes what the protocol's own commands mean, and the heartbeat must be among them: remove ping and pong from `heartbeat`, or remove sessions"},
		{"another version", "versions 2\n" + up + "sessions", "sessions: HELLO and what follows it are frames of version 1: put 1 first in `versions`, or remove sessions"},
		{"too short a payload", "max_payload 100\n" + up + "sessions", "sessions: a HELLO may have 512 bytes and more, and max_payload allows 100: raise it, or remove sessions"},
		{"an argument", up + "sessions on", "sessions takes a block, not \"on\": write `sessions { … }`"},
		{"no store", sessions("store"), "store: \"\" is not understood: write it as `store memory`, `store sqlite /var/lib/caddy/gopr.db` or `store redis redis://10.0.0.9:6379/0`"},
		{"an unknown store", sessions("store etcd 10.0.0.1"), `store: "etcd 10.0.0.1" is not understood: write it as`},
		{"sqlite without a file", sessions("store sqlite"), `store: "sqlite" is not understood: write it as`},
		{"sqlite in memory", sessions("store sqlite :memory:"), `sessions store: ":memory:" is no path: give the path of a file`},
		{"a store with a block", sessions("store memory {\nx\n}"), "store takes no block"},
		{"a long expiry", sessions("expiry 2000000h"), "sessions expiry 2000000h0m0s: give a time from 1s on, such as 24h"},
		{"a short expiry", sessions("expiry 1ms"), "sessions expiry 1ms: give a time from 1s on, such as 24h"},
		{"a park beyond the expiry", sessions("expiry 10s\npark 1m"), "sessions park 1m0s is longer than expiry 10s, and a session that has expired has no link: lower it"},
		{"a heartbeat beyond the idle timeout", sessions("heartbeat 45s"), "sessions heartbeat 45s is not below the idle_timeout of 45s, so that clients which do as they are told are closed: lower it, such as to 30s"},
		{"a heartbeat of less than a second", sessions("heartbeat 10ms"), "sessions heartbeat 10ms: give a time from 1s to 18h12m15s, such as 30s"},
		{"an idle timeout of less than a second", "idle_timeout 500ms\n" + up + "sessions", "sessions tell clients in whole seconds how often to ping, and the idle_timeout of 500ms is too short for that: raise it to 2s or more"},
		{"another require", sessions("require welcome"), `sessions require "welcome" is unknown: hello`},
		{"another on_store_loss", sessions("on_store_loss panic"), `sessions on_store_loss "panic" is unknown: refuse or local`},
		{"nobody to ask", sessions("authenticate"), "authenticate has 0 arguments: name who is to be asked, as in `authenticate static /etc/caddy/devices`"},
		{"who does not exist", sessions("authenticate oracle"), `authenticate: there is no "oracle"; there is `},
		{"an authenticator's own mistake", sessions("authenticate test_word"), "wrong argument count"},
		{"twice", up + "sessions\nsessions", "gopr sessions is given twice: once is enough"},
		{"no capacity", queue("capacity"), "capacity has 0 arguments: write it as `capacity 1000 1MiB`"},
		{"too small a capacity", queue("capacity 10 1KiB"), "queue capacity of 1024 bytes has no room for a message with the largest payload, which counts 65599: raise it, or lower max_payload"},
		{"too small a total", queue("total 1000"), "queue total of 1000 bytes is less than the capacity of one session, 1048576: raise it, such as to 1GiB"},
		{"another overflow", queue("overflow block"), `queue overflow "block" is unknown: reject, drop_oldest or drop_newest`},
		{"a short ttl", queue("ttl 1ms"), "queue ttl 1ms: give a time from 1s on, such as 24h"},
		{"a short ack_timeout", queue("ack_timeout 1ms"), "queue ack_timeout 1ms: give a time from 10ms on, such as 3s"},
		{"many retries", queue("max_retries 300"), "queue max_retries 300: give a number from 0 to 255, such as 3"},
		{"a wide window", queue("inflight 70000"), "queue inflight 70000: give a number from 1 to 65535, such as 64"},
		{"another quality", queue("downlink 3"), "queue downlink 3 is no quality of service: 0, 1 or 2"},
		{"failed_hello", "limits {\nfailed_hello 10\n}\n" + sessions(""), "failed_hello: \"10\" does not say in which time: write it as `failed_hello 10/1m`"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser("gopr {\n" + tt.in + "\n}"))
			if err == nil {
				t.Fatalf("no error, want %s", tt.want)
			}
			contains(t, err.Error(), tt.want)
			if !strings.Contains(err.Error(), "Testfile:") {
				t.Errorf("%v: it does not say where", err)
			}
		})
	}
}

// TestSharedQueueOfOwnSessions: messages that other gateways see, and sessions that they do not, are refused when the configuration is loaded.
func TestSharedQueueOfOwnSessions(t *testing.T) {
	h := parse(t, "gopr {\nupstream 127.0.0.1:9000\nsessions\nqueue {\nstore redis redis://10.0.0.9\n}\n}")
	h.app = new(gateway.App)
	_, err := h.compile()
	if err == nil {
		t.Fatal("it is not refused")
	}
	contains(t, err.Error(), "queue store redis: other gateways see the messages there")
	h.app.Sessions = &gateway.Kept{Store: &gateway.Store{Kind: "redis", URL: "redis://10.0.0.9"}}
	if _, err := h.compile(); err != nil {
		t.Errorf("with sessions where the app says: %v", err)
	}
}
