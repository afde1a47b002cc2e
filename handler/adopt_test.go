package handler

import (
	"fmt"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// live is what the gateway knows of the handler's connections.
func (g *gatewayUnderTest) live() (all []gateway.Info) {
	l := gateway.AcquireLive(g.name)
	defer gateway.ReleaseLive(l)
	for _, c := range l.Conns() {
		all = append(all, c.Info())
	}
	return all
}

// adopted waits until all connections have looked at the newest settings, and could not adopt these parts of them.
func (g *gatewayUnderTest) adopted(conns int, differs ...string) {
	g.t.Helper()
	l := gateway.AcquireLive(g.name)
	defer gateway.ReleaseLive(l)
	eventually(g.t, fmt.Sprintf("%d connections with the newest settings, but for %q", conns, differs), func() bool {
		n := 0
		for _, i := range g.live() {
			old := len(differs) > 0 && differs[0] == "format"
			if old == (i.Generation == l.Current().ID) || !reflect.DeepEqual(i.Differs, differs) {
				return false
			}
			n++
		}
		return n == conns
	})
}

// closedFor waits until so many connections have ended for the reason.
func (g *gatewayUnderTest) closedFor(reason string, n float64) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("%v connections closed for %s", n, reason), func() bool {
		return metric(g.t, "connections_closed_total", g.name, "reason", reason) == n
	})
}

// TestReloadReachesLiveConnections: each setting holds for connections of before, from the next frame on.
func TestReloadReachesLiveConnections(t *testing.T) {
	const echo = `"respond": "echo"`
	for _, tt := range []struct {
		name   string
		after  string
		ends   string // the reason; "": it goes on
		before string
		send   []byte
		expect []byte
	}{
		{name: "max_payload", after: `"max_payload": 4`, send: request, ends: "length"},
		{name: "commands", after: `"commands": ["0x20"]`, send: request, ends: "command"},
		{name: "versions", after: `"versions": [2]`, send: request, ends: "version"},
		{name: "on_invalid", after: `"commands": ["0x20"], "on_invalid": "drop"`, send: join(request, ping), expect: pong},
		{name: "more is allowed", before: `"max_payload": 4, `, after: `"max_payload": 5`, send: request, expect: answer},
		{name: "idle_timeout", after: `"idle_timeout": "20ms"`, ends: reasonIdle},
		{name: "frame_timeout", after: `"frame_timeout": "20ms"`, send: request[:3], ends: reasonFrame},
		{name: "probe", after: `"heartbeat": {"probe": "20ms"}`, ends: reasonHeartbeat},
		{name: "ping", after: `"heartbeat": {"ping": {"cmd": 16, "flag": 1}}`, send: request, expect: wire.AppendFrame(nil, 2, 2, []byte("hello"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGateway(t)
			g.mustLoad(tt.before + echo)
			c := g.dial()
			c.send(ping)
			c.expect(pong)
			g.mustLoad(tt.after + ", " + echo)
			if tt.ends != "" && tt.send == nil { // it may be over before anybody looks
				g.closedFor(tt.ends, 1)
				return
			}
			g.adopted(1)
			c.send(tt.send)
			c.expect(tt.expect)
			if tt.ends != "" {
				g.closedFor(tt.ends, 1)
			}
		})
	}
}

// TestReloadAtAFrameBoundary: a frame that was begun under the old settings is judged by them, and the next by the new ones, also in one piece.
func TestReloadAtAFrameBoundary(t *testing.T) {
	g := newGateway(t)
	g.mustLoad(`"respond": "echo"`)
	c := g.dial()
	c.send(ping, request[:12])
	c.expect(pong)
	g.mustLoad(`"respond": "echo", "max_payload": 4`)
	c.send(request[12:], ping, request)
	c.expect(answer, pong)
	g.closedFor("length", 1)
}

// TestReloadOfAnotherFormat: a connection stays with its format, and all that goes with it, and shows it.
func TestReloadOfAnotherFormat(t *testing.T) {
	g := newGateway(t)
	g.mustLoad(`"respond": "echo"`)
	c := g.dial()
	c.works("of before")
	g.mustLoad(`"respond": "echo", "format": "mc", "max_payload": 4`)
	g.adopted(1, "format")
	c.works("of before, under its old settings")
	g.mustLoad(`"respond": "echo", "max_payload": 6`)
	g.adopted(1)
	c.works("of before, under settings of its format again")
}

// A mannered backend hands its links to the test, which answers when it likes.
func manneredBackend(t *testing.T) (addr string, links chan net.Conn) {
	t.Helper()
	links = make(chan net.Conn, 16)
	dial := loopback(t, func(nc net.Conn) { links <- nc })
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	addr = nc.RemoteAddr().String()
	_ = nc.Close()
	_ = (<-links).Close()
	return addr, links
}

// cold is an upstream without warm links: each link is a client's.
func cold(addr, more string) string { return to(addr, `, "connections": {"min": 0}`+more) }

// TestReloadWhileARequestIsUnanswered: what is asked after the reload goes to the new backend, but not before the old one has answered: no answer overtakes another.
func TestReloadWhileARequestIsUnanswered(t *testing.T) {
	for _, pooling := range []string{"session", "request"} {
		t.Run(pooling, func(t *testing.T) {
			a, before := manneredBackend(t)
			b, after := manneredBackend(t)
			g := newGateway(t)
			more := fmt.Sprintf(`, "pooling": %q`, pooling)
			g.mustLoad(cold(a, more))
			c := g.dial()
			c.send(request)
			old := <-before
			expect(t, old, request)

			g.mustLoad(cold(b, more))
			second := frame(0x10, 1, "second")
			c.send(second)
			time.Sleep(5 * moveLook) // time to go wrong
			if _, err := old.Write(answer); err != nil {
				t.Fatal(err)
			}
			c.expect(answer)
			link := <-after
			defer func() { _ = link.Close() }()
			expect(t, link, second)
			if _, err := link.Write(frame(0x10, 2, "second")); err != nil {
				t.Fatal(err)
			}
			c.expect(frame(0x10, 2, "second"))
			g.adopted(1)
			if n, err := old.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the old link: %d bytes more, %v; want its end", n, err)
			}
			_ = old.Close()
		})
	}
}

// TestReloadWithARequestThatIsNeverAnswered: such a client stays with its old backend, is served on, and shows it.
func TestReloadWithARequestThatIsNeverAnswered(t *testing.T) {
	a, before := manneredBackend(t)
	b, g := newCountedBackend(t), newGateway(t)
	g.mustLoad(cold(a, ""))
	c := g.dial()
	c.send(request)
	old := <-before
	defer func() { _ = old.Close() }()
	expect(t, old, request)
	g.mustLoad(cold(b.addr, ""))
	g.adopted(1, "upstream") // after moveRest
	c.send(oneWay, ping)
	c.expect(pong)
	expect(t, old, oneWay)
	if _, err := old.Write(answer); err != nil {
		t.Fatal(err)
	}
	c.expect(answer)
	g.adopted(1)
	b.links(t, 1) // without another word of the client
	c.works("whose request has been answered at last")
}

// TestReloadTakesWaitingFramesAlong: what waits for a backend that is not there goes to the new one.
func TestReloadTakesWaitingFramesAlong(t *testing.T) {
	for _, pooling := range []string{"session", "request"} {
		t.Run(pooling, func(t *testing.T) {
			b, g := newCountedBackend(t), newGateway(t)
			more := fmt.Sprintf(`, "pooling": %q, "wait": "1h"`, pooling)
			g.mustLoad(cold(freeAddr(t), more))
			c := g.dial()
			c.send(oneWay, request, request)
			eventually(t, "both requests to wait", func() bool { all := g.live(); return len(all) == 1 && all[0].Unanswered == 2 })
			g.mustLoad(cold(b.addr, more))
			c.expect(answer, answer)
			c.works("whose frames had waited")
		})
	}
}

// TestReloadOnLossClose: a client that is to end with its link is not put on another one either.
func TestReloadOnLossClose(t *testing.T) {
	before, after, g := newCountedBackend(t), newCountedBackend(t), newGateway(t)
	g.mustLoad(cold(before.addr, `, "on_loss": "close"`))
	c := g.dial()
	c.works("of before")
	g.mustLoad(cold(after.addr, `, "on_loss": "close"`))
	g.adopted(1, "upstream")
	c.works("of before, with its old backend")
	before.links(t, 1)
	g.dial().works("of after")
	after.links(t, 1)
	_ = c.Close()
	before.links(t, 0)
}

// TestReloadOfRoutes: a group that goes on under new settings is not left, whatever else changes.
func TestReloadOfRoutes(t *testing.T) {
	main, routed, other, g := newCountedBackend(t), newCountedBackend(t), newCountedBackend(t), newGateway(t)
	route := func(addr string) string { return fmt.Sprintf(`"routes": [{"cmd": ["0x11"], %s}], `, cold(addr, "")) }
	g.mustLoad(route(routed.addr) + cold(main.addr, ""))
	c := g.dial()
	ask := func(cmd uint8) {
		t.Helper()
		c.send(frame(cmd, 1, "x"))
		c.expect(frame(cmd, 2, "x"))
	}
	ask(0x10)
	ask(0x11)
	g.mustLoad(route(other.addr) + cold(main.addr, ""))
	g.adopted(1)
	ask(0x11)
	ask(0x10)
	other.links(t, 1)
	routed.links(t, 0)
	if n := main.had.Load(); n != 1 {
		t.Errorf("the group that is the same had %d links, want 1", n)
	}
	g.mustLoad(cold(main.addr, ""))
	g.adopted(1)
	ask(0x11)
	other.links(t, 0)
	if n := main.had.Load(); n != 1 {
		t.Errorf("the group that is the same had %d links, want 1", n)
	}
}

// TestReloadWithoutTheHandler: its connections are sent away.
func TestReloadWithoutTheHandler(t *testing.T) {
	g := newGateway(t)
	draining := func(name string) string { return fmt.Sprintf(`"gopr": {"grace": 0, "drain": %q}`, name) }
	if err := g.load(`"respond": "echo"`, draining("10ms")); err != nil {
		t.Fatal(err)
	}
	c := g.dial()
	c.works("of before")
	name := g.name
	g.name += "/renamed"
	if err := g.load(`"respond": "echo"`, draining("10ms")); err != nil {
		t.Fatal(err)
	}
	c.expectEnd()
	g.name = name
	g.closedFor(gateway.ReasonDraining, 1)
}
