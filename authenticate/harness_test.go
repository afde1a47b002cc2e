package authenticate

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/goleak"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load makes a module of a Caddyfile segment, by way of the JSON that it stands for, and provisions it as Caddy does.
func load(t *testing.T, name, segment string) (gateway.Authenticator, error) {
	t.Helper()
	info, err := caddy.GetModule(gateway.Authenticators + "." + name)
	if err != nil {
		t.Fatal(err)
	}
	m := info.New()
	if err := m.(caddyfile.Unmarshaler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(segment)); err != nil {
		return nil, err
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	loaded, err := ctx.LoadModuleByID(string(info.ID), b)
	if err != nil {
		return nil, err
	}
	return loaded.(gateway.Authenticator), nil
}

// mustLoad is load of what is right.
func mustLoad(t *testing.T, name, segment string) gateway.Authenticator {
	t.Helper()
	a, err := load(t, name, segment)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// says checks what an authenticator says of a client. nil: yes.
func says(t *testing.T, a gateway.Authenticator, c gateway.Credentials, want error) {
	t.Helper()
	if err := a.Authenticate(t.Context(), c); !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%q: %v, not %v", c.ClientID, err, want)
	}
}

func credentials(id, secret string) gateway.Credentials {
	return gateway.Credentials{ClientID: []byte(id), Secret: []byte(secret)}
}

// bcryptOf is a cheap hash.
func bcryptOf(t *testing.T, secret string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

// write makes a file of the test's own.
func write(t *testing.T, text string) (name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "devices")
	rewrite(t, name, text)
	return name
}

func rewrite(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
