package delivery

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Session is one client's messages in both directions, while a service has it. The connection's goroutine calls Take and Flush; the other methods may be called from any.
type Session struct{ id session.ID }

// ID names the session.
func (s *Session) ID() session.ID { return s.id }

// Attach gives the session its client's connection, after the WELCOME was written to it: what has waited for the client is sent. false: the session has gone to another
// connection or gateway meanwhile; c is not called then, and the connection is to be closed.
func (s *Session) Attach(c Client, w *Welcome) bool { return false }

// Take takes a frame of the client: all but its heartbeats. A PONG whose payload is none of the connection's own pings belongs to the session, too. f is valid during the
// call. The error is a *Violation, or ErrBye, and the connection ends; what Take took before is safe all the same. What Take takes is carried out by Flush.
func (s *Session) Take(c Client, now time.Time, f *wire.Frame) error { return nil }

// Flush is called when a piece of what the client sent is used up, were there heartbeats alone in it. full: no more, please, until Client.Resume.
func (s *Session) Flush(c Client, now time.Time) (full bool) { return false }

// Drained tells that the client takes more, after Client.Write returned full.
func (s *Session) Drained(c Client) {}

// Detach tells that the client's connection has ended.
func (s *Session) Detach(c Client) {}

// Info returns what is known of the session.
func (s *Session) Info() Info { return Info{} }
