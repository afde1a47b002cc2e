package delivery

import (
	"context"
	"errors"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// Service has the sessions of one handler. Its methods may be called from any goroutine.
type Service struct{ cfg Config }

// errEarly stands in until the engine behind this API has landed.
var errEarly = errors.New("delivery: no engine yet")

// NewService starts a service, which takes up what an earlier process has left undelivered.
func NewService(c Config, s Settings) (*Service, error) { return &Service{c}, nil }

// Set changes the settings, also of sessions that live.
func (v *Service) Set(s Settings) {}

// Renew has all sessions take a lease anew: the group of backends has changed. What has not been proved is sent again.
func (v *Service) Renew() {}

// Hello gives a client its session, or a new one; it talks to the stores, so it takes a while, and is called by a goroutine of its own. An old connection of the client ends.
// The error is a *Refusal.
func (v *Service) Hello(ctx context.Context, h Hello) (*Session, *Welcome, error) {
	return nil, nil, errEarly
}

// Filter says which sessions List returns.
type Filter struct {
	Client string // the id; "": of all
	State  State  // "": in all
	Limit  int    // the most that are returned. 0: 1000
}

// List returns sessions: those that the service has, and those that are in the store.
func (v *Service) List(ctx context.Context, f Filter) ([]Info, error) { return nil, errEarly }

// Find returns the session with an id, or session.ErrUnknown.
func (v *Service) Find(ctx context.Context, id session.ID) (Info, error) { return Info{}, errEarly }

// End ends a session, wherever it is: its client is closed, its messages are forgotten. session.ErrUnknown: there is none.
func (v *Service) End(ctx context.Context, id session.ID) error { return errEarly }

// Messages returns messages of the service's queue.
func (v *Service) Messages(ctx context.Context, f queue.Filter) ([]queue.Entry, error) {
	return v.cfg.Queue.List(ctx, f)
}

// Requeue has a failed message delivered again, under a new id, which it returns. session.ErrOwned: the session is with another gateway, which must be asked.
func (v *Service) Requeue(ctx context.Context, b queue.Box, id uint64) (uint64, error) {
	return 0, errEarly
}

// Drop forgets a message. session.ErrOwned as with Requeue.
func (v *Service) Drop(ctx context.Context, b queue.Box, id uint64) error { return errEarly }

// Stat returns a snapshot.
func (v *Service) Stat() Stat { return Stat{} }

// Close ends the service: sessions' clients are ended with ErrClosed, leases closed; what is undelivered stays in the stores. It waits for every goroutine of the service.
func (v *Service) Close() error { return nil }
