package gateway

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func init() {
	caddy.RegisterModule(new(App))
}

// App is what the handlers of a configuration share. It need not be configured: the handlers bring it in.
type App struct {
	// Frame formats by name, for handlers and matchers to name. A name that is built in can't be taken.
	Formats map[string]*Format `json:"formats,omitempty"`

	Ceiling
	Draining
	Stores

	formats map[string]*wire.Format // declared, by name

	id          uint64 // counts the configurations of this process
	output      output
	subscribers *subscribers // to its events; nil: it was not provisioned

	mu     sync.Mutex // guards all below; handlers are provisioned one after the other, but nobody promises that
	names  map[string]struct{}
	offers []offer
	groups []*Group
	doors  doors

	sessions []ruledSessions
}

// CaddyModule returns the Caddy module information.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "gopr", New: func() caddy.Module { return new(App) }}
}

// Provision compiles the formats, and takes the configuration's logger and its subscribers to events.
func (a *App) Provision(ctx caddy.Context) (err error) {
	a.id = configurationsSeen.Add(1)
	a.output = output{log: ctx.Slogger().Handler(), access: ctx.Logger().Named("access")}
	if err := errors.Join(a.Ceiling.validate(), a.Draining.validate(), a.Stores.validate()); err != nil {
		return err
	}
	if a.subscribers, err = subscribe(ctx); err != nil {
		return err
	}
	a.formats, err = compileAll(a.Formats)
	return err
}

func compileAll(formats map[string]*Format) (map[string]*wire.Format, error) {
	all := make(map[string]*wire.Format)
	for _, name := range slices.Sorted(maps.Keys(formats)) { // sorted: of several mistakes, always the same is told
		f, err := formats[name].Compile(name)
		if err != nil {
			return nil, err
		}
		all[name] = f
	}
	return all, nil
}

// Of returns the app of the configuration that is being loaded, with its metrics registered.
func Of(ctx caddy.Context) (*App, error) {
	mod, err := ctx.App("gopr")
	if err != nil {
		return nil, err
	}
	register(ctx.GetMetricsRegistry())
	return mod.(*App), nil
}

// Claim takes a name for a handler of this configuration.
func (a *App) Claim(name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, taken := a.names[name]; taken {
		return fmt.Errorf("two gopr handlers are named %q: metrics and live connections go by the name, so give each its own, as in `gopr %s2 { … }`", name, name)
	}
	if a.names == nil {
		a.names = make(map[string]struct{})
	}
	a.names[name] = struct{}{}
	return nil
}

// Use has the group started with the app.
func (a *App) Use(g *Group) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.groups = append(a.groups, g)
}

// Start dials the warm links of this configuration's groups; a configuration that is only validated dials nobody.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.doors.check(); err != nil {
		return err
	}
	for _, g := range a.groups {
		if _, err := g.Upstream(); err != nil {
			return err
		}
	}
	if err := a.startSessions(); err != nil {
		return err
	}
	current.push(&a.output)
	a.enforce()
	inForce.start(a)
	return nil
}

// Stop drains the handlers that no configuration has any more, or all where the process ends: it waits for that, and for nothing else. Then it gives the log and the
// subscribers back. All else that must end, ends with the last that uses it.
func (a *App) Stop() error {
	gone, next := inForce.stop(a)
	if next == nil {
		next = a
	}
	if caddy.Exiting() {
		drainForExit(next.schedule())
		closeSessions()
	} else {
		for _, l := range gone {
			l.startDrain(drainGone, next.schedule())
		}
	}
	a.relent()
	if caddy.Exiting() {
		spans.flush()
	}
	events.stopped(a.subscribers)
	current.pop(&a.output)
	return nil
}

// Interface guards.
var (
	_ caddy.App         = (*App)(nil)
	_ caddy.Provisioner = (*App)(nil)
)
