package password

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Hashes of "antitiming", as `caddy hash-password` and others make them.
const (
	argonOfCaddy = "$argon2id$v=19$m=47104,t=1,p=1$P2nzckEdTZ3bxCiBCkRTyA$xQL3Z32eo5jKl7u5tcIsnEKObYiyNZQQf5/4sAau6Pg"
	small        = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"
)

// bcryptOf is a cheap hash.
func bcryptOf(t *testing.T, secret string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestHash(t *testing.T) {
	long := strings.Repeat("x", maxBcryptSecret)
	for _, tt := range []struct {
		name, hash, secret string
		want               bool
	}{
		{"argon2id", argonOfCaddy, "antitiming", true},
		{"argon2id, another", argonOfCaddy, "antitiming ", false},
		{"argon2id, none", argonOfCaddy, "", false},
		{"bcrypt", bcryptOf(t, "secret"), "secret", true},
		{"bcrypt as htpasswd makes it", strings.Replace(bcryptOf(t, "secret"), "$2a$", "$2y$", 1), "secret", true},
		{"bcrypt, another", bcryptOf(t, "secret"), "Secret", false},
		{"bcrypt, with a zero", bcryptOf(t, "a\x00b"), "a\x00c", false},
		{"bcrypt, all that it looks at", bcryptOf(t, long), long, true},
		{"bcrypt, more than it looks at", bcryptOf(t, long), long + "y", false},
	} {
		h, err := Parse(tt.hash)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if got := h.Verify([]byte(tt.secret)); got != tt.want {
			t.Errorf("%s: %t", tt.name, got)
		}
	}
}

func TestHashesThatCannotBe(t *testing.T) {
	of := bcryptOf(t, "secret")
	for _, tt := range []struct{ hash, says string }{
		{"", "neither bcrypt"},
		{"plain", "caddy hash-password"},
		{"$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "neither bcrypt"},
		{of[:59], "damaged"},
		{of + "x", "damaged"},
		{of[:20] + "!" + of[21:], "damaged"},
		{"$2a$16" + of[6:], "cost is 16"},
		{"$2a$99" + of[6:], "damaged"},
		{"$3a" + of[3:], "neither bcrypt"},
		{"$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "version"},
		{"$argon2id$m=64,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{"$argon2id$v=19$t=1,m=64,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{"$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{"$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{"$argon2id$v=19$m=99999999999,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{"$argon2id$v=19$m=1048576,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "m is 1048576"},
		{"$argon2id$v=19$m=64,t=17,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "t is 17"},
		{"$argon2id$v=19$m=64,t=1,p=300$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg", "p is 300"},
		{"$argon2id$v=19$m=64,t=1,p=1$$MDEyMzQ1Njc4OWFiY2RlZg", "damaged"},
		{small, "damaged"},
		{small + "c2hvcnQ", "damaged"},
		{small + strings.Repeat("MDEy", 30), "damaged"},
		{small + "not base64 at all", "damaged"},
	} {
		if _, err := Parse(tt.hash); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, not %q", tt.hash, err, tt.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(argonOfCaddy)
	f.Add("$2a$04$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijkl")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Parse(s)
		if err != nil || !strings.HasPrefix(s, "$argon2id$") {
			return
		}
		if a, _ := parseArgon(s); a.memory <= 64 && a.time == 1 {
			h.Verify([]byte("x")) // it must not panic
		}
	})
}
