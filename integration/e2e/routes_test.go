package e2e

import (
	"net"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// marks answers each request with its name: so a client sees whose answer it has.
func marks(name string) serve {
	return func(nc net.Conn, _ <-chan struct{}) {
		for d := (&device{Conn: nc, forever: true}); ; {
			f, err := d.next()
			if err != nil {
				return
			}
			answer := wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, append([]byte(name+" "), f.Payload...))
			if f.Cmd == wire.CmdPing {
				answer = pong(f.Payload)
			}
			if _, err := nc.Write(answer); err != nil {
				return
			}
		}
	}
}

// TestRoutes: frames go where their command says; a route has its own pooling and its own request_timeout; the groups have names of their own.
func TestRoutes(t *testing.T) {
	rest, files := newBackend(t, marks("rest")), newBackend(t, marks("files"))
	silent := newBackend(t, neverAnswers)
	c := start(t, config(`${gopr} {
		route {
			gopr devices {
				upstream ${rest}
				route cmd 0x20-0x2F {
					upstream ${files} {
						pooling request
						connections 1 2
					}
				}
				route cmd 0x30 {
					upstream ${silent} {
						pooling request
						request_timeout 100ms
						heartbeat off
					}
				}
			}
		}
	}`), places{"rest": rest.addr, "files": files.addr, "silent": silent.addr})
	d := dial(t, c.places["gopr"])
	for _, tt := range []struct {
		cmd  uint8
		want string
	}{{0x10, "rest hello"}, {0x20, "files hello"}, {0x2F, "files hello"}, {0x31, "rest hello"}} {
		check(t, d.send(wire.AppendFrame(nil, tt.cmd, wire.FlagReq, []byte("hello"))))
		check(t, d.expect(wire.AppendFrame(nil, tt.cmd, wire.FlagRsp, []byte(tt.want))))
	}
	for name, b := range map[string]*backend{"devices": rest, "devices:0x20-0x2F": files} {
		if n := c.metric("upstream_up", "devices", "upstream", name, "backend", b.addr); n != 1 {
			t.Errorf("upstream_up of %s is %v, want 1", name, n)
		}
	}
	check(t, d.send(wire.AppendFrame(nil, 0x30, wire.FlagReq, nil)))
	check(t, d.ended())
	c.closed("devices", "request_timeout", 1)
}
