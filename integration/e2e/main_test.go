// Package e2e tests the whole: a real Caddy process, built as users build it, with devices and backends around it on real sockets.
//
// GOPR_CADDY names the binary, as `./xcaddy.sh test` does; without it one is built from the working tree. GOPR_IDLE_CONNS=10000 measures the
// memory of so many idle connections (idle_test.go), which otherwise is a quick check.
//
//	main_test.go       where the binary comes from
//	caddy_test.go      a Caddy process: configuration, start, reload, stop
//	observe_test.go    what it says of itself: metrics, log, memory
//	prometheus_test.go a Prometheus that scrapes it; the dashboard
//	tracing_test.go    a collector of its spans
//	access_log_test.go what it logs of each connection
//	events_test.go     what subscribers to its events are told
//	device_test.go     a client; the SDK's is in sdk_test.go
//	bystander_test.go  a client that must notice nothing
//	backend_test.go    backends: good ones, and each kind of bad one
//	delay_test.go      a proxy that holds back what goes to a backend
//	role_test.go       clients and backends in processes of their own
//
// The other files are the tests. They wait for events and not for time to pass; patience is only how long a failing test takes to say so.
package e2e

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

// patience is how long anything may take that should happen at all. No test is faster or slower for it, unless it fails.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" { // a process started by a test of this package
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
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
	if builtIn, err = os.MkdirTemp("", "caddy-gopr-e2e-"); err != nil {
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

// binary returns the Caddy to test.
func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("GOPR_CADDY"); path != "" {
		return path
	}
	return ownBinary(t)
}

// ownBinary returns the Caddy that has layer4.handlers.hold.
func ownBinary(t testing.TB) string {
	t.Helper()
	path, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
