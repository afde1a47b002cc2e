package handler

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestDialsMistakes(t *testing.T) {
	for option, want := range map[string]string{
		"dial_rate 100":               "\"100\" is no rate in a second: write it as `dial_rate 100/s`",
		"dial_rate often/s":           "write it as `dial_rate 100/s`",
		"retry_budget 20":             "\"20\" is no percentage: write it as `retry_budget 20% 10/s`",
		"retry_budget 20% 10":         "\"10\" is no rate in a second: write it as `retry_budget 20% 10/s`",
		"retry_budget 20% 10/s 3":     "write it as `retry_budget 20% 10/s`",
		"reconnect {\nstrategy no\n}": "unknown reconnect strategy \"no\": exponential, fixed or none",
	} {
		d := caddyfile.NewTestDispenser("gopr {\nupstream 10.0.0.1:9000 {\n" + option + "\n}\n}")
		if err := new(Handler).UnmarshalCaddyfile(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", option, err, want)
		}
	}
}
