package recipes

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const dnsPage = "dns.md"

// unbound serves 50 names that it knows by itself: host0.example has the address 10.0.0.0, and so on.
func unbound(t *testing.T) *program {
	t.Helper()
	path, addr := find(t, "unbound", "unbound"), freeAddr(t)
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	interface: 127.0.0.1@%s
	do-udp: no
	do-daemonize: no
	use-syslog: no
	chroot: ""
	username: ""
	pidfile: ""
	directory: "%s"
	module-config: "iterator"
	local-zone: "example." static
`, portOf(addr), t.TempDir())
	for i := range clients {
		fmt.Fprintf(&b, "\tlocal-data: \"host%d.example. 3600 A 10.0.0.%d\"\n", i, i)
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	file := filepath.Join(t.TempDir(), "unbound.conf")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return launch(t, exec.Command(path, "-d", "-c", file), addr)
}

// dnsMessage is a question for the address of a name, or with an answer, its length before it.
func dnsMessage(id, flags uint16, name string, answer ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, 0}, id)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = append(b, 0, 1, 0, byte(min(len(answer), 1)), 0, 0, 0, 0)
	for label := range strings.SplitSeq(name, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	b = append(append(b, 0, 0, 1, 0, 1), answer...)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	return b
}

// dnsAddress is a record of the question's name with an address.
func dnsAddress(ttl uint32, ip ...byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0xC0, 12, 0, 1, 0, 1}, ttl)
	return append(append(b, 0, 4), ip...)
}

func TestDNS(t *testing.T) {
	dig := find(t, "dig", "bind9-dnsutils")
	server := unbound(t)
	g := serve(t, dnsPage, 0, ":53", "10.0.0.1:53", server)
	ask := func(name string, more ...string) (string, error) {
		args := append([]string{"@127.0.0.1", "-p", portOf(g.addr), "+tcp", "+short", "+tries=1", "+time=20"}, more...)
		out, err := run("", dig, append(args, name, "A")...)
		return strings.TrimSpace(out), err
	}

	t.Run("dig +tcp", func(t *testing.T) {
		crowd(t, func(i int) error {
			got, err := ask(fmt.Sprintf("host%d.example", i))
			if want := fmt.Sprintf("10.0.0.%d", i); err == nil && got != want {
				err = fmt.Errorf("got %q, want %q", got, want)
			}
			return err
		})
		g.fewLinks()
	})
	// All clients ask under one id.
	t.Run("50 at once", func(t *testing.T) {
		g.together(func(i int) question {
			name := fmt.Sprintf("host%d.example", i)
			return question{dnsMessage(0xBEEF, 0, name), dnsMessage(0xBEEF, 0x8480, name, dnsAddress(3600, 10, 0, 0, byte(i))...)}
		})
	})
	g.atTheEdge(server, question{
		dnsMessage(7, 0x0120, "gateway.invalid"), dnsMessage(7, 0x8580, "gateway.invalid", dnsAddress(0, 127, 0, 0, 1)...),
	})
	if got, err := ask("gateway.invalid", "+noedns"); err != nil || got != "127.0.0.1" {
		t.Errorf("dig, without a backend: %q, %v", got, err)
	}
}
