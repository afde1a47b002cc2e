package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// haproxy runs an HAProxy that takes connections with the PROXY protocol alone, writes down whom each is for, and passes them on.
func haproxy(t *testing.T, to string) (addr string, said *log) {
	t.Helper()
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("there is no haproxy")
	}
	addr, said = freeAddr(t), new(log)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	check(t, os.WriteFile(file, fmt.Appendf(nil, `global
	log stdout format raw local0
defaults
	mode tcp
	timeout connect 10s
	timeout client 1m
	timeout server 1m
frontend front
	bind %s accept-proxy
	log global
	option logasap
	log-format "client %%ci:%%cp asked for %%[fc_pp_authority]"
	default_backend back
backend back
	server one %s
`, addr, to), 0o600))
	cmd := exec.Command(binary, "-db", "-f", file)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = said, said, diesWithParent()
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	eventually(t, "haproxy", func() bool {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
		}
		return err == nil
	})
	return addr, said
}

// TestProxyProtocol: HAProxy and Caddy itself take the header, and learn the client's address; over TLS, the name that it asked for, too. Its frames come behind.
func TestProxyProtocol(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("gateway")
	b := newBackend(t, echoes)
	front, said := haproxy(t, b.addr)
	gopr := func(name, to string) string {
		return "gopr " + name + " {\nupstream " + to + " {\nproxy_protocol v2\n}\n}\n"
	}
	layer4 := "${plain} {\nroute {\n" + gopr("plain", front) + "}\n}\n" +
		"${secured} {\nroute {\ntls {\nconnection_policy {\ndefault_sni localhost\n}\n}\n" + gopr("secured", front) + "}\n}\n" +
		"${outer} {\nroute {\n" + gopr("outer", "${inner}") + "}\n}\n" +
		"${inner} {\nroute {\nproxy_protocol {\nallow 127.0.0.0/8\nfallback_policy REJECT\n}\ngopr inner {\nrespond echo\n}\n}\n}"
	c := start(t, strings.Replace(configTLS(layer4), "bind 127.0.0.1\n", "bind 127.0.0.1\ntls "+cert+" "+key+"\n", 1), nil)

	plain := dial(t, c.places["plain"])
	check(t, plain.ask("plain"))
	eventually(t, "the client's address in HAProxy's log", func() bool { return said.contains("client " + plain.LocalAddr().String() + " asked for -") })

	nc, err := tls.Dial("tcp", c.places["secured"], &tls.Config{RootCAs: ca.pool(), ServerName: "localhost"})
	check(t, err)
	secured := newDevice(t, nc)
	check(t, secured.ask("secured"))
	eventually(t, "the client's address and the name it asked for in HAProxy's log", func() bool {
		return said.contains("client " + secured.LocalAddr().String() + " asked for localhost")
	})

	outer := dial(t, c.places["outer"])
	check(t, outer.ask("outer"))
	_, answer, err := c.admin(http.MethodGet, "/gopr/connections?handler=inner", "")
	check(t, err)
	if !strings.Contains(answer, `"`+outer.LocalAddr().String()+`"`) {
		t.Errorf("behind Caddy's own proxy_protocol there is no client %v: %s", outer.LocalAddr(), answer)
	}
	check(t, dial(t, c.places["outer"]).ask(strings.Repeat("x", 60_000)))

	stranger := dial(t, front)
	check(t, stranger.send(bytes.Repeat([]byte("no header of the PROXY protocol "), 10)))
	check(t, stranger.ended())
}
