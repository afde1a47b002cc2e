package gateway

import (
	"sync"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// groups holds every upstream group, counted by handler instances and connections.
var groups = caddy.NewUsagePool()

// Group is a shared upstream group. It dials nobody before it is used.
type Group struct {
	key groupKey
	cfg upstream.Config

	mu     sync.Mutex // guards all below
	up     *upstream.Group
	closed bool
}

// groupKey: handlers of the same name share a group where its name and settings are the same, before and after a reload. Different names do not: a group's
// links are then one handler's, in metrics and at the backend.
type groupKey struct{ handler, name, settings string }

// AcquireGroup returns a handler's group, and counts the caller as its user until ReleaseGroup. name is the group's own: of a handler's main group the
// handler's, of a route's `handler:commands`. settings are in a form that is equal for equal settings. cfg must be valid.
func AcquireGroup(handler, name, settings string, cfg upstream.Config) *Group {
	key := groupKey{handler, name, settings}
	v, _, _ := groups.LoadOrNew(key, func() (caddy.Destructor, error) { return &Group{key: key, cfg: cfg}, nil })
	return v.(*Group)
}

// ReleaseGroup ends one use.
func ReleaseGroup(g *Group) { _, _ = groups.Delete(g.key) }

// Handler returns the name of the handler whose group it is.
func (g *Group) Handler() string { return g.key.handler }

// Name returns the group's own name, by which metrics and the admin API tell the groups of a handler apart. After a reload with other settings an old and a new
// group of the same name may be there at the same time.
func (g *Group) Name() string { return g.key.name }

// Upstream returns the group, started.
func (g *Group) Upstream() (*upstream.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.up == nil {
		if g.closed {
			return nil, upstream.ErrGroupClosed
		}
		cfg := g.cfg
		cfg.Notify = g.notify
		if cfg.Trace != nil {
			if err := spans.use(); err != nil {
				return nil, err
			}
		}
		up, err := upstream.NewGroup(cfg)
		if err != nil {
			return nil, err
		}
		g.up = up
		totals.begin(g)
	}
	return g.up, nil
}

// Destruct is called when the last user is gone.
func (g *Group) Destruct() error {
	g.mu.Lock()
	g.closed = true
	up := g.up
	g.mu.Unlock()
	if up == nil {
		return nil
	}
	if g.cfg.Trace != nil {
		defer spans.done()
	}
	err := up.Close()
	totals.end(g, up.Stat())
	return err
}

// stat returns a snapshot; ok is false for a group that has not been started.
func (g *Group) stat() (s upstream.Stat, ok bool) {
	up := g.started()
	if up == nil {
		return s, false
	}
	return up.Stat(), true
}

// started returns the group if it has been started, else nil.
func (g *Group) started() *upstream.Group {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.up
}
