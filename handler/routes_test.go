package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// routing has commands from 0x20 go to the backend `twenty`, from 0x30 to `thirty`, all others to `rest`; dial is told which of them.
func routing(t testing.TB, edit func(*Handler), dial func(backend string) (net.Conn, error)) *Handler {
	t.Helper()
	group := func(backend string) *Upstream {
		return &Upstream{Backends: []string{backend + ":9000"}, Connections: &Connections{Min: new(int)}}
	}
	h := newHandler(t, func(h *Handler) {
		h.Respond, h.Upstream = "", group("rest")
		h.Routes = []*Route{{Cmd: []string{"0x20-0x2F"}, Upstream: group("twenty")}, {Cmd: []string{"0x20-0x3F"}, Upstream: group("thirty")}}
		if edit != nil {
			edit(h)
		}
	})
	for _, to := range h.settings.targets() {
		to.cfg.Dial = func(_ context.Context, _, addr string) (net.Conn, error) {
			return dial(strings.TrimSuffix(addr, ":9000"))
		}
	}
	return h
}

// A farm is the other ends of the links that a handler dials, by backend.
type farm map[string]chan net.Conn

func newFarm() farm {
	f := make(farm)
	for _, name := range []string{"rest", "twenty", "thirty"} {
		f[name] = make(chan net.Conn, 16)
	}
	return f
}

func (f farm) dial(backend string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	f[backend] <- theirs
	return ours, nil
}

// accept returns the next link to a backend.
func (f farm) accept(t *testing.T, backend string) *client {
	t.Helper()
	select {
	case nc := <-f[backend]:
		t.Cleanup(func() { _ = nc.Close() })
		return &client{Conn: nc, t: t}
	case <-time.After(time.Minute):
		t.Fatalf("no link to %s", backend)
		return nil
	}
}

// TestRoutes: the first route that has a frame's command takes it, and upstream what none has; each group gets its frames of a piece with one write; the answers come
// back to who asked, whole.
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backends := newFarm()
		h := routing(t, nil, backends.dial)
		c := onPipe(t, h)
		rest := backends.accept(t, "rest")
		synctest.Wait()
		if len(backends["twenty"]) > 0 || len(backends["thirty"]) > 0 {
			t.Error("a route was dialled before there was a frame for it")
		}
		a, b, d := frame(0x10, 1, "a"), frame(0x20, 1, "bb"), frame(0x30, 1, "ddd")
		e, f := frame(0x11, 0, "eeee"), frame(0x2F, 0, "")
		go c.send(a, b, ping, d, e, f)
		twenty, thirty := backends.accept(t, "twenty"), backends.accept(t, "thirty")
		got := make([]byte, 100)
		for _, to := range []struct {
			backend *client
			want    []byte
		}{{rest, join(a, e)}, {twenty, join(b, f)}, {thirty, d}} {
			n, err := to.backend.Read(got) // one read of a pipe is one write
			if err != nil || !bytes.Equal(got[:n], to.want) {
				t.Errorf("got %q %v, want %q in one write", got[:n], err, to.want)
			}
		}
		c.expect(pong)
		half := frame(0x30, 2, "whole")
		_, _ = thirty.Write(half[:7])
		go twenty.send(frame(0x20, 2, "between"))
		c.expect(frame(0x20, 2, "between"))
		go func() { _, _ = thirty.Write(half[7:]) }()
		c.expect(half)
		for name, backend := range map[string]string{h.Name: "rest:9000", h.Name + ":0x20-0x2F": "twenty:9000", h.Name + ":0x20-0x3F": "thirty:9000"} {
			if n := metric(t, "upstream_links", h.Name, "upstream", name, "backend", backend, "state", "leased"); n != 1 {
				t.Errorf("%v links of the group %s, want 1", n, name)
			}
		}
		_ = c.Close()
		<-c.done
		synctest.Wait()
		for name, backend := range map[string]*client{"rest": rest, "twenty": twenty, "thirty": thirty} {
			if _, err := backend.Read(got); err == nil {
				t.Errorf("the link to %s is left when the client has gone", name)
			}
		}
	})
}

// TestNoRoute: without an upstream, a frame that no route has is not accepted.
func TestNoRoute(t *testing.T) {
	for _, onInvalid := range []string{onInvalidClose, onInvalidDrop} {
		t.Run(onInvalid, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				backends := newFarm()
				h := routing(t, func(h *Handler) { h.Upstream, h.OnInvalid = nil, onInvalid }, backends.dial)
				c := onPipe(t, h)
				good := frame(0x20, 1, "good")
				go func() { _, _ = c.Write(join(good, frame(0x10, 1, "bad"), good)) }()
				if onInvalid == onInvalidDrop {
					backends.accept(t, "twenty").expect(good, good)
					_ = c.Close()
				}
				<-c.done
				if n := metric(t, "rejected_frames_total", h.Name, "reason", "command"); n != 1 {
					t.Errorf("%v frames rejected for their command, want 1", n)
				}
				if onInvalid == onInvalidClose {
					closedFor(t, h, "command", 1)
				}
			})
		})
	}
	t.Run("respond echo", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			backends := newFarm()
			c := onPipe(t, routing(t, func(h *Handler) { h.Upstream, h.Respond = nil, respondEcho }, backends.dial))
			go c.send(request, frame(0x20, 1, "asked"))
			c.expect(answer)
			backends.accept(t, "twenty").expect(frame(0x20, 1, "asked"))
			_ = c.Close()
			<-c.done
		})
	})
}

// TestRouteTranslates: a route's backends may speak a format of their own.
func TestRouteTranslates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backends := newFarm()
		h := routing(t, func(h *Handler) {
			h.app = declaring(t, nil)
			h.Routes[0].Upstream.Format = "mc"
		}, backends.dial)
		c := onPipe(t, h)
		go c.send(frame(0x20, 1, "hello"), request, frame(0x20, 1, "hello"))
		rest, twenty := backends.accept(t, "rest"), backends.accept(t, "twenty")
		ask := mcFrame(0x20, "hello")
		twenty.expect(ask, ask)
		rest.expect(request)
		go rest.send(answer)
		c.expect(answer)
		go twenty.send(mcFrame(0x20, "x"), mcFrame(0x20, "y"))
		c.expect(frame(0x20, 2, "x"), frame(0x20, 2, "y"))
		_ = c.Close()
		<-c.done
	})
}

// TestRouteIsFull: while the backend of one route does not read, nothing more is read from the client, and that backend alone ends the pause.
func TestRouteIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backends := newFarm()
		h := routing(t, func(h *Handler) { h.Routes[0].Upstream.Buffer = 2000 }, backends.dial)
		c := onPipe(t, h)
		f, other := frame(0x20, 0, strings.Repeat("x", 90)), frame(0x10, 1, "other")
		rest := backends.accept(t, "rest")
		sent := make(chan error, 1)
		const frames = 1000
		go func() {
			_, err := c.Write(bytes.Repeat(f, frames))
			if err == nil {
				_, err = c.Write(other)
			}
			sent <- err
		}()
		twenty := backends.accept(t, "twenty")
		time.Sleep(time.Second)
		select {
		case err := <-sent:
			t.Fatalf("all of it was read, with a backend that takes nothing: %v", err)
		default:
		}
		go rest.send(frame(0x10, 2, "unasked")) // the way back is another
		c.expect(frame(0x10, 2, "unasked"))
		twenty.expect(slices.Repeat([][]byte{f}, frames)...)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		rest.expect(other)
		_ = c.Close()
		<-c.done
	})
}

// TestRouteIsLost: a client ends with any link that owes it an answer; what the others owe is no reason to stay.
func TestRouteIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backends := newFarm()
		h := routing(t, nil, backends.dial)
		c := onPipe(t, h)
		go c.send(request, frame(0x30, 1, "asked"))
		rest, thirty := backends.accept(t, "rest"), backends.accept(t, "thirty")
		rest.expect(request)
		thirty.expect(frame(0x30, 1, "asked"))
		_ = thirty.Close()
		<-c.done
		closedFor(t, h, reasonUpstreamLost, 1)
	})
}

// TestRoutesSettle: a client that has closed its sending side gets the answers of all groups.
func TestRoutesSettle(t *testing.T) {
	backends := newFarm()
	c := onTCP(t, routing(t, nil, backends.dial))
	c.send(request, frame(0x30, 1, "asked"))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, thirty := backends.accept(t, "rest"), backends.accept(t, "thirty")
	rest.expect(request)
	thirty.expect(frame(0x30, 1, "asked"))
	rest.send(answer)
	c.expect(answer)
	thirty.send(frame(0x30, 2, "answered"))
	c.expect(frame(0x30, 2, "answered"))
	c.expectEnd()
}

const routesExample = `gopr devices {
	commands 0x10-0xFF
	upstream 127.0.0.1:9000
	route cmd 0x10-0x1F 32 {
		upstream 127.0.0.1:9001 127.0.0.1:9002 {
			pooling request
			request_timeout 5s
		}
	}
	route cmd 0x40 {
		upstream unix//run/files.sock
	}
}`

// TestRoutesRoundTrip: Caddyfile, JSON and back.
func TestRoutesRoundTrip(t *testing.T) {
	h := new(Handler)
	if err := h.UnmarshalCaddyfile(caddyfile.NewTestDispenser(routesExample)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	back := new(Handler)
	if err := caddy.StrictUnmarshalJSON(text, back); err != nil {
		t.Fatal(err)
	}
	s, err := back.compile()
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		group, commands string
		timeout         time.Duration
	}
	var got []line
	for _, to := range s.targets() {
		got = append(got, line{to.name, to.commands.String(), to.cfg.RequestTimeout})
	}
	want := []line{{"devices", "all", 0}, {"devices:0x10-0x1F,32", "0x10-0x20", 5 * time.Second}, {"devices:0x40", "0x40", 0}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	for cmd, want := range map[uint32]*target{0x10: s.routes[0], 0x20: s.routes[0], 0x40: s.routes[1], 0x41: s.upstream} {
		if got := s.route(cmd); got != want {
			t.Errorf("command 0x%02X goes to another group", cmd)
		}
	}
}

// TestRouteMistakes: each says what would be right.
func TestRouteMistakes(t *testing.T) {
	const up = "upstream 127.0.0.1:9000\n"
	tests := []struct{ name, in, want string }{
		{"no commands", "route {\n" + up + "}", "route needs the commands that it is for: write it as `route cmd 0x10-0x1F { upstream 10.0.1.1:9000 }`"},
		{"no cmd", "route 0x10 {\n" + up + "}", "route needs the commands that it is for"},
		{"no number", "route cmd ten {\n" + up + "}", `route cmd ten: command "ten": want a number such as 16 or 0x10, or a range such as 0x10-0xFF`},
		{"too great", "route cmd 0x100 {\n" + up + "}", "route cmd 0x100: command 0x100: the command field of gopr says at most 0xFF"},
		{"no backends", "route cmd 0x10", "route cmd 0x10: there is nowhere to send its frames: add `upstream host:port`"},
		{"wrong backends", "route cmd 0x10 {\nupstream backend\n}", `route cmd 0x10: upstream: backend "backend" is no address`},
		{"never reached", "route cmd 0x10-0x1F {\n" + up + "}\nroute cmd 0x20-0x2F {\n" + up + "}\nroute cmd 0x18-0x28 {\n" + up + "}", "route cmd 0x18-0x28: routes before this one take all of its commands: put it before them, or remove it"},
		{"never accepted", "commands 0x80-0xFF\nroute cmd 0x10-0x7F {\n" + up + "}", "route cmd 0x10-0x7F: none of its commands is among those that `commands` allows, 0x80-0xFF: add them there, or remove the route"},
		{"another option", "route cmd 0x10 {\nrespond echo\n}", `route has no option "respond"; it has upstream`},
		{"no command in the format", "format fram\nroute cmd 0x10 {\n" + up + "}", "route: frames of the format fram have no command to go by: remove the routes, or declare `cmd` with the format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := new(Handler).UnmarshalCaddyfile(caddyfile.NewTestDispenser(fmt.Sprintf("gopr devices {\nupstream 127.0.0.1:9000\n%s\n}", tt.in)))
			if err == nil {
				t.Fatal("no error")
			}
			contains(t, err.Error(), tt.want)
		})
	}
	t.Run("no cmd in JSON", func(t *testing.T) {
		_, err := (&Handler{Routes: []*Route{{Upstream: &Upstream{Backends: []string{"127.0.0.1:9000"}}}}}).compile()
		if err == nil {
			t.Fatal("no error")
		}
		contains(t, err.Error(), "no commands: name at least one")
	})
}
