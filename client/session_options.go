package client

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Defaults of [SessionOptions].
const (
	DefaultExpiry         = 24 * time.Hour
	DefaultTTL            = 24 * time.Hour
	DefaultAckTimeout     = 3 * time.Second
	DefaultMaxRetries     = 3
	DefaultWelcomeTimeout = 10 * time.Second
)

// SessionOptions make a Client say HELLO (docs/protocol.md, section 4), so that it has a session with its gateway: what it publishes and what is sent to it survives the
// connection. A zero field stands for its default.
type SessionOptions struct {
	// ClientID is who the Client is, 1 to 255 bytes. No other may use it: a gateway gives the session to the one who came last.
	ClientID string

	// Credential returns what the gateway's authenticator wants to see, at most 65,000 bytes. It is asked before each HELLO, so that it can change. nil: none.
	Credential func(ctx context.Context) ([]byte, error)

	// Expiry is how long the gateway is to keep the session without a connection, in whole seconds; it may grant less. 0: 24 h.
	Expiry time.Duration

	// WelcomeTimeout is how long the gateway may take to answer HELLO. 0: 10 s.
	WelcomeTimeout time.Duration

	// Queue keeps what is published until the gateway has acknowledged it, and the number of the last message that came. With package queue/sqlite both survive the
	// program, if Tickets do. It must stay open as long as the Client lives, and is the caller's to close. Many Clients may share one, but none their ClientID.
	// nil: memory of the Client's own, 1000 messages and 1 MiB.
	Queue queue.Store

	// Tickets keep what resumes the session, for the next run of the program: see [TicketFile]. nil: memory of the Client's own.
	Tickets TicketStore

	// TTL is how long a message is kept that cannot be delivered. 0: 24 h. Negative: for ever.
	TTL time.Duration

	// AckTimeout is after how long without an acknowledgement a message is repeated. 0: 3 s.
	AckTimeout time.Duration

	// MaxRetries is how often it is repeated on one connection. Then the connection is given up, and the message goes out again on the next. 0: 3.
	MaxRetries int

	// CRC asks for frames with a checksum, both ways. TLS has better ones.
	CRC bool

	// OnMessage is called for each frame that is no answer, in order and one at a time, from a goroutine that does nothing else: it may take its time, and call
	// Publish and Request, but not Close or Bye, which wait for it. A message of QoS 1 or 2 is acknowledged when OnMessage has returned, and never comes twice while the
	// number of the last one lives: see Queue. Messages of QoS 0 are dropped, and counted, while more than 256 of them or 1 MiB wait. nil: all are acknowledged, and
	// ignored.
	OnMessage func(Message)

	// ManualAck has OnMessage's messages acknowledged by [Message.Ack] instead.
	ManualAck bool
}

// maxCredential leaves room for the rest of a HELLO.
const maxCredential = 65000

func (o SessionOptions) withDefaults() SessionOptions {
	setDefault(&o.Expiry, DefaultExpiry)
	setDefault(&o.WelcomeTimeout, DefaultWelcomeTimeout)
	setDefault(&o.TTL, DefaultTTL)
	setDefault(&o.AckTimeout, DefaultAckTimeout)
	setDefault(&o.MaxRetries, DefaultMaxRetries)
	if o.Tickets == nil {
		o.Tickets = new(ticketMemory)
	}
	return o
}

func (o *SessionOptions) validate() error {
	switch {
	case o.ClientID == "":
		return fmt.Errorf("a session without a client id: give one such as %q, which no other client has", "device-42")
	case len(o.ClientID) > 255:
		return fmt.Errorf("a client id of %d bytes: give 255 at the most", len(o.ClientID))
	case o.Expiry < time.Second || o.Expiry > math.MaxUint32*time.Second:
		return fmt.Errorf("session expiry %v is not between 1s and 136 years: give a time such as 24h", o.Expiry)
	case o.WelcomeTimeout < 0:
		return fmt.Errorf("welcome timeout %v is negative: give a time such as 10s, or 0 for %v", o.WelcomeTimeout, DefaultWelcomeTimeout)
	case o.AckTimeout < 0:
		return fmt.Errorf("ack timeout %v is negative: give a time such as 3s, or 0 for %v", o.AckTimeout, DefaultAckTimeout)
	case o.MaxRetries < 0 || o.MaxRetries > math.MaxUint8:
		return fmt.Errorf("%d retries are not between 1 and 255: give a number such as %d, or 0 for that", o.MaxRetries, DefaultMaxRetries)
	}
	return nil
}
