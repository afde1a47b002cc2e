package handler

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// compileUpstream prepares a group, and the translation where its backends speak another format.
func (h *Handler) compileUpstream(s *settings, u *Upstream, name string) (*target, error) {
	cfg, err := u.compile()
	if err != nil {
		return nil, err
	}
	t := &target{maxAsks: math.MaxInt}
	cfg.Format, cfg.Versions = s.format, h.Versions
	if u.Format != "" {
		if cfg.Format, err = h.app.Format(u.Format); err != nil {
			return nil, err
		}
	}
	if cfg.Format != s.format {
		cfg.Versions = nil // of the other format: its own
		if t.translator, err = newTranslator(s.format, cfg.Format); err != nil {
			return nil, err
		}
	}
	if cfg.Pooling == upstream.Request {
		if !s.format.HasPairing() && !cfg.Format.HasPairing() {
			return nil, fmt.Errorf("pooling request needs to know which frames ask and which answer, and the format %s does not say: declare `asks` and `answers` with the format, or take pooling session", s.format.Name())
		}
		t.maxAsks = cfg.WithDefaults().MaxInflight
	}
	if u.Tracing {
		if cfg.Pooling != upstream.Request {
			return nil, fmt.Errorf("tracing makes a span of each request, which only pooling request tells apart: add `pooling request`, or remove tracing")
		}
		cfg.Trace = gateway.Trace(s.name, name)
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	key, err := json.Marshal(u)
	if err != nil {
		return nil, err
	}
	cfg.Logger = gateway.Log.With("handler", s.name, "upstream", name)
	t.group = group{handler: s.name, name: name, key: identity(cfg.Format) + fmt.Sprint(cfg.Versions) + string(key), cfg: cfg}
	return t, nil
}

func (u *Upstream) compile() (upstream.Config, error) {
	cfg := upstream.Config{
		Backends:     u.Backends,
		Policy:       upstream.Policy(u.Policy),
		DialTimeout:  time.Duration(u.DialTimeout),
		WriteTimeout: time.Duration(u.WriteTimeout),
		TCP:          u.TCPKeepalive.compile(),
		OnLoss:       upstream.OnLoss(u.OnLoss),
		Buffer:       u.Buffer,
		EventLoop:    gateway.EventLoop,

		Pooling:        upstream.Pooling(u.Pooling),
		MaxStreams:     u.MaxStreams,
		MaxInflight:    u.MaxInflight,
		Wait:           time.Duration(u.Wait),
		MaxWaiting:     u.MaxWaiting,
		RequestTimeout: time.Duration(u.RequestTimeout),
		StrictAnswers:  u.StrictAnswers,
		MaxAge:         time.Duration(u.MaxAge),
		Idle:           time.Duration(u.Idle),
		ClientFirst:    u.Extended,
	}
	if err := u.Choice.compile(&cfg); err != nil {
		return cfg, err
	}
	u.Edge.compile(&cfg)
	if c := u.Connections; c != nil {
		if c.Min != nil && *c.Min < 0 {
			return cfg, fmt.Errorf("connections min %d is negative: give the number of links to keep warm, or 0 for none", *c.Min)
		}
		cfg.MinLinks, cfg.MaxLinks = noneIfZero(c.Min), c.Max
	}
	cfg.DialRate = u.DialRate
	var err error
	if cfg.RetryBudget, err = u.RetryBudget.compile(); err != nil {
		return cfg, err
	}
	if cfg.Discovery, err = u.Dynamic.compile(); err != nil {
		return cfg, err
	}
	if r := u.Reconnect; r != nil {
		if r.Attempts != nil && *r.Attempts < 0 {
			return cfg, fmt.Errorf("reconnect attempts %d is negative: give a number such as 5, or 0 to never pause", *r.Attempts)
		}
		if r.Jitter != nil && *r.Jitter < 0 {
			return cfg, fmt.Errorf("reconnect jitter %v is negative: give a share such as 0.5, or 0 for none", *r.Jitter)
		}
		cfg.Reconnect = upstream.Reconnect{
			Strategy: upstream.Strategy(r.Strategy),
			Initial:  time.Duration(r.Initial), Factor: r.Factor, Max: time.Duration(r.Max), Jitter: noneIfZero(r.Jitter),
			Attempts: noneIfZero(r.Attempts), Pause: time.Duration(r.Pause), Stable: time.Duration(r.Stable),
		}
	}
	if hb := u.Heartbeat; hb != nil {
		cfg.Heartbeat = &keepalive.Heartbeat{Interval: time.Duration(hb.Interval), Timeout: time.Duration(hb.Timeout)}
		switch {
		case hb.Off:
			cfg.Heartbeat.Interval = -1
		case hb.Interval == 0:
			cfg.Heartbeat.Interval = 30 * time.Second
		case hb.Interval < 0:
			return cfg, fmt.Errorf("heartbeat interval %v is negative: give a time such as 30s, or off", time.Duration(hb.Interval))
		}
	}
	return cfg, nil
}
