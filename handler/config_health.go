package handler

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
)

// Health is what makes a backend fit to take new work: a score of 0 to 100, made of its round trips, its failures in a row and its TLS handshakes. 0 stands for the default.
type Health struct {
	// The round trip that 95 % of the pings should not exceed; at twice as much, nothing is left of their part of the score. Default: 100ms.
	RTTThreshold caddy.Duration `json:"rtt_threshold,omitempty"`
	// How far back round trips count. Default: 10s.
	Window caddy.Duration `json:"window,omitempty"`
	// How often each backend is pinged to measure its round trip, beside the heartbeats. Default: 500ms.
	Sample caddy.Duration `json:"sample,omitempty"`
	// The parts of round trips, failures and TLS handshakes in the score. Default: 40, 35, 25.
	Weights []float64 `json:"weights,omitempty"`
	// The score below which a backend takes nothing new. Default: 85.
	Threshold float64 `json:"threshold,omitempty"`
	// How much above the threshold it must come to take traffic again; 0: none. Default: 5.
	Hysteresis *float64 `json:"hysteresis,omitempty"`
	// How many failures in a row take the whole part of the failures, and make a backend unfit whatever its score. Default: 3.
	Failures int `json:"failures,omitempty"`
	// The time in which a failure loses half of its weight. Default: 30s.
	Decay caddy.Duration `json:"decay,omitempty"`
}

// Outlier says when a backend that fails is put aside, whatever its score. 0 stands for the default.
type Outlier struct {
	// How many failures in a row put it aside. Default: 3.
	Failures int `json:"failures,omitempty"`
	// How long the first time; the second time in a row it is twice as long, and so on. Default: 30s.
	Base caddy.Duration `json:"base,omitempty"`
	// The longest. Default: 5m.
	Max caddy.Duration `json:"max,omitempty"`
	// The part of the backends that may be aside at once, rounded down. Default: 0.5.
	Share float64 `json:"share,omitempty"`
}

// Probe says how backends without a link are looked at. 0 stands for the default.
type Probe struct {
	// The time between probes of a backend. Default: 10s.
	Interval caddy.Duration `json:"interval,omitempty"`
	// How many failures in a row take a backend out. Default: 3.
	Fall int `json:"fall,omitempty"`
	// How many good probes in a row bring it back. Default: 2.
	Rise int `json:"rise,omitempty"`
}

// healthOptions are those of a choice that judge backends.
func (c *Choice) healthOptions(to directive.Options) {
	to["backup"] = directive.List("10.0.9.1:9000", directive.Append(&c.Backup))
	to["backup_rate"] = func(d *caddyfile.Dispenser) error {
		r := new(Rate)
		c.BackupRate = r
		return directive.Args("100/s", 1, rateArg(&r.Amount, &r.Per, directive.Int), directive.Int(&r.Burst))(d)
	}
	to["health"] = c.unmarshalHealth
	to["outlier"] = c.unmarshalOutlier
	to["probe"] = c.unmarshalProbe
	to["panic"] = directive.One("50%", func(s string) error {
		c.Panic = new(float64)
		if s == "off" {
			return nil
		}
		return share(c.Panic)(s)
	})
	to["slow_start"] = directive.One("30s", directive.Duration(&c.SlowStart))
}

func (c *Choice) unmarshalHealth(d *caddyfile.Dispenser) error {
	h := new(Health)
	c.Health = h
	h.Weights = make([]float64, 3)
	given := false
	weights := directive.Args("40 35 25", 3, directive.Float(&h.Weights[0]), directive.Float(&h.Weights[1]), directive.Float(&h.Weights[2]))
	err := directive.Nested("health", directive.Options{
		"rtt_threshold": directive.One("100ms", directive.Duration(&h.RTTThreshold)),
		"window":        directive.One("10s", directive.Duration(&h.Window)),
		"sample":        directive.One("500ms", directive.Duration(&h.Sample)),
		"weights": func(d *caddyfile.Dispenser) error {
			given = true
			return weights(d)
		},
		"threshold":  directive.One("85", directive.Float(&h.Threshold)),
		"hysteresis": directive.One("5", directive.OptionalFloat(&h.Hysteresis)),
		"failures":   directive.One("3", directive.Int(&h.Failures)),
		"decay":      directive.One("30s", directive.Duration(&h.Decay)),
	})(d)
	if !given {
		h.Weights = nil
	}
	return err
}

func (c *Choice) unmarshalOutlier(d *caddyfile.Dispenser) error {
	o := new(Outlier)
	c.Outlier = o
	return directive.Nested("outlier", directive.Options{
		"failures": directive.One("3", directive.Int(&o.Failures)),
		"base":     directive.One("30s", directive.Duration(&o.Base)),
		"max":      directive.One("5m", directive.Duration(&o.Max)),
		"share":    directive.One("50%", share(&o.Share)),
	})(d)
}

func (c *Choice) unmarshalProbe(d *caddyfile.Dispenser) error {
	p := new(Probe)
	c.Probe = p
	if d.NextArg() {
		if err := directive.Duration(&p.Interval)(d.Val()); err != nil {
			return d.Errf("probe: %v: write it as `probe 10s`", err)
		}
	}
	if d.NextArg() {
		return d.Errf("probe has no argument %q: write it as `probe 10s`, or `probe 10s { fall 3; rise 2 }` with each option on a line of its own", d.Val())
	}
	return directive.Block(d, "probe", directive.Options{
		"fall": directive.One("3", directive.Int(&p.Fall)),
		"rise": directive.One("2", directive.Int(&p.Rise)),
	})
}

// share takes a part of a whole: 50% or 0.5.
func share(to *float64) directive.Arg {
	return func(s string) error {
		digits, percent := strings.CutSuffix(s, "%")
		v, err := strconv.ParseFloat(digits, 64)
		if percent {
			v /= 100
		}
		if err != nil || !(v > 0 && v <= 1) {
			return fmt.Errorf("%q is no share such as 50%%, above 0%% and up to 100%%", s)
		}
		*to = v
		return nil
	}
}

// compileHealth adds what backends are judged by to the upstream's settings.
func (c *Choice) compileHealth(to *upstream.Config) error {
	to.Backups, to.SlowStart = c.Backup, time.Duration(c.SlowStart)
	if r := c.BackupRate; r != nil {
		rate, err := r.compile("backup_rate", "100/s")
		if err != nil {
			return err
		}
		to.BackupRate, to.BackupBurst = rate.perSecond, int(rate.burst)
	}
	if h := c.Health; h != nil {
		s := health.Settings{
			RTTThreshold: time.Duration(h.RTTThreshold), Window: time.Duration(h.Window), Sample: time.Duration(h.Sample),
			Threshold: h.Threshold, Hysteresis: noneIfZero(h.Hysteresis), Failures: h.Failures, Decay: time.Duration(h.Decay),
		}
		switch len(h.Weights) {
		case 0:
		case 3:
			s.Weights = health.Weights{RTT: h.Weights[0], Failures: h.Weights[1], TLS: h.Weights[2]}
			if s.Weights == (health.Weights{}) {
				return fmt.Errorf("health weights 0 0 0 leave no score: give three numbers from 0 up, not all 0, such as 40 35 25")
			}
		default:
			return fmt.Errorf("health weights are %d numbers: give three, for round trips, failures and TLS handshakes, such as 40 35 25", len(h.Weights))
		}
		to.Health = &s
	}
	if o := c.Outlier; o != nil {
		to.Outlier = &upstream.Outlier{Failures: o.Failures, Base: time.Duration(o.Base), Max: time.Duration(o.Max), Share: o.Share}
	}
	if p := c.Probe; p != nil {
		to.Probe = &upstream.Probe{Interval: time.Duration(p.Interval), Fall: p.Fall, Rise: p.Rise}
	}
	switch {
	case c.Panic != nil && *c.Panic < 0:
		return fmt.Errorf("panic %v is negative: give a part of the backends such as 0.5, or 0 to turn it off", *c.Panic)
	case c.Panic != nil:
		to.Panic = noneIfZero(c.Panic)
	}
	return nil
}
