package handler

import (
	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// Handler ends the GOPR protocol at the edge and carries the application's frames to backends.
type Handler struct {
	// The handler's name, by which metrics and live connections are kept over reloads. No two handlers of a configuration may have the same. Default: `default`.
	Name string `json:"name,omitempty"`
	// The frame format. Default: `gopr`.
	Format string `json:"format,omitempty"`
	// The versions accepted. Default: the format's own; 1 for gopr.
	Versions []uint32 `json:"versions,omitempty"`
	// The application commands accepted, each a number or a range such as `0x10-0xFF`. The heartbeat's commands are always allowed. Default: all.
	Commands []string `json:"commands,omitempty"`
	// The largest payload accepted, in bytes. Default: what the format can say; 65535 for gopr.
	MaxPayload int `json:"max_payload,omitempty"`
	// What becomes of a frame that is not accepted: `close` ends its connection; `drop` drops the frame where the next boundary is known, and after a wrong magic
	// searches for the next one within 64 KiB. Default: `close`.
	OnInvalid string `json:"on_invalid,omitempty"`
	// How long a frame once begun may take to complete; 0: no limit. Default: 10s.
	FrameTimeout *caddy.Duration `json:"frame_timeout,omitempty"`
	// How long a client may send no complete frame; 0: no limit. Default: 45s.
	IdleTimeout *caddy.Duration `json:"idle_timeout,omitempty"`
	// How long a client may take no byte while there are bytes for it. Default: 10s.
	WriteTimeout caddy.Duration `json:"write_timeout,omitempty"`
	// What a heartbeat looks like, and whether the gateway sends its own.
	Heartbeat *Heartbeat `json:"heartbeat,omitempty"`
	// The TCP keepalive of client connections.
	TCPKeepalive *TCPKeepalive `json:"tcp_keepalive,omitempty"`
	// What clients must show to be served, and to send some commands.
	Require *Require `json:"require,omitempty"`
	// Bounds against the many and the loud.
	Limits *Limits `json:"limits,omitempty"`
	// Backends for frames with some commands. The first route that has a frame's command takes it; others go to `upstream`. Where there are routes alone, a frame that
	// none has is not accepted.
	Routes []*Route `json:"routes,omitempty"`
	// Log every connection that was taken in, when it ends, to the logger `gopr.access` at level INFO. Default: false.
	AccessLog bool `json:"access_log,omitempty"`
	// The backends that application frames are carried to. Either this or `respond`.
	Upstream *Upstream `json:"upstream,omitempty"`
	// `echo` answers each request with its own payload instead of asking a backend: for examples, load tests and probes.
	Respond string `json:"respond,omitempty"`
	// Clients that say HELLO have a session, and their messages survive. Default: every connection is plain.
	Sessions *Sessions `json:"sessions,omitempty"`
	// How the messages of sessions are kept.
	Queue *Queue `json:"queue,omitempty"`

	app      *gateway.App
	settings *settings
	live     *gateway.Live
	groups   []*gateway.Group

	authenticators []gateway.Authenticator
	sessions       *gateway.Sessions
}

// Heartbeat says which frames are pings and pongs.
type Heartbeat struct {
	// The frame that asks for a sign of life. Default: command 1, flag 1.
	Ping *Control `json:"ping,omitempty"`
	// The frame that answers it, with the ping's payload. Default: command 2, flag 2.
	Pong *Control `json:"pong,omitempty"`
	// Ping a client that was quiet this long, and close it when it does not answer within half of that. Default: 0, the gateway does not ping clients.
	Probe caddy.Duration `json:"probe,omitempty"`
}

// Control names a control frame.
type Control struct {
	Cmd  uint32 `json:"cmd"`
	Flag uint32 `json:"flag"`
}

// TCPKeepalive is the second line of defence: it finds dead hosts, where the heartbeat finds dead programs. TCP_USER_TIMEOUT is set to match where the system has it.
type TCPKeepalive struct {
	// Leave the sockets' keepalive off.
	Off bool `json:"off,omitempty"`
	// How long a connection is quiet before the first probe. Default: 15s.
	Idle caddy.Duration `json:"idle,omitempty"`
	// The time between probes. Default: 15s.
	Interval caddy.Duration `json:"interval,omitempty"`
	// How many probes without an answer end the connection. Default: 9.
	Count int `json:"count,omitempty"`
}

// Upstream is a group of backends.
type Upstream struct {
	// The backends, each `host:port` or `unix//path`.
	Backends []string `json:"backends,omitempty"`
	// The format that the backends speak, where it is not the clients': frames are translated field by field. Default: the handler's format.
	Format string `json:"format,omitempty"`
	// The backends speak the extended protocol: to them the gateway says HELLO for each session, and they acknowledge what they have received. Default: false.
	Extended bool `json:"extended,omitempty"`
	// How links are shared: `session`, each client has a link of its own; `request`, many clients ask over few links; `mux`, each client has a link of its own that is a
	// stream on one of few connections. Default: `session`.
	Pooling string `json:"pooling,omitempty"`
	// Request pooling: how many requests may be unanswered on a link. Default: 256.
	MaxInflight int `json:"max_inflight,omitempty"`
	// How long a client's frames may wait for a link, or for room on one, before the client is closed. Default: 5s with request pooling, else no limit.
	Wait caddy.Duration `json:"wait,omitempty"`
	// Request pooling: how many clients may wait so; one more is closed. Default: 1000.
	MaxWaiting int `json:"max_waiting,omitempty"`
	// Request pooling: how long a request may be unanswered before its client is closed, and the link taken out of use. Default: 30s.
	RequestTimeout caddy.Duration `json:"request_timeout,omitempty"`
	// Request pooling: a link whose backend answers with another command than it was asked with is ended. For protocols whose answers repeat the command. Default: any
	// command will do.
	StrictAnswers bool `json:"strict_answers,omitempty"`
	// Request pooling: make a span of each request, for OpenTelemetry. Default: false.
	Tracing bool `json:"tracing,omitempty"`
	// Request pooling: how old a link may be, give or take a fifth, before another takes its place; negative: no limit. Default: 1h.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
	// Request pooling: how long a link above the minimum may have nothing to do before it is closed. Default: 10m.
	Idle caddy.Duration `json:"idle,omitempty"`
	// Links per backend.
	Connections *Connections `json:"connections,omitempty"`
	// How the backend for a client is chosen: `round_robin`, `least_conn`, `random`, `first`, `ip_hash`, `client_hash` or `health`. Default: `round_robin`.
	Policy string `json:"policy,omitempty"`
	Choice
	Edge
	// Mux pooling: how many clients may share a connection. Default: 256.
	MaxStreams int `json:"max_streams,omitempty"`
	// Bounds each dial. Default: 5s.
	DialTimeout caddy.Duration `json:"dial_timeout,omitempty"`
	// How long a backend may take no byte while there are bytes for it. Default: 10s.
	WriteTimeout caddy.Duration `json:"write_timeout,omitempty"`
	// Backends that are found by DNS, beside those that are configured.
	Dynamic *Dynamic `json:"dynamic,omitempty"`
	// How many dials may be begun in a second, to all backends together; negative: no bound. Default: 1000.
	DialRate int `json:"dial_rate,omitempty"`
	// How often clients whose links die young are given others.
	RetryBudget *RetryBudget `json:"retry_budget,omitempty"`
	// When a backend that failed is dialled again.
	Reconnect *Reconnect `json:"reconnect,omitempty"`
	// The gateway's own pings to its backends.
	Heartbeat *UpstreamHeartbeat `json:"heartbeat,omitempty"`
	// The TCP keepalive of the links.
	TCPKeepalive *TCPKeepalive `json:"tcp_keepalive,omitempty"`
	// What happens to a client whose link died: `keep` lets it go on over another link, `close` closes it. A client with an unanswered request is closed in any case. Default: `keep`.
	OnLoss string `json:"on_loss,omitempty"`
	// The bytes of frames held for a client while it has no link, or its backend does not read; beyond it nothing more is read from the client. Default: 256 KiB.
	Buffer int `json:"buffer,omitempty"`
}

// Connections bounds the links to each backend.
type Connections struct {
	// Links without a client that are kept warm, so that the next client waits for no dial; 0: none. Default: 1.
	Min *int `json:"min,omitempty"`
	// The most links, spares included; 0: no limit under session pooling. Default: 0 under session pooling, 64 under request pooling.
	Max int `json:"max,omitempty"`
}

// Reconnect is the backoff. 0 stands for the default.
type Reconnect struct {
	// How the waits follow each other: `exponential`, `fixed` (each is `initial`), or `none`, which leaves a backend that failed alone until an operator says otherwise.
	// Default: `exponential`.
	Strategy string `json:"strategy,omitempty"`
	// The first wait. Default: 1s.
	Initial caddy.Duration `json:"initial,omitempty"`
	// What each further wait is multiplied by. Default: 1.5.
	Factor float64 `json:"factor,omitempty"`
	// The longest wait. Default: 30s.
	Max caddy.Duration `json:"max,omitempty"`
	// The share by which every wait is longer or shorter; 0: none. Default: 0.5.
	Jitter *float64 `json:"jitter,omitempty"`
	// How many failures in a row lead to a pause; 0: never pause. Default: 5.
	Attempts *int `json:"attempts,omitempty"`
	// The pause. Default: 5m.
	Pause caddy.Duration `json:"pause,omitempty"`
	// How long a connection must have been up to start the backoff over. Default: 10s.
	Stable caddy.Duration `json:"stable,omitempty"`
}

// UpstreamHeartbeat is how backends are pinged.
type UpstreamHeartbeat struct {
	// Send no pings.
	Off bool `json:"off,omitempty"`
	// The time between pings. Default: 30s.
	Interval caddy.Duration `json:"interval,omitempty"`
	// Give a link up this long after a ping without its pong. Default: half of the interval.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}
