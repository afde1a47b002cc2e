// Package recipes tests docs/recipes: the Caddyfile that stands on each page, but for its addresses, is run by a real Caddy between the protocol's own servers and clients,
// as Debian has them. A recipe whose programs are not installed is skipped, and the message names the package.
//
// GOPR_CADDY names the binary, as `./xcaddy.sh test` does; without it one is built from the working tree.
//
//	main_test.go     where the binary comes from
//	page_test.go     the Caddyfiles of a page
//	gateway_test.go  a Caddy process, and its metrics
//	program_test.go  servers and clients: processes of other people's programs
//	fleet_test.go    what every recipe promises: many clients over few links, heartbeats answered at the edge
//
// The other files are one recipe each. The tests wait for events and not for time to pass; patience is only how long a failing test takes to say so.
package recipes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long anything may take that should happen at all.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if builtIn != "" {
			_ = os.RemoveAll(builtIn)
		}
		os.Exit(code)
	}))
}

// builtIn is the directory of the binary that was built here; "": none was.
var builtIn string

// ours builds the Caddy of integration/internal/caddy, once.
var ours = sync.OnceValues(func() (path string, err error) {
	if builtIn, err = os.MkdirTemp("", "caddy-gopr-recipes-"); err != nil {
		return "", err
	}
	path = filepath.Join(builtIn, "caddy")
	// As xcaddy builds, so that Caddy is compiled once for both.
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-w -s", "-tags=nobadger,nomysql,nopgx", "-o", path, "../internal/caddy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// caddy returns the Caddy to test.
func caddy(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("GOPR_CADDY"); path != "" {
		return path
	}
	path, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
