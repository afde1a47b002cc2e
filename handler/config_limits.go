package handler

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// Limits are bounds on clients. 0 stands for the default.
type Limits struct {
	// The most client connections of this handler at a time; more are refused. Default: no limit.
	Connections int `json:"connections,omitempty"`
	// The most client connections of one address at a time; more are refused. The /64 of an IPv6 address counts as one address. Default: no limit.
	PerIP int `json:"per_ip,omitempty"`
	// The frames, heartbeats included, that a client may send in a time. Default: no limit.
	Frames *Rate `json:"frames,omitempty"`
	// The bytes that a client may send in a time. Default: no limit.
	Bytes *Rate `json:"bytes,omitempty"`
	// What becomes of a client that sends more than `frames` or `bytes`: `delay` reads from it no faster than that, `close` closes it. Default: `delay`.
	Exceed string `json:"exceed,omitempty"`
	// The bytes that may wait for a client to read them; beyond it nothing more is read on its behalf. Default: 1 MiB.
	Pending int `json:"pending,omitempty"`
	// How often one address may connect. Default: as often as it likes.
	Flapping *Flapping `json:"flapping,omitempty"`
	// How often clients of one address may fail to be let in by `sessions authenticate`. Default: 10 times in a minute.
	FailedHello *FailedHello `json:"failed_hello,omitempty"`
	// How long a client may take from the start to the end of its first frame. Default: 0, no limit but the handler's timeouts.
	FirstFrame caddy.Duration `json:"first_frame,omitempty"`
	// How long a client may take from a `gopr_guard` to this handler: for its TLS handshake. Default: 5s.
	Handshake caddy.Duration `json:"handshake,omitempty"`
}

// Rate is so much in a time.
type Rate struct {
	// How many, in each `per`.
	Amount int `json:"amount"`
	// Default: 1s.
	Per caddy.Duration `json:"per,omitempty"`
	// How many may come at once, after a time of less. Default: `amount`.
	Burst int `json:"burst,omitempty"`
}

// Flapping is when an address that connects over and over is banned.
type Flapping struct {
	// How many times an address may connect `within` a time; one more has it banned.
	Connects int `json:"connects"`
	// The time, which slides.
	Within caddy.Duration `json:"within"`
	// How long it is then refused.
	Ban caddy.Duration `json:"ban"`
}

// FailedHello is when clients of an address that were not let in are not even asked who they are.
type FailedHello struct {
	// Any number of tries.
	Off bool `json:"off,omitempty"`
	// How many tries may fail `within` a time; one more has HELLOs of the address refused for as long. Default: 10.
	Tries int `json:"tries,omitempty"`
	// The time, which slides. Default: 1m.
	Within caddy.Duration `json:"within,omitempty"`
}

func (h *Handler) unmarshalLimits(d *caddyfile.Dispenser) error {
	l := new(Limits)
	h.Limits = l
	return directive.Nested("limits", directive.Options{
		"connections": directive.One("100000", directive.Int(&l.Connections)),
		"per_ip":      directive.One("1000", directive.Int(&l.PerIP)),
		"frames": func(d *caddyfile.Dispenser) error {
			l.Frames = new(Rate)
			return directive.Args("1000/s 2000", 1, rateArg(&l.Frames.Amount, &l.Frames.Per, directive.Int), directive.Int(&l.Frames.Burst))(d)
		},
		"bytes": func(d *caddyfile.Dispenser) error {
			l.Bytes = new(Rate)
			return directive.Args("1MiB/s 4MiB", 1, rateArg(&l.Bytes.Amount, &l.Bytes.Per, directive.Size), directive.Size(&l.Bytes.Burst))(d)
		},
		"exceed":  directive.One("delay", directive.String(&l.Exceed)),
		"pending": directive.One("1MiB", directive.Size(&l.Pending)),
		"flapping": func(d *caddyfile.Dispenser) error {
			l.Flapping = new(Flapping)
			f := l.Flapping
			return directive.Args("15/1m ban 5m", 3, rateArg(&f.Connects, &f.Within, directive.Int), word("ban"), directive.Duration(&f.Ban))(d)
		},
		"failed_hello": func(d *caddyfile.Dispenser) error {
			l.FailedHello = new(FailedHello)
			f := l.FailedHello
			return directive.Off(&f.Off, directive.Args("10/1m", 1, rateArg(&f.Tries, &f.Within, directive.Int)))(d)
		},
		"first_frame": directive.One("3s", directive.Duration(&l.FirstFrame)),
		"handshake":   directive.One("5s", directive.Duration(&l.Handshake)),
	})(d)
}

// rateArg takes so much in a time: 1000/s, 60/1m, 1MiB/100ms. What the amount is says of.
func rateArg(amount *int, per *caddy.Duration, of func(*int) directive.Arg) directive.Arg {
	return func(s string) error {
		much, time, ok := strings.Cut(s, "/")
		if !ok {
			return fmt.Errorf("%q does not say in which time", s)
		}
		if err := of(amount)(much); err != nil {
			return err
		}
		switch time {
		case "s", "m", "h":
			time = "1" + time
		}
		return directive.Duration(per)(time)
	}
}

// word takes a word that only makes the line readable.
func word(w string) directive.Arg {
	return func(s string) error {
		if s != w {
			return fmt.Errorf("%q where %q should be", s, w)
		}
		return nil
	}
}

// maxRatePer is the longest time that a rate may be about: beyond it is a quota, and no limit of speed.
const maxRatePer = time.Hour
