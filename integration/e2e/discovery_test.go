package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const discoveryConfig = `
		${addresses} {
			route {
				gopr addresses {
					upstream {
						dynamic a backends.example.com ${backendport} {
							refresh 200ms
							resolvers ${dns}
							versions ipv4
							allow_loopback
						}
					}
				}
			}
		}
		${services} {
			route {
				gopr services {
					upstream {
						pooling request
						dynamic srv _gopr._tcp.example.com {
							refresh 200ms
							resolvers ${dns}
							allow_loopback
						}
					}
				}
			}
		}
		${careful} {
			route {
				gopr careful {
					upstream {
						dynamic a backends.example.com ${backendport} {
							refresh 200ms
							resolvers ${dns}
						}
					}
				}
			}
		}
`

// TestDiscovery: backends that a DNS server names come and go, clients that ask all the while notice nothing, and when it answers with an error, with nothing or not at all, the last
// good answer counts. The DNS server is unbound.
func TestDiscovery(t *testing.T) {
	dns := newUnbound(t)
	port := portOf(freeAddr(t))
	var at []string // one port on three addresses
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		at = append(at, net.JoinHostPort(host, port))
		l, err := net.Listen("tcp", at[len(at)-1])
		if err != nil {
			t.Skipf("%s is not to be had: %v", host, err)
		}
		_ = l.Close()
		b := &backend{addr: at[len(at)-1], serve: echoes, conns: make(map[net.Conn]struct{})}
		b.start(t)
		t.Cleanup(b.stop)
	}
	srv := func(n, priority, weight int) string {
		return fmt.Sprintf("_gopr._tcp.example.com. 0 SRV %d %d %s host%d.example.com.", priority, weight, port, n)
	}
	hosts := []string{"host1.example.com. 0 A 127.0.0.1", "host2.example.com. 0 A 127.0.0.2", "host3.example.com. 0 A 127.0.0.3"}
	a := func(n int) string { return fmt.Sprintf("backends.example.com. 0 A 127.0.0.%d", n) }
	dns.say(t, append(slices.Clone(hosts), a(1), a(2), srv(1, 10, 3), srv(2, 10, 1), srv(3, 20, 1))...)

	c := start(t, config(discoveryConfig), places{"dns": dns.addr, "backendport": port})
	name := func(n int) string { return fmt.Sprintf("host%d.example.com:%s", n, port) }
	until := func(what string, addresses, services []string) {
		t.Helper()
		eventually(t, what, func() bool {
			return slices.Equal(c.backends("addresses"), addresses) && slices.Equal(c.backends("services"), services)
		})
	}
	until("the first answer is used", at[:2], []string{name(1), name(2)})
	stopA, stopS := bystand(t, c.addr("addresses")), bystand(t, c.addr("services"))

	dns.say(t, append(slices.Clone(hosts), a(2), a(3), srv(2, 20, 1), srv(3, 20, 1))...)
	until("one has come and one has gone", at[1:], []string{name(2), name(3)})

	failed := func() float64 {
		return min(c.metric("upstream_lookups_total", "addresses", "outcome", "error"), c.metric("upstream_lookups_total", "services", "outcome", "error"))
	}
	for _, what := range []string{"nothing", "no answer"} {
		if what == "nothing" {
			dns.say(t, hosts...)
		} else {
			dns.stop(t)
		}
		before := failed()
		eventually(t, "lookups fail", func() bool { return failed() >= before+2 })
		until("the last good answer counts", at[1:], []string{name(2), name(3)})
	}
	eventually(t, "loopback addresses are refused", func() bool { return c.log.contains("loopback addresses need allow_loopback") })
	if u := c.upstream("careful", "", ""); len(u.Backends) != 0 {
		t.Errorf("loopback addresses are used: %+v", u)
	}
	stopA()
	stopS()
}

// backends are those of a group that are not removed.
func (c *caddy) backends(group string) (names []string) {
	c.t.Helper()
	for _, b := range c.upstream(group, "", "").Backends {
		if b.Admin != "removed" {
			names = append(names, b.Backend)
		}
	}
	return names
}

// nameserver is an unbound that knows example.com by itself.
type nameserver struct {
	addr, file string
	cmd        *exec.Cmd
}

func newUnbound(t *testing.T) *nameserver {
	t.Helper()
	path, err := exec.LookPath("unbound")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/unbound"); err != nil {
			t.Skip("unbound is not installed: on Debian it is in the package unbound")
		}
	}
	s := &nameserver{addr: freeAddr(t), file: filepath.Join(t.TempDir(), "unbound.conf")}
	s.write(t)
	s.cmd = exec.Command(path, "-d", "-c", s.file)
	s.cmd.SysProcAttr = diesWithParent()
	out := new(log)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stop(t)
		if t.Failed() {
			t.Logf("unbound says:\n%s", out.tail())
		}
	})
	eventually(t, "unbound listens", func() bool {
		nc, err := net.Dial("tcp", s.addr)
		if err != nil {
			return false
		}
		_ = nc.Close()
		return true
	})
	return s
}

func (s *nameserver) write(t *testing.T, records ...string) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `server:
	interface: 127.0.0.1@%s
	do-daemonize: no
	use-syslog: no
	chroot: ""
	username: ""
	pidfile: ""
	directory: "%s"
	module-config: "iterator"
	local-zone: "example.com." static
`, portOf(s.addr), filepath.Dir(s.file))
	for _, r := range records {
		fmt.Fprintf(&b, "\tlocal-data: %q\n", r)
	}
	b.WriteString("remote-control:\n\tcontrol-enable: no\n")
	if err := os.WriteFile(s.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// say has it answer with these records, and no others, from soon on.
func (s *nameserver) say(t *testing.T, records ...string) {
	t.Helper()
	s.write(t, records...)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

func (s *nameserver) stop(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}
