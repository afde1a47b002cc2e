package handler

import (
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

const (
	defaultPending   = 1 << 20
	defaultHandshake = 5 * time.Second
	defaultTries     = 10
	defaultTriesIn   = time.Minute

	exceedDelay = "delay"
	exceedClose = "close"
)

// defaultFailedHello bans an address for as long as its tries count.
var defaultFailedHello = gateway.Flapping{Connects: defaultTries, Within: defaultTriesIn, Ban: defaultTriesIn}

// readAtOnce is what one read of a client with a rate takes: what has been read and must wait is held meanwhile.
const readAtOnce = 16 << 10

func (h *Handler) compileLimits(s *settings) (err error) {
	s.transport.High = defaultPending
	s.rules.Handshake = defaultHandshake
	s.rules.FailedHello = defaultFailedHello
	l := h.Limits
	if l == nil {
		return nil
	}
	switch {
	case l.Connections < 0:
		return fmt.Errorf("limits connections %d is negative: give the most connections, or 0 for no limit", l.Connections)
	case l.PerIP < 0:
		return fmt.Errorf("limits per_ip %d is negative: give the most connections of one address, such as 1000, or 0 for no limit", l.PerIP)
	case l.Pending < 0:
		return fmt.Errorf("limits pending %d is negative: give a size such as 1MiB", l.Pending)
	case l.FirstFrame < 0:
		return fmt.Errorf("limits first_frame %v is negative: give a time such as 3s, or 0 for no limit", time.Duration(l.FirstFrame))
	case l.Handshake < 0:
		return fmt.Errorf("limits handshake %v is negative: give a time such as 5s", time.Duration(l.Handshake))
	}
	if s.rules.Flapping, err = l.Flapping.compile(); err != nil {
		return err
	}
	if s.rules.FailedHello, err = l.FailedHello.compile(); err != nil {
		return err
	}
	s.rules.Connections, s.rules.PerAddress = l.Connections, l.PerIP
	s.transport.High = orDefault(l.Pending, defaultPending)
	s.rules.Handshake = orDefault(time.Duration(l.Handshake), defaultHandshake)
	s.first = time.Duration(l.FirstFrame)
	if s.rates, err = l.compileRates(); s.rates != nil {
		s.transport.ReadMax = readAtOnce
	}
	return err
}

func (l *Limits) compileRates() (*rates, error) {
	r := &rates{}
	switch l.Exceed {
	case "", exceedDelay:
	case exceedClose:
		r.close = true
	default:
		return nil, fmt.Errorf("unknown limits exceed %q: %s or %s", l.Exceed, exceedDelay, exceedClose)
	}
	var err error
	if r.frames, err = l.Frames.compile("limits frames", "1000/s"); err != nil {
		return nil, err
	}
	if r.bytes, err = l.Bytes.compile("limits bytes", "1MiB/s"); err != nil {
		return nil, err
	}
	if r.frames == nil && r.bytes == nil {
		if l.Exceed != "" {
			return nil, fmt.Errorf("limits exceed says what becomes of who exceeds frames or bytes, and neither is given: add one, such as `frames 1000/s`")
		}
		return nil, nil
	}
	return r, nil
}

func (r *Rate) compile(option, example string) (*rate, error) {
	if r == nil {
		return nil, nil
	}
	per := orDefault(time.Duration(r.Per), time.Second)
	switch {
	case r.Amount <= 0:
		return nil, fmt.Errorf("%s: an amount of %d lets nobody send: give one such as %s, or leave the option out for no limit", option, r.Amount, example)
	case per < 0, per > maxRatePer:
		return nil, fmt.Errorf("%s: a rate is so much in a time of up to %v, and %v is none: write it as %s", option, maxRatePer, per, example)
	case r.Burst < 0:
		return nil, fmt.Errorf("%s: burst %d is negative: give how much may come at once, or 0 for the amount", option, r.Burst)
	}
	return &rate{perSecond: float64(r.Amount) / per.Seconds(), burst: float64(orDefault(r.Burst, r.Amount))}, nil
}

func (f *Flapping) compile() (g gateway.Flapping, err error) {
	if f == nil {
		return g, nil
	}
	g = gateway.Flapping{Connects: f.Connects, Within: time.Duration(f.Within), Ban: time.Duration(f.Ban)}
	if g.Connects <= 0 || g.Within <= 0 || g.Ban <= 0 {
		return g, fmt.Errorf("limits flapping: %d connects within %v and a ban of %v: all three must be above 0, as in `flapping 15/1m ban 5m`", g.Connects, g.Within, g.Ban)
	}
	return g, nil
}

func (f *FailedHello) compile() (g gateway.Flapping, err error) {
	switch {
	case f == nil:
		return defaultFailedHello, nil
	case f.Off && (f.Tries != 0 || f.Within != 0):
		return g, fmt.Errorf("limits failed_hello is off, and says how many: remove `off`, or the rest")
	case f.Off:
		return g, nil
	}
	within := orDefault(time.Duration(f.Within), defaultTriesIn)
	g = gateway.Flapping{Connects: orDefault(f.Tries, defaultTries), Within: within, Ban: within}
	if g.Connects < 0 || within < 0 {
		return g, fmt.Errorf("limits failed_hello: %d tries within %v: both must be above 0, as in `failed_hello 10/1m`, or `failed_hello off` for any number", g.Connects, within)
	}
	return g, nil
}
