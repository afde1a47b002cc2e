package handler

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// RetryBudget bounds how often clients whose links die as soon as they have them are given others.
type RetryBudget struct {
	// No bound.
	Off bool `json:"off,omitempty"`
	// How many links for each hundred that other clients got, in the last ten seconds; 0: none. Default: 20.
	Percent *int `json:"percent,omitempty"`
	// How many a second in any case; 0: none. Default: 10.
	MinPerSecond *int `json:"min_per_second,omitempty"`
}

func (u *Upstream) unmarshalDialRate(d *caddyfile.Dispenser) error {
	return directive.One("100/s", func(s string) error {
		if s == "off" {
			u.DialRate = -1
			return nil
		}
		return perSecond(directive.Int(&u.DialRate))(s)
	})(d)
}

func (u *Upstream) unmarshalRetryBudget(d *caddyfile.Dispenser) error {
	b := new(RetryBudget)
	u.RetryBudget = b
	percent := func(s string) error {
		n, ok := strings.CutSuffix(s, "%")
		if !ok {
			return fmt.Errorf("%q is no percentage", s)
		}
		return directive.OptionalInt(&b.Percent)(n)
	}
	return directive.Off(&b.Off, directive.Args("20% 10/s", 1, percent, perSecond(directive.OptionalInt(&b.MinPerSecond))))(d)
}

// perSecond takes a number with /s behind it.
func perSecond(number directive.Arg) directive.Arg {
	return func(s string) error {
		n, ok := strings.CutSuffix(s, "/s")
		if !ok {
			return fmt.Errorf("%q is no rate in a second", s)
		}
		return number(n)
	}
}

func (b *RetryBudget) compile() (upstream.RetryBudget, error) {
	if b == nil {
		return upstream.RetryBudget{}, nil
	}
	for _, n := range []*int{b.Percent, b.MinPerSecond} {
		if n != nil && *n < 0 {
			return upstream.RetryBudget{}, errors.New("retry_budget is negative: write it as `retry_budget 20% 10/s`, or `retry_budget off`")
		}
	}
	return upstream.RetryBudget{Off: b.Off, Percent: noneIfZero(b.Percent), MinPerSecond: noneIfZero(b.MinPerSecond)}, nil
}
