package upstream

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxWeight is the greatest weight, as HAProxy has it.
const maxWeight = 256

// validateChoice checks what backends are chosen by.
func (c Config) validateChoice() error {
	if err := c.Policy.validate(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Weights)) {
		w := c.Weights[name]
		switch {
		case !slices.Contains(c.Backends, name) && !slices.Contains(c.Backups, name):
			return fmt.Errorf("weight is given for %s, which is no backend: name one of %s", name, strings.Join(c.Backends, ", "))
		case w < 1 || w > maxWeight:
			return fmt.Errorf("weight %d of %s is not from 1 to %d: give its share in relation to the others', such as `weight %s 3`", w, name, maxWeight, name)
		case c.Policy == First:
			return fmt.Errorf("weight has no meaning under policy first, which takes the backends in their order: remove it, or take policy round_robin")
		}
	}
	return nil
}
