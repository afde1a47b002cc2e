package handler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// A gatewayUnderTest is a real Caddy in this process, with a layer4 server in front of the handler.
type gatewayUnderTest struct {
	t    *testing.T
	addr string
	name string // of the handler
}

func newGateway(t *testing.T) *gatewayUnderTest {
	t.Helper()
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &gatewayUnderTest{t, freeAddr(t), fmt.Sprintf("%s#%d", t.Name(), handlers.Add(1))}
}

// freeAddr returns a loopback address that nobody listens on, from below the ports that systems give out by themselves: so nobody gets it before Caddy does.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(22000))
		if ln, err := net.Listen("tcp", addr); err == nil {
			_ = ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// load has Caddy adopt a configuration with these options of the handler, and more apps beside.
func (g *gatewayUnderTest) load(options string, apps ...string) error {
	return caddy.Load(fmt.Appendf(nil, `{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"level": "PANIC"}}},
		"apps": {"layer4": {"servers": {"it": {"listen": [%q], "routes": [{"handle": [{"handler": "gopr", "name": %q, %s}]}]}}}%s}
	}`, g.addr, g.name, options, strings.Join(append([]string{""}, apps...), ", ")), true)
}

func (g *gatewayUnderTest) mustLoad(options string) {
	g.t.Helper()
	if err := g.load(options); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gatewayUnderTest) dial() *client {
	g.t.Helper()
	nc, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	done := make(chan struct{})
	close(done)
	c := &client{Conn: nc, t: g.t, done: done}
	g.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (c *client) works(what string) {
	c.t.Helper()
	defer func() {
		if c.t.Failed() {
			c.t.Logf("the client of the failure: %s", what)
		}
	}()
	c.send(request)
	c.expect(answer)
}

// A countedBackend answers, and knows how many links it has and had.
type countedBackend struct {
	addr      string
	had, have atomic.Int32
}

func newCountedBackend(t *testing.T) *countedBackend {
	t.Helper()
	b := new(countedBackend)
	dial := loopback(t, func(nc net.Conn) {
		b.had.Add(1)
		b.have.Add(1)
		defer b.have.Add(-1)
		answering(nc)
	})
	nc, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	b.addr = nc.RemoteAddr().String()
	_ = nc.Close()
	eventually(t, "the first link to end", func() bool { return b.had.Load() == 1 && b.have.Load() == 0 })
	b.had.Store(0)
	return b
}

// links waits until the backend has so many.
func (b *countedBackend) links(t *testing.T, want int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d links", want), func() bool { return b.have.Load() == want })
}

func to(addr, more string) string {
	return fmt.Sprintf(`"upstream": {"backends": [%q]%s}`, addr, more)
}

// TestReloadSameUpstream: the group goes on, with its links, whatever else has changed.
func TestReloadSameUpstream(t *testing.T) {
	b, g := newCountedBackend(t), newGateway(t)
	g.mustLoad(to(b.addr, ""))
	b.links(t, 1) // warm
	c := g.dial()
	c.works("the first")
	b.links(t, 2) // leased, and warm
	for i := range 3 {
		g.mustLoad(fmt.Sprintf(`"max_payload": %d, %s`, 1000+i, to(b.addr, "")))
		c.works("of before the reloads")
	}
	if n := b.had.Load(); n != 2 {
		t.Errorf("the backend had %d links, want 2: the group is the same", n)
	}
	second := g.dial()
	second.works("of after the reloads")
	c.works("of before the reloads")
	b.links(t, 3)
}

// TestReloadOtherUpstream: clients go to the new group, those that are live, too; the old one goes with the last of them.
func TestReloadOtherUpstream(t *testing.T) {
	before, after, g := newCountedBackend(t), newCountedBackend(t), newGateway(t)
	g.mustLoad(to(before.addr, ""))
	c := g.dial()
	c.works("of before the reload")
	before.links(t, 2)

	g.mustLoad(to(after.addr, ""))
	after.links(t, 2) // of the live client, and a warm one
	before.links(t, 0)
	c.works("of before the reload")
	second := g.dial()
	second.works("of after the reload")
	after.links(t, 3)

	// Back to the first: it is a group anew.
	g.mustLoad(to(before.addr, ""))
	before.links(t, 3)
	after.links(t, 0)
	c.works("of two configurations ago")
	second.works("of the configuration in between")
}

// TestReloadToEcho: the handler's target may change altogether.
func TestReloadToEcho(t *testing.T) {
	b, g := newCountedBackend(t), newGateway(t)
	g.mustLoad(to(b.addr, ""))
	c := g.dial()
	c.works("of before the reload")
	g.mustLoad(`"respond": "echo"`)
	c.works("of before the reload")
	g.dial().works("of after the reload")
	b.links(t, 0)
}

func init() { caddy.RegisterModule(fails{}) }

// fails is an app that does not start.
type fails struct{}

func (fails) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "fails", New: func() caddy.Module { return new(fails) }}
}
func (fails) Start() error { return errors.New("does not start") }
func (fails) Stop() error  { return nil }

// TestReloadRejected: what a configuration that is not adopted has begun, it ends; and what runs does not notice.
func TestReloadRejected(t *testing.T) {
	b, other, g := newCountedBackend(t), newCountedBackend(t), newGateway(t)
	g.mustLoad(to(b.addr, ""))
	c := g.dial()
	c.works("the first")
	b.links(t, 2)
	for _, tt := range []struct{ name, options, app string }{
		{"a mistake of ours", `"on_invalid": "ignore", ` + to(other.addr, ""), ""},
		{"nowhere to go", `"max_payload": 1`, ""},
		{"another app's mistake", to(other.addr, ""), `"fails": {"unknown": true}`},
		{"another app that does not start", to(other.addr, ""), `"fails": {}`},
		{"the same upstream, and a mistake", to(b.addr, "") + `, "respond": "echo"`, ""},
		{"the same upstream, and another app's mistake", to(b.addr, ""), `"no_such_app": {}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var apps []string
			if tt.app != "" {
				apps = append(apps, tt.app)
			}
			if err := g.load(tt.options, apps...); err == nil {
				t.Fatal("it is adopted")
			}
			c.works("of before")
			g.dial().works("of after")
			other.links(t, 0)
		})
	}
	if n := b.had.Load(); n > 2+6 {
		t.Errorf("the backend had %d links: more than a warm one and one for each client", n)
	}
}

// TestMetricsOverReloads: the counters of a name go on, in the registry of whichever configuration runs.
func TestMetricsOverReloads(t *testing.T) {
	g := newGateway(t)
	count := func(name string, labels ...string) float64 {
		active := caddy.ActiveContext()
		return metricIn(t, active.GetMetricsRegistry(), name, g.name, labels...)
	}
	var first *client
	for i := range 4 {
		g.mustLoad(fmt.Sprintf(`"respond": "echo", "max_payload": %d`, 100+i))
		c := g.dial()
		c.works("of this configuration")
		if i == 0 {
			first = c
		}
		first.works("of the first configuration")
		if got, want := count("frames_total", "direction", "in"), float64(2*(i+1)); got != want {
			t.Errorf("after %d reloads: %v frames, want %v", i, got, want)
		}
		if got, want := count("connections"), float64(i+1); got != want {
			t.Errorf("after %d reloads: %v connections, want %v", i, got, want)
		}
	}
}

// TestValidateDialsNobody: a configuration that is only looked at holds nothing afterwards.
func TestValidateDialsNobody(t *testing.T) {
	b := newCountedBackend(t)
	name := fmt.Sprintf("%s#%d", t.Name(), handlers.Add(1))
	h := &Handler{Name: name, Upstream: &Upstream{Backends: []string{b.addr}}}
	ctx, cancel := caddy.NewContext(provisioned)
	defer cancel()
	if err := h.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	if err := (&Handler{Name: name, Respond: respondEcho}).Provision(ctx); err == nil {
		t.Error("two handlers of one configuration have one name")
	}
	if err := h.Cleanup(); err != nil {
		t.Error(err)
	}
	if n := b.had.Load(); n != 0 {
		t.Errorf("%d links were dialled, want 0", n)
	}
	// Caddy cleans up what was not provisioned, too.
	if err := new(Handler).Cleanup(); err != nil {
		t.Error(err)
	}
}
