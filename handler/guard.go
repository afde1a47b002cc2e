package handler

import (
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/mholt/caddy-l4/layer4"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

func init() {
	caddy.RegisterModule(new(Guard))
}

// Guard stands in a route before what stands before a gopr handler, such as tls: it holds clients to that handler's limits before anything is done for them, and to
// the time that they may take on the way there.
type Guard struct {
	// The name of the gopr handler whose limits hold. Default: `default`.
	Name string `json:"name,omitempty"`

	app *gateway.App
}

// CaddyModule returns the Caddy module information.
func (*Guard) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "layer4.handlers.gopr_guard", New: func() caddy.Module { return new(Guard) }}
}

// Provision notes whose limits are to hold. Whether there is such a handler shows when the configuration starts.
func (g *Guard) Provision(ctx caddy.Context) (err error) {
	if g.app, err = gateway.Of(ctx); err != nil {
		return err
	}
	g.Name = orDefault(g.Name, defaultName)
	g.app.Guard(g.Name)
	return nil
}

// UnmarshalCaddyfile sets up the guard from Caddyfile tokens. Syntax:
//
//	gopr_guard [<name>]
func (g *Guard) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's own name
	if d.NextArg() {
		g.Name = d.Val()
	}
	if d.NextArg() {
		return d.Errf("%q is one argument too many: gopr_guard takes the name of a gopr handler, as in `gopr_guard %s`", d.Val(), g.Name)
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("gopr_guard takes no block: its limits are those of the gopr handler that it names")
	}
	return nil
}

// Handle lets a client in, and watches it on its way to the handler. What goes wrong there is counted and logged as the handler's ends are.
func (g *Guard) Handle(cx *layer4.Connection, next layer4.Handler) error {
	rules := g.app.Rules(g.Name)
	pass := enter(cx, g.Name, rules)
	if pass == nil {
		return nil
	}
	e := &entrance{pass: pass, cx: cx}
	e.mu.Lock()
	e.timer = time.AfterFunc(rules.Handshake, func() {
		if e.over(ending{reason: reasonHandshakeTimeout}) {
			reset(cx)
		}
	})
	e.mu.Unlock()
	cx.SetVar(entranceVar, e)
	err := next.Handle(cx)
	if err != nil && (e.over(ending{reasonHandshakeFailed, err}) || e.failed()) {
		return nil
	}
	return err // without one, and without the handler: another route may lead there
}

// entranceVar is where a connection has its entrance.
const entranceVar = "gopr.entrance"

// entrance is a client between a guard and the handler.
type entrance struct {
	cx *layer4.Connection

	mu    sync.Mutex // guards all below
	pass  *gateway.Pass
	timer *time.Timer
	lost  bool // it did not get there
}

// claim is called by the handler: the client is there. nil: it was given up, a moment ago.
func (e *entrance) claim() *gateway.Pass {
	e.mu.Lock()
	defer e.mu.Unlock()
	pass := e.pass
	e.pass = nil
	e.timer.Stop()
	return pass
}

// over gives the client up, if it is still on its way.
func (e *entrance) over(end ending) bool {
	pass := e.claim()
	if pass == nil {
		return false
	}
	e.mu.Lock()
	e.lost = true
	e.mu.Unlock()
	log := logging{pass.Live}
	pass.Dismiss(end.reason)
	log.ended(e.cx.RemoteAddr(), end, gateway.Info{})
	return true
}

// failed says whether the client was given up.
func (e *entrance) failed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lost
}

// reset ends a connection whose client gets nothing more, and leaves nothing of it in the kernel.
func reset(cx *layer4.Connection) {
	if tcp := bottom(cx); tcp != nil {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
		return
	}
	_ = cx.Close()
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Guard)(nil)
	_ caddyfile.Unmarshaler = (*Guard)(nil)
	_ layer4.NextHandler    = (*Guard)(nil)
)
