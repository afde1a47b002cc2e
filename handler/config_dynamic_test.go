package handler

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestDynamicMistakes(t *testing.T) {
	for option, want := range map[string]string{
		"dynamic":                               "write it as `dynamic a backend.example.com 9000` or `dynamic srv _gopr._tcp.example.com`",
		"dynamic a backend.example.com":         "write it as `dynamic a",
		"dynamic srv _gopr._tcp.example.com 1":  "write it as `dynamic a",
		"dynamic mx example.com":                "write it as `dynamic a",
		"dynamic a backend.example.com http":    "\"http\" is no port",
		"dynamic a b 9000 {\nversions 4\n}":     "dynamic: unknown version \"4\" of IP: ipv4 or ipv6",
		"dynamic a b 9000 {\nresolvers dns\n}":  "dynamic: resolver \"dns\" is no address",
		"dynamic srv s {\nversions ipv4\n}":     "versions are for `dynamic a`",
		"dynamic srv s {\nallow_loopback on\n}": "write it as `allow_loopback`",
		"dynamic srv s {\nrefresh soon\n}":      "write it as `refresh 30s`",
	} {
		d := caddyfile.NewTestDispenser("gopr {\nupstream {\n" + option + "\n}\n}")
		if err := new(Handler).UnmarshalCaddyfile(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", option, err, want)
		}
	}
	d := caddyfile.NewTestDispenser("gopr {\nupstream {\npolicy first\n}\n}")
	if err := new(Handler).UnmarshalCaddyfile(d); err == nil || !strings.Contains(err.Error(), "or have them found, as with `dynamic srv") {
		t.Errorf("without any backend: %v", err)
	}
}
