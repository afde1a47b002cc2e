package handler

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// Choice is the part of an upstream that says which backend serves whom.
type Choice struct {
	// The shares of backends that get more than others, by their addresses, from 1 to 256. Default: 1 each.
	Weights map[string]int `json:"weights,omitempty"`
	// Backends that take new work when none of the others can be expected to answer.
	Backup []string `json:"backup,omitempty"`
	// How many new links, under request pooling how many requests, go to them in a time; more wait. Default: no limit.
	BackupRate *Rate `json:"backup_rate,omitempty"`
	// What makes a backend fit to take new work. Default: with policy `health`, and with backups, its own defaults; else every backend is, and the score is only shown.
	Health *Health `json:"health,omitempty"`
	// When a backend is put aside as an outlier. Default: never.
	Outlier *Outlier `json:"outlier,omitempty"`
	// How backends without a link are looked at. Default: they are not.
	Probe *Probe `json:"probe,omitempty"`
	// The part of the backends that must be fit; where fewer are, all are used. 0: clients rather wait. Default: 0.5.
	Panic *float64 `json:"panic,omitempty"`
	// The time in which a backend that was not fit, and is again, comes to its whole share of the traffic. Default: 0, at once.
	SlowStart caddy.Duration `json:"slow_start,omitempty"`
}

// options adds those of a choice to an upstream's.
func (c *Choice) options(to directive.Options) {
	to["weight"] = c.unmarshalWeight
	c.healthOptions(to)
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
func (c *Choice) compile(to *upstream.Config) error {
	to.Weights = c.Weights
	return c.compileHealth(to)
}
