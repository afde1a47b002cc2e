package handler

import (
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

const (
	defaultName         = "default"
	defaultFrameTimeout = 10 * time.Second
	defaultIdleTimeout  = 45 * time.Second // 1.5 times the 30 s at which clients ping
	defaultWriteTimeout = 10 * time.Second

	onInvalidClose = "close"
	onInvalidDrop  = "drop"
	respondEcho    = "echo"
)

// settings is a handler's configuration, compiled. It is never changed: connections share it, and outlive the handler with it.
type settings struct {
	name       string
	generation uint64 // of the configuration
	identity   string // of the format: what can't change under a connection
	dialect           // of the clients
	dec        *wire.Decoder
	commands   *wire.CommandSet // what the application may use; nil: all
	cmdOffset  int              // where a frame has its command
	require    *require         // nil: nothing
	drop       bool
	echo       bool
	accessLog  bool
	rules      gateway.Rules // of the door
	limits     keepalive.Limits
	first      time.Duration        // for the first frame; 0: no limit of its own
	rates      *rates               // nil: as fast as they like
	probe      *keepalive.Heartbeat // nil: clients are not pinged
	tcp        keepalive.TCP
	transport  transport.Options
	routes     []*target // the first that has a frame's command takes it
	upstream   *target   // takes all others; nil: they are echoed, or not accepted
	sessions   *sessions // nil: every connection is plain
}

// target is a group of backends, and how frames are put to it.
type target struct {
	group
	commands   *wire.CommandSet // of a route
	translator *translator      // nil: the backends speak as the clients do
	maxAsks    int              // requests that may go to a lease at once
}

// route returns where frames with a command go; nil: to no backend.
func (s *settings) route(cmd uint32) *target {
	for _, t := range s.routes {
		if t.commands.Contains(cmd) {
			return t
		}
	}
	return s.upstream
}

// targets are all the groups of backends that frames may go to.
func (s *settings) targets() []*target {
	if s.upstream == nil {
		return s.routes
	}
	return append([]*target{s.upstream}, s.routes...)
}

// group is what it takes to hold the upstream group of these settings.
type group struct {
	handler, name, key string
	cfg                upstream.Config
}

func (g *group) acquire() *gateway.Group {
	return gateway.AcquireGroup(g.handler, g.name, g.key, g.cfg)
}

// compile checks the configuration and fills in the defaults. Its errors say what would be right.
func (h *Handler) compile() (*settings, error) {
	s := &settings{
		name: h.Name, generation: h.app.Generation(), accessLog: h.AccessLog,
		limits: keepalive.Limits{Idle: defaultIdleTimeout, Frame: defaultFrameTimeout},
	}
	if s.name == "" {
		s.name = defaultName
	}
	for _, step := range []func(*settings) error{h.compileFormat, h.compileTimes, h.compileHeartbeat, h.compileLimits, h.compileRequire, h.compileTarget, h.compileRoutes, h.compileSessions} {
		if err := step(s); err != nil {
			return nil, fmt.Errorf("gopr handler %q: %w", s.name, err)
		}
	}
	return s, nil
}

func (h *Handler) compileFormat(s *settings) (err error) {
	if s.dialect, err = h.dialect(); err != nil {
		return err
	}
	s.identity = identity(s.format)
	s.cmdOffset = s.format.Layout().Cmd.Offset
	rules := wire.Rules{Versions: h.Versions, MaxPayload: h.MaxPayload, From: wire.FromClient}
	if len(h.Commands) > 0 {
		ranges, err := commandRanges(h.Commands)
		if err != nil {
			return err
		}
		s.commands = wire.NewCommandSet(ranges...)
		beats, all := s.beats()
		if h.Sessions != nil {
			beats = append(beats, controls)
		}
		rules.Commands = wire.NewCommandSet(append(ranges, beats...)...)
		if all { // then the list is for who knows what is no heartbeat; the decoder only checks that it can be
			if _, err = s.format.NewDecoder(rules); err != nil {
				return err
			}
			rules.Commands = nil
		}
	}
	if s.dec, err = s.format.NewDecoder(rules); err != nil {
		return err
	}
	if err := s.checkBeats(); err != nil {
		return err
	}
	switch h.OnInvalid {
	case "", onInvalidClose:
	case onInvalidDrop:
		s.drop = true
	default:
		return fmt.Errorf("unknown on_invalid %q: %s or %s", h.OnInvalid, onInvalidClose, onInvalidDrop)
	}
	return nil
}

func (h *Handler) compileTimes(s *settings) error {
	if h.FrameTimeout != nil {
		s.limits.Frame = time.Duration(*h.FrameTimeout)
	}
	if h.IdleTimeout != nil {
		s.limits.Idle = time.Duration(*h.IdleTimeout)
	}
	s.transport.EventLoop = gateway.EventLoop
	s.transport.WriteTimeout = orDefault(time.Duration(h.WriteTimeout), defaultWriteTimeout)
	if s.transport.WriteTimeout < 0 {
		return fmt.Errorf("write_timeout %v is negative: give a time such as 10s", s.transport.WriteTimeout)
	}
	s.tcp = h.TCPKeepalive.compile()
	if err := s.tcp.Validate(); err != nil {
		return err
	}
	return s.limits.Validate()
}

func (h *Handler) compileHeartbeat(s *settings) error {
	if h.Heartbeat == nil || h.Heartbeat.Probe == 0 {
		return nil
	}
	probe := time.Duration(h.Heartbeat.Probe)
	s.probe = &keepalive.Heartbeat{Interval: probe, Timeout: probe / 2}
	if err := s.probe.Validate(); err != nil {
		return fmt.Errorf("heartbeat probe: %w", err)
	}
	*s.probe = s.probe.WithDefaults()
	return nil
}

func (h *Handler) compileTarget(s *settings) error {
	switch {
	case h.Respond == "" && h.Upstream == nil && len(h.Routes) > 0:
		return nil
	case h.Respond == "" && h.Upstream == nil:
		return fmt.Errorf("there is nowhere to send frames: add `upstream host:port`, or `respond echo`")
	case h.Respond != "" && h.Upstream != nil:
		return fmt.Errorf("both upstream and respond are set: frames can go one way only, so remove one")
	case h.Respond == respondEcho:
		s.echo = true
		return nil
	case h.Respond != "":
		return fmt.Errorf("unknown respond %q: %s", h.Respond, respondEcho)
	}
	t, err := h.compileUpstream(s, h.Upstream, s.name)
	if err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	s.upstream = t
	return nil
}

func (k *TCPKeepalive) compile() keepalive.TCP {
	if k == nil {
		return keepalive.TCP{}.WithDefaults()
	}
	return keepalive.TCP{Off: k.Off, Idle: time.Duration(k.Idle), Interval: time.Duration(k.Interval), Count: k.Count}.WithDefaults()
}

// noneIfZero turns a setting where nil is the default and 0 is none into one where 0 is the default and negative is none.
func noneIfZero[T int | float64](v *T) T {
	switch {
	case v == nil:
		return 0
	case *v == 0:
		return -1
	default:
		return *v
	}
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
