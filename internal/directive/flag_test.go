package directive

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestFlag(t *testing.T) {
	for text, says := range map[string]string{
		"thing {\nflag\n}":         "",
		"thing {\nflag on\n}":      "write it as `flag`",
		"thing {\nflag {\nx\n}\n}": "write it as `flag`",
	} {
		var set bool
		d := caddyfile.NewTestDispenser(text)
		d.Next()
		err := Block(d, "thing", Options{"flag": Flag(&set)})
		if says == "" && (err != nil || !set) || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, %v", text, set, err)
		}
	}
}
