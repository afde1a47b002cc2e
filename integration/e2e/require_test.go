package e2e

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// TestRequireTLSClient: over real TLS, only devices with the right certificates get in, and each sends only what its certificate is for.
func TestRequireTLSClient(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	route := func(name, mode string) string {
		return strings.NewReplacer("NAME", name, "MODE", mode, "CA", ours.file).Replace(`
		${NAME} {
			route {
				gopr_guard NAME
				tls {
					connection_policy {
						client_auth {
							mode MODE
							trust_pool file CA
						}
					}
				}
				gopr NAME {
					commands 0x10-0x2F
					require tls_client {
						subject CN=meter-* O=Fleet {
							commands 0x10-0x1F
						}
						subject SAN=ops-*
					}
					respond echo
				}
			}
		}
`)
	}
	c := start(t, configTLS(route("strict", "require_and_verify")+route("asks", "request")), nil)

	as := func(a *authority, name string) tls.Certificate {
		t.Helper()
		cert, err := tls.LoadX509KeyPair(a.issue(name))
		check(t, err)
		return cert
	}
	dialAs := func(name string, cert ...tls.Certificate) *device {
		t.Helper()
		var d *device
		eventually(t, "TLS with a certificate of Caddy's own CA", func() bool {
			conf, err := trusting(c.rootFile())
			if err != nil {
				return false
			}
			conf.Certificates = cert
			nc, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", c.addr(name), conf)
			if err != nil {
				return false
			}
			d = newDevice(t, nc)
			return true
		})
		return d
	}
	frame := func(cmd uint8) []byte { return wire.AppendFrame(nil, cmd, wire.FlagReq, []byte("x")) }
	echo := func(cmd uint8) []byte { return wire.AppendFrame(nil, cmd, wire.FlagRsp, []byte("x")) }

	meter := dialAs("strict", as(ours, "meter-1"))
	check(t, meter.ping("alive"))
	check(t, meter.send(frame(0x1F)))
	check(t, meter.expect(echo(0x1F)))

	operator := dialAs("strict", as(ours, "ops-1"))
	check(t, operator.send(frame(0x2F)))
	check(t, operator.expect(echo(0x2F)))

	// A meter that would be an operator.
	check(t, meter.send(frame(0x20)))
	check(t, meter.ended())
	c.closed("strict", "command", 1)
	check(t, operator.send(frame(0x20)))
	check(t, operator.expect(echo(0x20)))

	// A certificate of ours for something else.
	pump := dialAs("strict", as(ours, "pump-1"))
	_ = pump.send(frame(0x10))
	check(t, pump.ended())
	c.closed("strict", "unauthorized", 1)

	// Where the TLS handler only asks for a certificate, one that says all the right things and was signed by somebody else, and none at all, get no further.
	for i, cert := range [][]tls.Certificate{{as(others, "meter-1")}, nil} {
		stranger := dialAs("asks", cert...)
		_ = stranger.send(frame(0x10))
		check(t, stranger.ended())
		c.closed("asks", "unauthorized", i+1)
	}
}
