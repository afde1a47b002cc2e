package gateway

import (
	"fmt"
	"slices"
)

// doors are the rules of a configuration's handlers, by name, for the guards that stand before them.
type doors struct {
	rules  map[string]*Rules
	guards []string
}

// Door says what it takes to be let in at a handler of this configuration.
func (a *App) Door(name string, rules *Rules) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.doors.rules == nil {
		a.doors.rules = make(map[string]*Rules)
	}
	a.doors.rules[name] = rules
}

// Guard says that a gopr_guard stands before a handler.
func (a *App) Guard(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.doors.guards = append(a.doors.guards, name)
}

// Rules returns those of a handler, which a configuration that has started has.
func (a *App) Rules(name string) *Rules {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.doors.rules[name]
}

// check says which guard has nothing to guard. a.mu is held.
func (d *doors) check() error {
	for _, name := range d.guards {
		if d.rules[name] == nil {
			var names []string
			for n := range d.rules {
				names = append(names, n)
			}
			slices.Sort(names)
			return fmt.Errorf("gopr_guard %s: there is no gopr handler of that name, only %q: name the one that it stands before", name, names)
		}
	}
	return nil
}
