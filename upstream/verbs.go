package upstream

import (
	"errors"
	"fmt"
	"time"
)

// Verb is what an operator may tell a [Group], or one of its backends, to do.
type Verb string

// The verbs. What they change holds as long as the group; a group whose settings change is another one, and starts enabled.
const (
	VerbPause     Verb = "pause"     // hold new work, keep the links
	VerbResume    Verb = "resume"    // end a pause or a drain
	VerbDrain     Verb = "drain"     // hold new work, let what is under way finish, then close the links
	VerbReconnect Verb = "reconnect" // put a new link in the place of each, one after the other
	VerbEnable    Verb = "enable"    // end a disable
	VerbDisable   Verb = "disable"   // as if it were not configured: no new work, and its links are drained
)

// Verbs are all verbs.
var Verbs = []Verb{VerbPause, VerbResume, VerbDrain, VerbReconnect, VerbEnable, VerbDisable}

// Admin is what an operator wants of a group, or of one of its backends.
type Admin string

// What it may be. New work goes to a backend that is enabled, in a group that is.
const (
	Enabled  Admin = "enabled"
	Paused   Admin = "paused"
	Drained  Admin = "drained"
	Disabled Admin = "disabled"
	Removed  Admin = "removed" // gone from discovery: it is drained, whatever an operator said
)

var (
	// ErrNoBackend: the group has no backend of that name.
	ErrNoBackend = errors.New("no such backend")
	// ErrDisabled: what is disabled must be enabled first.
	ErrDisabled = errors.New("it is disabled: enable it")
	// ErrVerb: there is no such verb.
	ErrVerb = errors.New("no such verb")
)

// after returns what a verb makes of it. Each verb may be said twice.
func (a Admin) after(v Verb) (Admin, error) {
	switch {
	case v == VerbDisable:
		return Disabled, nil
	case v == VerbEnable && a != Disabled:
		return a, nil
	case v == VerbEnable:
		return Enabled, nil
	case a == Disabled:
		return a, ErrDisabled
	case v == VerbPause:
		return Paused, nil
	case v == VerbDrain:
		return Drained, nil
	default:
		return Enabled, nil
	}
}

// Do has a verb carried out, on one backend, or with "" on the whole group. It returns when the verb holds: what drains and what is renewed may go on for a
// while, as [Group.Stat] tells.
//
// A group and each of its backends have a state of their own, and both must be enabled. While the group is paused or drained, nobody is ended for waiting:
// what its clients send is held, each up to Config.Buffer. What one backend does not take goes to the others; where there are none, and where the group is disabled, Config.Wait holds.
//
// A link is taken from a client only between its requests, or after Config.RequestTimeout with one unanswered; a client that ends with its link (OnLoss close)
// keeps it, and its link is drained when the client has gone.
func (g *Group) Do(v Verb, backend string) error {
	g.mu.Lock()
	freed, err := g.do(v, backend, time.Now())
	g.unlock(g.pump(time.Now()))
	for _, l := range freed {
		l.release()
	}
	g.serveWaiting()
	return err
}

// do returns the leases that may send again. g.mu is held.
func (g *Group) do(v Verb, name string, now time.Time) (freed []*session, err error) {
	if g.closed {
		return nil, ErrGroupClosed
	}
	state, of := &g.admin, g.backends
	if name != "" {
		b := g.named(name)
		if b == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoBackend, name)
		}
		state, of = &b.admin, []*backend{b}
	}
	switch v {
	case VerbPause, VerbResume, VerbDrain, VerbEnable, VerbDisable:
		next, err := state.after(v)
		if err != nil {
			return nil, err
		}
		if g.keeps() && *state != next {
			g.waitAnew(now)
		}
		*state = next
	case VerbReconnect:
		for _, b := range of {
			b.outdate()
		}
	default:
		return nil, fmt.Errorf("%w: %q is none of %v", ErrVerb, v, Verbs)
	}
	if v == VerbReconnect || v == VerbResume || v == VerbEnable {
		for _, b := range of {
			b.forgive() // who says so knows that it is back
			b.acquit()
		}
	}
	g.judge(now)
	return g.govern(now), nil
}

// named returns the backend of a name; nil: there is none.
func (g *Group) named(name string) *backend {
	for _, b := range g.backends {
		if b.name == name {
			return b
		}
	}
	return nil
}
