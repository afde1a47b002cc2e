package upstream

import (
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestLocalAddress: links over TCP come from it; unix sockets have none.
func TestLocalAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8 on its loopback")
	}
	from := make(chan string, 1)
	addr := listen(t, func(nc net.Conn) {
		host, _, _ := net.SplitHostPort(nc.RemoteAddr().String())
		from <- host
		serveEcho(nc)
	})
	call(t, newGroup(t, Config{Backends: []string{addr}, MinLinks: -1, LocalAddress: "127.0.0.5"})).ask("hello")
	if got := await(t, from, "link"); got != "127.0.0.5" {
		t.Errorf("the link comes from %s, want 127.0.0.5", got)
	}
	unix := listenOn(t, "unix", filepath.Join(t.TempDir(), "b"), serveEcho)
	call(t, newGroup(t, Config{Backends: []string{"unix/" + unix}, LocalAddress: "127.0.0.5"})).ask("hello")
}

func TestLocalAddressMistakes(t *testing.T) {
	for _, tt := range []struct{ addr, backend, want string }{
		{"10.0.0.5:0", "10.0.0.1:9000", `local_address "10.0.0.5:0" is no address of this host: give an IP address without a port, such as 10.0.0.5`},
		{"backend", "10.0.0.1:9000", `local_address "backend" is no address`},
		{"0.0.0.0", "10.0.0.1:9000", `local_address "0.0.0.0" is no address`},
		{"10.0.0.5", "[2001:db8::1]:9000", "local_address 10.0.0.5 can't reach the backend [2001:db8::1]:9000: give one of the same kind, IPv4 or IPv6"},
		{"2001:db8::5", "10.0.0.1:9000", "local_address 2001:db8::5 can't reach the backend 10.0.0.1:9000"},
		{"::ffff:10.0.0.5", "10.0.0.1:9000", ""},
		{"10.0.0.5", "backend:9000", ""},
		{"2001:db8::5", "unix//run/b", ""},
	} {
		err := Config{Backends: []string{tt.backend}, LocalAddress: tt.addr}.Validate()
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s to %s: %v", tt.addr, tt.backend, err)
			}
		} else if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s to %s: got %v, want %s", tt.addr, tt.backend, err, tt.want)
		}
	}
}
