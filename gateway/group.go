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

// groupKey: handlers of the same name and the same settings share a group, before and after a reload. Different names do not: a group's links
// are then one handler's, in metrics and at the backend.
type groupKey struct{ name, settings string }

// AcquireGroup returns the group of a handler's name and settings (in a form that is equal for equal settings), and counts the caller as its user until
// ReleaseGroup. cfg must be valid.
func AcquireGroup(name, settings string, cfg upstream.Config) *Group {
	key := groupKey{name, settings}
	v, _, _ := groups.LoadOrNew(key, func() (caddy.Destructor, error) { return &Group{key: key, cfg: cfg}, nil })
	return v.(*Group)
}

// ReleaseGroup ends one use.
func ReleaseGroup(g *Group) { _, _ = groups.Delete(g.key) }

// Upstream returns the group, started.
func (g *Group) Upstream() (*upstream.Group, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.up == nil {
		if g.closed {
			return nil, upstream.ErrGroupClosed
		}
		up, err := upstream.NewGroup(g.cfg)
		if err != nil {
			return nil, err
		}
		g.up = up
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
	return up.Close()
}

// stat returns a snapshot; ok is false for a group that has not been started.
func (g *Group) stat() (s upstream.Stat, ok bool) {
	g.mu.Lock()
	up := g.up
	g.mu.Unlock()
	if up == nil {
		return s, false
	}
	return up.Stat(), true
}
