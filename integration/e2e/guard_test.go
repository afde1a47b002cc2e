package e2e

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestGuard: before TLS, clients that do not end their handshake are ended, and those that are refused are so before it.
func TestGuard(t *testing.T) {
	c := start(t, configTLS(`
		${tls} {
			route {
				gopr_guard devices
				tls
				gopr devices {
					limits {
						handshake 700ms
					}
					respond echo
				}
			}
		}
		${few} {
			route {
				gopr_guard few
				tls
				gopr few {
					limits {
						connections 1
					}
					respond echo
				}
			}
		}
		${banned} {
			route {
				gopr_guard banned
				tls
				gopr banned {
					limits {
						flapping 2/1m ban 1m
					}
					respond echo
				}
			}
		}
	`), nil)
	good := c.dialTLS(c.addr("tls")) // when this works there is a certificate
	check(t, good.ask("before"))
	failed := c.metric("connections_closed_total", "devices", "reason", "handshake_failed") // until there was one

	silent := dial(t, c.addr("tls"))
	half := dial(t, c.addr("tls"))
	check(t, half.send(hello(t)[:200]))
	wrong := dial(t, c.addr("tls"))
	check(t, wrong.send([]byte("GOPR\x00\x01\x00\x00\x01\x01")))
	leaves := dial(t, c.addr("tls"))
	check(t, leaves.Close())
	for _, d := range []*device{silent, half, wrong} {
		_, err := io.Copy(io.Discard, d)
		t.Logf("ended with %v", err) // a reset; or an alert and the end
	}
	c.closed("devices", "handshake_timeout", 2)
	c.closed("devices", "handshake_failed", int(failed)+2)
	check(t, good.ask("after"))
	if n := c.metric("connections", "devices"); n != 1 {
		t.Errorf("%v connections are counted, want the good one", n)
	}

	first := c.dialTLS(c.addr("few"))
	check(t, first.ask("the only one"))
	refused(t, c.addr("few"), hello(t))
	c.closed("few", "connections", 1)

	for i := range 5 {
		if i < 2 {
			check(t, dial(t, c.addr("banned")).Close())
			c.closed("banned", "handshake_failed", i+1) // or the next might be served before it
		} else {
			refused(t, c.addr("banned"), hello(t))
		}
	}
	c.closed("banned", "banned", 3)
	if c.log.contains(`"level":"error","ts"`) && c.log.contains("handling connection") {
		t.Error("Caddy has logged an error for what is counted")
	}
}

// hello is what a TLS client says first.
func hello(t *testing.T) (said []byte) {
	t.Helper()
	a, b := net.Pipe()
	defer func() { _ = a.Close() }()
	go func() { _ = tls.Client(b, &tls.Config{ServerName: "localhost"}).Handshake(); _ = b.Close() }()
	check(t, a.SetReadDeadline(time.Now().Add(patience)))
	said = make([]byte, 16<<10)
	n, err := a.Read(said)
	check(t, err)
	return said[:n]
}

// TestGuardOfNobody: a guard whose handler is not there is a mistake that is told.
func TestGuardOfNobody(t *testing.T) {
	c := start(t, config("${echo} {\nroute {\ngopr echo {\nrespond echo\n}\n}\n}\n"), nil)
	err := c.load(config("${echo} {\nroute {\ngopr_guard device\ngopr echo {\nrespond echo\n}\n}\n}\n"))
	want := `gopr_guard device: there is no gopr handler of that name, only [\"echo\"]: name the one that it stands before`
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	check(t, dial(t, c.addr("echo")).ask("still there"))
}
