package authenticate

import (
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/authenticate/password"
)

// argonOfCaddy is a hash of "antitiming".
const argonOfCaddy = "$argon2id$v=19$m=47104,t=1,p=1$P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg"

func TestDevices(t *testing.T) {
	h := bcryptOf(t, "x")
	d, err := readDevices(write(t, strings.Join([]string{
		"# devices of the first floor", "",
		"plain:" + h,
		"urn:dev:mac:0024befffe804ff1:" + h + "\r",
		`"\x00\xff#:":` + h,
		`"# no comment":` + argonOfCaddy + " ",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]password.Hash{
		"plain": password.Hash(h), "urn:dev:mac:0024befffe804ff1": password.Hash(h), "\x00\xff#:": password.Hash(h), "# no comment": argonOfCaddy,
	} {
		if got, known := d.find([]byte(id)); !known || got != want {
			t.Errorf("%q: %q, %t", id, got, known)
		}
	}
	if len(d.all) != 4 {
		t.Errorf("%d devices", len(d.all))
	}
	decoy, known := d.find([]byte("nobody"))
	again, _ := d.find([]byte("nobody"))
	if known || decoy == "" || again != decoy {
		t.Errorf("who is not known has %q and %q, %t", decoy, again, known)
	}
}

func TestDevicesThatCannotBe(t *testing.T) {
	h := bcryptOf(t, "x")
	for _, tt := range []struct{ text, says string }{
		{"", "has no client"},
		{"# nobody yet\n", "has no client"},
		{"a:" + h + "\nb\n", "line 2: it has no colon"},
		{"a:" + h + "\n\nb:secret\n", `line 3: client "b": it is neither bcrypt`},
		{"a:" + h + "\na:" + h, `line 2: client "a" is there twice`},
		{":" + h, "line 1: its client id has 0 bytes"},
		{`"":` + h, "line 1: its client id has 0 bytes"},
		{strings.Repeat("x", 256) + ":" + h, "line 1: its client id has 256 bytes"},
		{" a:" + h, "begins or ends with a space"},
		{`"a:` + h, "quoted wrongly"},
		{strings.Repeat("x", 70_000), "too long"},
	} {
		name := write(t, tt.text)
		if _, err := readDevices(name); err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), name) {
			t.Errorf("%.20q: %v, not %q", tt.text, err, tt.says)
		}
	}
}
