package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

// Authenticators is the namespace of the modules that say who may say HELLO. Each implements [Authenticator].
const Authenticators = "gopr.authenticators"

// Authenticator says whether a client is who it says it is.
//
// Authenticate is called once for each HELLO, by a goroutine that may wait; it must return soon after ctx is done. Many call it at the same time. nil: it is. An error
// that wraps [ErrNotAuthorized]: it is not, and the try counts against its address. Any other error: nobody knows, and the client is told to come back.
//
// A reload cleans an authenticator up while calls may still be under way: they go on, or fail with an error.
type Authenticator interface {
	Authenticate(ctx context.Context, c Credentials) error
}

// Credentials are what a client shows with its HELLO. The slices are the authenticator's own.
type Credentials struct {
	ClientID []byte               // 1 to 255 bytes of any kind
	Secret   []byte               // the credential, 0 to 65535 bytes; it must never be logged
	Remote   net.Addr             // of the client
	TLS      *tls.ConnectionState // of its connection; nil: it has none
}

// ErrNotAuthorized says that the client is not who it says it is, or may not come in.
var ErrNotAuthorized = errors.New("not authorized")
