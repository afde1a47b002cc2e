package handler

import (
	"errors"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Everything but the target may be left out. Syntax:
//
//	gopr [<name>] {
//		format        <name>
//		versions      <version...>
//		commands      <command|first-last...>
//		max_payload   <size>
//		on_invalid    close|drop
//		frame_timeout <duration>
//		idle_timeout  <duration>
//		write_timeout <duration>
//		heartbeat {
//			ping  <cmd> <flag>
//			pong  <cmd> <flag>
//			probe <duration>
//		}
//		tcp_keepalive <idle> [<interval> [<count>]] | off
//		require tls_client {
//			subject [CN=<pattern>] [O=<pattern>] [OU=<pattern>] [SAN=<pattern>] {
//				commands <command|first-last...>
//			}
//		}
//		limits {
//			connections <number>
//			per_ip      <number>
//			frames      <number>/[<time>]s|m|h [<burst>]
//			bytes       <size>/[<time>]s|m|h [<burst>]
//			exceed      delay|close
//			pending     <size>
//			flapping    <number>/[<time>]s|m|h ban <duration>
//			failed_hello <number>/[<time>]s|m|h | off
//			first_frame <duration>
//			handshake   <duration>
//		}
//		access_log
//		upstream <backend...> {
//			to            <backend...>
//			pooling       session|request|mux
//			max_streams   <number>
//			format        <name>
//			extended
//			max_inflight  <number>
//			wait          <duration>
//			max_waiting   <number>
//			request_timeout <duration>
//			strict_answers
//			tracing
//			max_age       <duration>|off
//			idle          <duration>
//			connections   <min> [<max>]
//			policy        round_robin|least_conn|random|first|ip_hash|client_hash|health
//			weight        <backend> <number>
//			backup        <backend...>
//			backup_rate   <number>/<time> [<burst>]
//			health {
//				rtt_threshold <duration>
//				window        <duration>
//				sample        <duration>
//				weights       <rtt> <failures> <tls>
//				threshold     <score>
//				hysteresis    <points>
//				failures      <number>
//				decay         <duration>
//			}
//			outlier {
//				failures <number>
//				base     <duration>
//				max      <duration>
//				share    <share>
//			}
//			probe [<interval>] {
//				fall <number>
//				rise <number>
//			}
//			panic         <share>|off
//			slow_start    <duration>
//			dial_timeout  <duration>
//			write_timeout <duration>
//			dynamic       a <name> <port> | srv <name> { … }
//			dial_rate     <number>/s|off
//			retry_budget  <percent>% [<number>/s] | off
//			reconnect {
//				strategy exponential|fixed|none
//				initial  <duration>
//				factor   <number>
//				max      <duration>
//				jitter   <share>
//				attempts <number>
//				pause    <duration>
//				stable   <duration>
//			}
//			heartbeat     <interval> [<timeout>] | off
//			tcp_keepalive <idle> [<interval> [<count>]] | off
//			on_loss       keep|close
//			buffer        <size>
//			tls           { … }
//			proxy_protocol v2
//			local_address <ip>
//		}
//		route cmd <command|first-last...> {
//			upstream …
//		}
//		respond echo
//		sessions { … }
//		queue { … }
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's own name
	if d.NextArg() {
		h.Name = d.Val()
	}
	if d.NextArg() {
		return d.Errf("%q is one argument too many: gopr takes a name and a block, as in `gopr %s { … }`", d.Val(), h.Name)
	}
	err := directive.Block(d, "gopr", directive.Options{
		"format":        directive.One("gopr", directive.String(&h.Format)),
		"versions":      directive.List("1", directive.AppendUint32(&h.Versions)),
		"commands":      directive.List("0x10-0xFF", directive.Append(&h.Commands)),
		"max_payload":   directive.One("16KiB", directive.Size(&h.MaxPayload)),
		"on_invalid":    directive.One("close", directive.String(&h.OnInvalid)),
		"frame_timeout": directive.One("10s", directive.OptionalDuration(&h.FrameTimeout)),
		"idle_timeout":  directive.One("45s", directive.OptionalDuration(&h.IdleTimeout)),
		"write_timeout": directive.One("10s", directive.Duration(&h.WriteTimeout)),
		"heartbeat":     h.unmarshalHeartbeat,
		"tcp_keepalive": unmarshalKeepalive(&h.TCPKeepalive),
		"limits":        h.unmarshalLimits,
		"require":       h.unmarshalRequire,
		"access_log":    directive.Flag(&h.AccessLog),
		"upstream":      h.unmarshalUpstream,
		"route":         h.unmarshalRoute,
		"respond":       directive.One("echo", directive.String(&h.Respond)),
		"sessions":      h.unmarshalSessions,
		"queue":         h.unmarshalQueue,
	}, "route")
	if err != nil {
		return err
	}
	// Provision will say the same, but does not know the line.
	if _, err = h.compile(); errors.Is(err, gateway.ErrUnknownFormat) {
		return nil // it may be declared
	}
	return directive.At(d, err)
}

func (h *Handler) unmarshalHeartbeat(d *caddyfile.Dispenser) error {
	hb := new(Heartbeat)
	h.Heartbeat = hb
	control := func(example string, to **Control) directive.Parse {
		return func(d *caddyfile.Dispenser) error {
			*to = new(Control)
			return directive.Args(example, 2, directive.Uint32(&(*to).Cmd), directive.Uint32(&(*to).Flag))(d)
		}
	}
	return directive.Nested("heartbeat", directive.Options{
		"ping":  control("0x01 0x01", &hb.Ping),
		"pong":  control("0x02 0x02", &hb.Pong),
		"probe": directive.One("60s", directive.Duration(&hb.Probe)),
	})(d)
}

func (h *Handler) unmarshalUpstream(d *caddyfile.Dispenser) error {
	h.Upstream = new(Upstream)
	return h.Upstream.unmarshal(d)
}

func (u *Upstream) unmarshal(d *caddyfile.Dispenser) error {
	u.Backends = d.RemainingArgs()
	options := directive.Options{
		"to":              directive.List("10.0.0.1:9000", directive.Append(&u.Backends)),
		"pooling":         directive.One("session", directive.String(&u.Pooling)),
		"format":          directive.One("gopr", directive.String(&u.Format)),
		"extended":        directive.Flag(&u.Extended),
		"max_streams":     directive.One("256", directive.Int(&u.MaxStreams)),
		"max_inflight":    directive.One("256", directive.Int(&u.MaxInflight)),
		"wait":            directive.One("5s", directive.Duration(&u.Wait)),
		"max_waiting":     directive.One("1000", directive.Int(&u.MaxWaiting)),
		"request_timeout": directive.One("30s", directive.Duration(&u.RequestTimeout)),
		"strict_answers":  directive.Flag(&u.StrictAnswers),
		"tracing":         directive.Flag(&u.Tracing),
		"max_age":         directive.One("1h", durationOrOff(&u.MaxAge)),
		"idle":            directive.One("10m", directive.Duration(&u.Idle)),
		"connections": func(d *caddyfile.Dispenser) error {
			u.Connections = new(Connections)
			return directive.Args("1 64", 1, directive.OptionalInt(&u.Connections.Min), directive.Int(&u.Connections.Max))(d)
		},
		"policy":        directive.One("least_conn", directive.String(&u.Policy)),
		"dial_timeout":  directive.One("5s", directive.Duration(&u.DialTimeout)),
		"write_timeout": directive.One("10s", directive.Duration(&u.WriteTimeout)),
		"dynamic":       u.unmarshalDynamic,
		"dial_rate":     u.unmarshalDialRate,
		"retry_budget":  u.unmarshalRetryBudget,
		"reconnect":     u.unmarshalReconnect,
		"heartbeat": func(d *caddyfile.Dispenser) error {
			hb := new(UpstreamHeartbeat)
			u.Heartbeat = hb
			return directive.Off(&hb.Off, directive.Args("30s 15s", 1, directive.Duration(&hb.Interval), directive.Duration(&hb.Timeout)))(d)
		},
		"tcp_keepalive": unmarshalKeepalive(&u.TCPKeepalive),
		"on_loss":       directive.One("keep", directive.String(&u.OnLoss)),
		"buffer":        directive.One("256KiB", directive.Size(&u.Buffer)),
	}
	u.Choice.options(options)
	u.Edge.options(options)
	return directive.Block(d, "upstream", options, "weight")
}

// durationOrOff is a time, or off for what is negative in JSON.
func durationOrOff(to *caddy.Duration) directive.Arg {
	return func(s string) error {
		if s == "off" {
			*to = -1
			return nil
		}
		return directive.Duration(to)(s)
	}
}

func (u *Upstream) unmarshalReconnect(d *caddyfile.Dispenser) error {
	r := new(Reconnect)
	u.Reconnect = r
	return directive.Nested("reconnect", directive.Options{
		"strategy": directive.One("exponential", directive.String(&r.Strategy)),
		"initial":  directive.One("1s", directive.Duration(&r.Initial)),
		"factor":   directive.One("1.5", directive.Float(&r.Factor)),
		"max":      directive.One("30s", directive.Duration(&r.Max)),
		"jitter":   directive.One("0.5", directive.OptionalFloat(&r.Jitter)),
		"attempts": directive.One("5", directive.OptionalInt(&r.Attempts)),
		"pause":    directive.One("5m", directive.Duration(&r.Pause)),
		"stable":   directive.One("10s", directive.Duration(&r.Stable)),
	})(d)
}

func unmarshalKeepalive(to **TCPKeepalive) directive.Parse {
	return func(d *caddyfile.Dispenser) error {
		k := new(TCPKeepalive)
		*to = k
		return directive.Off(&k.Off, directive.Args("15s 15s 9", 1, directive.Duration(&k.Idle), directive.Duration(&k.Interval), directive.Int(&k.Count)))(d)
	}
}

// Interface guard.
var _ caddyfile.Unmarshaler = (*Handler)(nil)
