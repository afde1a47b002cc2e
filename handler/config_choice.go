package handler

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// Choice is the part of an upstream that says which backend serves whom.
type Choice struct {
	// The shares of backends that get more than others, by their addresses, from 1 to 256. Default: 1 each.
	Weights map[string]int `json:"weights,omitempty"`
}

// options adds those of a choice to an upstream's.
func (c *Choice) options(to directive.Options) {
	to["weight"] = c.unmarshalWeight
}

func (c *Choice) unmarshalWeight(d *caddyfile.Dispenser) error {
	var backend string
	weight := func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no whole number from 1 on", s)
		}
		if c.Weights[backend] != 0 {
			return fmt.Errorf("that of %s is given twice: once is enough", backend)
		}
		if c.Weights == nil {
			c.Weights = make(map[string]int)
		}
		c.Weights[backend] = n
		return nil
	}
	return directive.Args("10.0.0.1:9000 3", 2, directive.String(&backend), weight)(d)
}

// compile adds the choice to the upstream's settings.
func (c *Choice) compile(to *upstream.Config) {
	to.Weights = c.Weights
}
