package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// twin declares GOPR anew, by the Caddyfile's words.
const twin = `	gopr {
		format twin {
			magic 0x474F5052
			version 4 2
			versions 1
			length 6 2
			cmd 8 1
			flag 9 1
			heartbeat cmd 1 flag 1 {
				reply cmd 2 flag 2
				echo payload
			}
			asks flag 0x01/0x01
			answers flag 0x02/0x02
		}
	}
`

// declared is config with the format twin.
func declared(layer4 string) string { return "{\n" + twin + config(layer4)[2:] }

// converse sends a stream and expects an answer, byte for byte.
func converse(t *testing.T, addr string, send, want []byte) net.Conn {
	t.Helper()
	nc := dial(t, addr)
	if err := nc.send(send); err != nil {
		t.Fatal(err)
	}
	if err := nc.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%x and %v, want %x", got, err, want)
	}
	return nc
}

// Each built-in format, and one declared, through a real Caddy: echo, heartbeat, and the end of who sends a wrong frame.
func TestFormats(t *testing.T) {
	var ports string
	for _, name := range []string{"gopr", "mc", "fram", "golg", "length", "twin"} {
		ports += fmt.Sprintf("\t\t${%s} {\n\t\t\troute {\n\t\t\t\tgopr %s {\n\t\t\t\t\tformat %s\n\t\t\t\t\trespond echo\n\t\t\t\t}\n\t\t\t}\n\t\t}\n", name, name, name)
	}
	c := start(t, declared(ports), nil)
	ask, answered := request([]byte("hello")), answer([]byte("hello"))
	for _, tt := range []struct{ format, send, want, wrong string }{
		{"gopr", string(ask) + string(ping(nil)), string(answered) + string(pong(nil)), "GOPS"},
		{"twin", string(ask) + string(ping(nil)), string(answered) + string(pong(nil)), "GOPS"},
		{"mc", "MC\x01\x00\x10\x00\x00\x00\x05\x3b\x4b\x0e\xa7hello" + "MC\x01\x00\x01\x00\x00\x00\x00\xf5\xd1\x17\xf4", "", "MC\x01\x00\x10\x00\x00\x00\x05\x3b\x4b\x0e\xa8hello"},
		{"fram", "FRAM\x00\x05hello\x33\x15\x34\x65", "", "FRAM\x00\x05hello\x33\x15\x34\x66"},
		{"golg", "GLOG\x05\x00\x01hello", "", "GOLG"},
		{"length", "\x00\x00\x00\x05hello", "", "\xff\xff\xff\xff"},
	} {
		t.Run(tt.format, func(t *testing.T) {
			want := tt.want
			if want == "" { // all is echoed as it is
				want = tt.send
			}
			nc := converse(t, c.places[tt.format], []byte(tt.send), []byte(want))
			if _, err := nc.Write([]byte(tt.wrong)); err != nil {
				t.Fatal(err)
			}
			if n, err := nc.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Errorf("%d bytes and %v after a wrong frame, want the end", n, err)
			}
		})
	}
}

// mcEchoes is a backend of mc that sends every frame back.
func mcEchoes(nc net.Conn, _ <-chan struct{}) { _, _ = io.Copy(nc, nc) }

// A frame of gopr reaches a backend of mc and comes back as the answer, under both kinds of pooling.
func TestTranslation(t *testing.T) {
	b := newBackend(t, mcEchoes)
	for _, pooling := range []string{"session", "request"} {
		c := start(t, config("${gopr} {\nroute {\ngopr {\nupstream ${backend} {\nformat mc\npooling "+pooling+"\n}\n}\n}\n}"), places{"backend": b.addr})
		converse(t, c.places["gopr"], request([]byte("hello")), answer([]byte("hello")))
	}
}

// pooledBy is a gateway with request pooling over at most two links.
func pooledBy(t *testing.T, b *backend, format, more string) *caddy {
	t.Helper()
	return start(t, declared("${gopr} {\nroute {\ngopr {\nformat "+format+"\nupstream ${backend} {\npooling request\nconnections 1 2\nmax_inflight 64\n"+more+"\n}\n}\n}\n}"), places{"backend": b.addr})
}

// Fifty clients ask over at most two links, and each gets its own answers.
func TestRequestPooling(t *testing.T) {
	for _, format := range []string{"gopr", "twin"} {
		t.Run(format, func(t *testing.T) {
			var links, most atomic.Int64
			b := newBackend(t, func(nc net.Conn, stopped <-chan struct{}) {
				n := links.Add(1)
				defer links.Add(-1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				echoes(nc, stopped)
			})
			c := pooledBy(t, b, format, "")
			errs := make(chan error, 50)
			var wg sync.WaitGroup
			for i := range 50 {
				d := dial(t, c.places["gopr"])
				wg.Go(func() {
					for n := range 100 {
						own := fmt.Appendf(nil, "client %d, request %d", i, n)
						if err := d.send(request(own)); err != nil {
							errs <- err
							return
						}
						if err := d.expect(answer(own)); err != nil {
							errs <- fmt.Errorf("client %d: %w", i, err)
							return
						}
					}
				})
			}
			wg.Wait()
			close(errs)
			for err := range errs {
				t.Error(err)
			}
			if n := most.Load(); n < 1 || n > 2 {
				t.Errorf("%d links at a time, want 1 or 2", n)
			}
		})
	}
}

// cmdHangUp is a command at which hangsUp does.
const cmdHangUp = 0x67

// hangsUp echoes until it is told to hang up.
func hangsUp(nc net.Conn, _ <-chan struct{}) {
	for d := (&device{Conn: nc, forever: true}); ; {
		f, err := d.next()
		if err != nil || f.Cmd == cmdHangUp {
			return
		}
		if f.Cmd == cmdHold {
			continue
		}
		if _, err := nc.Write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload)); err != nil {
			return
		}
	}
}

// A link that dies ends those that asked over it, and nobody else; so does a request that is never answered, in time.
func TestRequestPoolingLoss(t *testing.T) {
	b := newBackend(t, hangsUp)
	c := pooledBy(t, b, "gopr", "request_timeout 1s\nreconnect {\ninitial 50ms\nattempts 0\n}")
	bystander := dial(t, c.places["gopr"])
	ask := func(d *device, what string) {
		t.Helper()
		if err := errors.Join(d.send(request([]byte(what))), d.expect(answer([]byte(what)))); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	ask(bystander, "before")
	for cmd, what := range map[uint8]string{cmdHold: "after a request that was never answered", cmdHangUp: "after a link that died"} {
		asker := dial(t, c.places["gopr"])
		ask(asker, "asker")
		if err := asker.send(wire.AppendFrame(nil, cmd, wire.FlagReq, nil)); err != nil {
			t.Fatal(err)
		}
		if f, err := asker.next(); !errors.Is(err, io.EOF) {
			t.Errorf("%v and %v, want the end", f, err)
		}
		ask(bystander, what)
	}
	c.closed("default", "request_timeout", 1)
	c.closed("default", "upstream_lost", 1)
}
