package handler

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// Sessions lets clients say HELLO: they have a session then, which outlives their connection.
type Sessions struct {
	// Where the sessions are kept. Default: where the app says, else in memory.
	Store *gateway.Store `json:"store,omitempty"`
	// How long a session lasts after its client has gone, at the most; a client may ask for less. Default: 24h.
	Expiry caddy.Duration `json:"expiry,omitempty"`
	// How long the link to the backend of a client that has gone is kept; what the backend sends meanwhile waits for the client. 0: not at all. Default: 30s.
	Park *caddy.Duration `json:"park,omitempty"`
	// How often a client is told to ping. Default: two thirds of the handler's idle_timeout, 30s.
	Heartbeat caddy.Duration `json:"heartbeat,omitempty"`
	// `hello`: clients that do not say HELLO first are closed. Default: they are served without a session.
	Require string `json:"require,omitempty"`
	// Who may say HELLO: each of these must agree. Default: whoever can connect.
	AuthenticateRaw []json.RawMessage `json:"authenticate,omitempty" caddy:"namespace=gopr.authenticators inline_key=module"`
	// What becomes of a HELLO while the store can't be reached: `refuse` tells the client to come back; `local` gives it a session in this gateway's memory, which ends
	// with its connection's gateway. Default: `refuse`.
	OnStoreLoss string `json:"on_store_loss,omitempty"`
}

// Queue is how messages are kept until they are delivered. 0 stands for the default.
type Queue struct {
	// Where they are kept. Default: where the app says, else in memory.
	Store *gateway.Store `json:"store,omitempty"`
	// How much is kept of one session, each way.
	Capacity *Capacity `json:"capacity,omitempty"`
	// The bytes that are kept of all sessions. Default: 1 GiB.
	Total int `json:"total,omitempty"`
	// What becomes of a message for which there is no room: `reject` refuses it, and tells its sender; `drop_oldest` drops what is oldest in its session's queue;
	// `drop_newest` drops it. Default: `reject`.
	Overflow string `json:"overflow,omitempty"`
	// How long a message is kept. Default: 24h.
	TTL caddy.Duration `json:"ttl,omitempty"`
	// How long to wait for an acknowledgement before a message is sent again. Default: 3s.
	AckTimeout caddy.Duration `json:"ack_timeout,omitempty"`
	// How often it is sent again before it counts as failed; 0: not once. Default: 3.
	MaxRetries *int `json:"max_retries,omitempty"`
	// How many messages may be unacknowledged at a time, each way. Default: 64.
	Inflight int `json:"inflight,omitempty"`
	// The quality of service of what backends send and say nothing of: 0, 1 or 2. Default: 1.
	Downlink *int `json:"downlink,omitempty"`
}

// Capacity bounds the queue of one session, in one direction.
type Capacity struct {
	// Default: 1000.
	Messages int `json:"messages,omitempty"`
	// Each message counts 64 bytes beside its payload. Default: 1 MiB.
	Bytes int `json:"bytes,omitempty"`
}
