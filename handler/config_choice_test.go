package handler

import (
	"maps"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// choosing is a handler with these lines in its upstream block.
func choosing(lines ...string) string {
	return "gopr {\n\tupstream 10.0.0.1:9000 10.0.0.2:9000 {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}\n}"
}

func TestWeights(t *testing.T) {
	s := compiled(t, parse(t, choosing("policy ip_hash", "weight 10.0.0.1:9000 3", "weight 10.0.0.2:9000 2")))
	if got, want := s.upstream.cfg.Weights, map[string]int{"10.0.0.1:9000": 3, "10.0.0.2:9000": 2}; !maps.Equal(got, want) {
		t.Errorf("weights %v, want %v", got, want)
	}
}

// What is wrong with a choice, and what would be right.
func TestChoiceMistakes(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"policy best", `unknown policy "best": one of client_hash, first,`},
		{"weight 10.0.0.1:9000", "weight has 1 arguments: write it as `weight 10.0.0.1:9000 3`"},
		{"weight 10.0.0.1:9000 0", "\"0\" is no whole number from 1 on: write it as `weight 10.0.0.1:9000 3`"},
		{"weight 10.0.0.1:9000 257", "weight 257 of 10.0.0.1:9000 is not from 1 to 256"},
		{"weight 10.0.0.9:9000 2", "weight is given for 10.0.0.9:9000, which is no backend: name one of 10.0.0.1:9000, 10.0.0.2:9000"},
		{"weight 10.0.0.1:9000 2\nweight 10.0.0.1:9000 3", "that of 10.0.0.1:9000 is given twice"},
		{"policy first\nweight 10.0.0.1:9000 2", "weight has no meaning under policy first"},
	} {
		err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(choosing(strings.Split(tt.lines, "\n")...)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v does not say %q", tt.lines, err, tt.want)
		}
	}
}
