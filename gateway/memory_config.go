package gateway

import (
	"fmt"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// Ceiling bounds the memory of all client connections and links together.
type Ceiling struct {
	// The bytes that all connections of the process may take: their buffers, as they are, and a fixed amount for each. At the ceiling new clients are refused, and idle ones are
	// closed. Default: no ceiling.
	Memory int `json:"memory,omitempty"`

	stop    chan struct{} // closed: the guard is to end
	guarded sync.WaitGroup
}

// enforce has the configuration's ceiling hold.
func (a *App) enforce() {
	memory.push(a)
	if a.Memory == 0 {
		return
	}
	a.stop = make(chan struct{})
	a.guarded.Go(func() { memory.guard(a.stop) })
}

// relent has the ceiling before hold again.
func (a *App) relent() {
	memory.pop(a)
	if a.stop != nil {
		close(a.stop)
		a.guarded.Wait()
		a.stop = nil
	}
}

// minMemory is the lowest ceiling that is one: below it a few clients with large frames would have all the others closed.
const minMemory = 16 << 20

func (c *Ceiling) validate() error {
	if c.Memory != 0 && c.Memory < minMemory {
		return fmt.Errorf("memory %d is too little to serve with: give 16MiB or more, such as 512MiB, or leave the option out for no ceiling", c.Memory)
	}
	return nil
}

// unmarshal reads the option at hand, if it is this one.
func (c *Ceiling) unmarshal(from *caddyfile.Dispenser) (is bool, err error) {
	if from.Val() != "memory" {
		return false, nil
	}
	if c.Memory != 0 {
		return true, from.Errf("memory is given twice: once is enough")
	}
	if err := directive.One("512MiB", directive.Size(&c.Memory))(from); err != nil {
		return true, err
	}
	if err := c.validate(); err != nil {
		return true, from.WrapErr(err)
	}
	return true, nil
}
