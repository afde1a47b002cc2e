// Package authenticate says who may say HELLO: modules gopr.authenticators.*, of which a handler's sessions name one.
//
//	static.go     static: a file of client ids and the hashes of their credentials
//	devices.go    that file, as it was read; reread.go, read again when it has changed
//	password/     a hash, bcrypt or argon2id, and what it may cost; slots.go, how many are worked out at once
//	mtls.go       mtls: the client's certificate bears its id
//	http.go       http: a service is asked; http_ask.go, what it is asked and what its answer means; http_tls.go, how it is reached over TLS
//	verdicts.go   what was found, remembered for a while
//	config.go     what their Caddyfiles share
//
// All of them say no in the same words, whatever the reason is: the reason is logged, at most once a second.
package authenticate

import (
	"time"

	"go.uber.org/zap"

	"github.com/caddy-gopr/caddy-gopr/gateway"
)

// refusals logs why clients are refused.
type refusals struct {
	logger *zap.Logger
	quiet  gateway.Quiet
}

// note logs a refusal, and returns what the client gets to know of it. reason is one of few.
func (r *refusals) note(c gateway.Credentials, reason string) error {
	r.log(c, reason, "HELLO refused")
	return gateway.ErrNotAuthorized
}

// log logs something of a client, at most once a second for each reason.
func (r *refusals) log(c gateway.Credentials, reason, msg string, more ...zap.Field) {
	ok, suppressed := r.quiet.Pass(reason, time.Now())
	if !ok {
		return
	}
	fields := append(more, zap.String("reason", reason), zap.ByteString("client_id", c.ClientID))
	if c.Remote != nil {
		fields = append(fields, zap.Stringer("remote", c.Remote))
	}
	if suppressed > 0 {
		fields = append(fields, zap.Int("suppressed", suppressed))
	}
	r.logger.Warn(msg, fields...)
}
