package cli

import (
	"os"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"go.uber.org/goleak"
)

// TestMain lets the test binary be caddy itself, so that tests can look at exit codes and send signals.
func TestMain(m *testing.M) {
	if os.Getenv("GOPR_CLI_TEST_CADDY") != "" {
		caddycmd.Main()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}
