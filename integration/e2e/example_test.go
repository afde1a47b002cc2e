package e2e

import (
	"net"
	"os"
	"strings"
	"testing"
)

// startExample runs Caddyfile.example as it stands, but for its ports, which something else on this machine may have.
func startExample(t *testing.T) *caddy {
	t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	check(t, err)
	file, global := string(text), "{\n\t"
	if !strings.Contains(file, "\n"+global) {
		t.Fatal("Caddyfile.example has no global options")
	}
	file = strings.Replace(file, "\n"+global, "\n"+global+"admin ${admin}\n\t", 1)
	taken := places{}
	for old, name := range map[string]string{"7450": "plain", "7451": "tls", "9000": "backend", "7443": "site"} {
		if !strings.Contains(file, ":"+old) {
			t.Fatalf("Caddyfile.example does not use port %s", old)
		}
		taken[name] = freeAddr(t)
		file = strings.ReplaceAll(file, ":"+old, ":"+portOf(taken[name]))
	}
	return start(t, file, taken)
}

// TestExample: what the README promises of Caddyfile.example.
func TestExample(t *testing.T) {
	c := startExample(t)
	for name, d := range map[string]*device{"plain": dial(t, c.addr("plain")), "tls": c.dialTLS(c.addr("tls"))} {
		check(t, d.ping("from "+name))
		check(t, d.ask("hello from "+name))
	}
	if n := c.metric("connections", "devices"); n != 1 {
		t.Errorf("%v connections on the plain port, want 1", n)
	}

	localhost := net.JoinHostPort("localhost", portOf(c.addr("tls")))
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"ping", []string{"ping", c.addr("plain"), "--count", "2", "--interval", "10ms"}},
		{"send", []string{"send", c.addr("plain"), "--cmd", "0x10", "--data", "hello"}},
		{"ping over TLS, unchecked", []string{"ping", localhost, "--tls", "--insecure", "--count", "1"}},
		{"ping over TLS, checked", []string{"ping", localhost, "--tls", "--ca", c.rootFile(), "--count", "1"}},
		{"send over TLS", []string{"send", localhost, "--tls", "--insecure", "--cmd", "0x10", "--data", "hello"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stdout, stderr, code := c.command(append([]string{"gopr"}, tt.args...)...)
			if code != 0 {
				t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
			}
			if tt.args[0] == "send" && strings.TrimSpace(stdout) != "hello" {
				t.Errorf("stdout is %q, want hello", stdout)
			}
		})
	}
	t.Run("ping without an answer", func(t *testing.T) {
		if stdout, stderr, code := c.command("gopr", "ping", freeAddr(t), "--count", "1", "--timeout", "1s"); code == 0 {
			t.Errorf("exit code 0 though nobody listens\n%s%s", stdout, stderr)
		}
	})
}
