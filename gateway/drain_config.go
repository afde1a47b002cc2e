package gateway

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// Draining says how connections are closed when the process ends, a handler is gone from the configuration, or an operator says so.
type Draining struct {
	// How long nobody is closed, while nobody new is let in: time for a load balancer to notice. 0: none. Default: 10s.
	Grace *caddy.Duration `json:"grace,omitempty"`
	// Over which time, after that, the connections are closed, at random moments; 0: at once. Default: 2m.
	Drain *caddy.Duration `json:"drain,omitempty"`
}

const (
	defaultGrace = 10 * time.Second
	defaultDrain = 2 * time.Minute
)

func (d *Draining) schedule() Schedule {
	s := Schedule{Grace: defaultGrace, Window: defaultDrain}
	if d.Grace != nil {
		s.Grace = time.Duration(*d.Grace)
	}
	if d.Drain != nil {
		s.Window = time.Duration(*d.Drain)
	}
	return s
}

func (d *Draining) validate() error {
	for _, o := range []struct {
		name  string
		value *caddy.Duration
		or    string
	}{{"grace", d.Grace, "10s"}, {"drain", d.Drain, "2m"}} {
		if o.value != nil && *o.value < 0 {
			return fmt.Errorf("%s %v is negative: give a time such as %s, or 0 for none", o.name, time.Duration(*o.value), o.or)
		}
	}
	return nil
}

// unmarshal reads the option at hand, if it is one of these.
func (d *Draining) unmarshal(from *caddyfile.Dispenser) (is bool, err error) {
	var to **caddy.Duration
	example := ""
	switch from.Val() {
	case "grace":
		to, example = &d.Grace, "10s"
	case "drain":
		to, example = &d.Drain, "2m"
	default:
		return false, nil
	}
	if *to != nil {
		return true, from.Errf("%s is given twice: once is enough", from.Val())
	}
	return true, directive.One(example, directive.OptionalDuration(to))(from)
}
