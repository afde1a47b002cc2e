package gateway

import (
	"testing"
	"testing/synctest"
)

// config is a configuration that has these handlers, with settings that say whose they are.
func config(name string, lives ...*Live) *App {
	a := &App{id: configurationsSeen.Add(1)}
	for _, l := range lives {
		a.Offer(l, name)
	}
	return a
}

func inForceOf(l *Live) string {
	if g := l.Current(); g != nil {
		return g.Settings.(string)
	}
	return ""
}

// TestConfigurations: which settings are in force, as configurations start and stop, in the order in which Caddy does it.
func TestConfigurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c configurations
		l, other := AcquireLive(t.Name()+"/l"), AcquireLive(t.Name()+"/other")
		defer ReleaseLive(l)
		defer ReleaseLive(other)
		expect := func(what, of, ofOther string) {
			t.Helper()
			if got, gotOther := inForceOf(l), inForceOf(other); got != of || gotOther != ofOther {
				t.Errorf("%s: %q and %q are in force, want %q and %q", what, got, gotOther, of, ofOther)
			}
		}
		stop := func(a *App, gone ...*Live) {
			t.Helper()
			got, _ := c.stop(a)
			if len(got) != len(gone) || len(got) > 0 && got[0] != gone[0] {
				t.Errorf("%d handlers are gone, want %d", len(got), len(gone))
			}
		}

		first := config("first", l)
		expect("provisioned", "", "")
		c.start(first)
		expect("the first", "first", "")
		began := l.Current()

		rejected := config("rejected", l, other)
		c.start(rejected)
		expect("a second has started", "first", "")
		stop(rejected, other) // nobody is there, but who came meanwhile
		expect("the second was rejected", "first", "")
		if l.Current() != began {
			t.Error("connections are to look for nothing new")
		}

		second := config("second", l, other)
		c.start(second)
		expect("another second has started", "first", "")
		stop(first)
		expect("the first has stopped", "second", "second")
		if id := l.Current().ID; id != second.id || id <= began.ID {
			t.Errorf("its number is %d, after %d", id, began.ID)
		}

		third := config("third", other)
		c.start(third)
		stop(second, l)
		expect("a handler is gone", "second", "third")

		fourth := config("fourth", l)
		c.start(fourth)
		stop(third, other)
		expect("it is back", "fourth", "third")

		stop(fourth, l)
		expect("the end", "fourth", "third")
		stop(config("never started", l), l)
	})
}
