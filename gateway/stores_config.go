package gateway

import (
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-gopr/caddy-gopr/internal/directive"
)

// Stores are where handlers with sessions keep them, and their messages, unless they say otherwise.
type Stores struct {
	// Of the sessions of handlers that have `sessions` and name no store there.
	Sessions *Kept `json:"sessions,omitempty"`
	// Of the messages of handlers that have `sessions`, and name no store in `queue`.
	Queue *Kept `json:"queue,omitempty"`
}

// Kept says where it is kept.
type Kept struct {
	// Default: the memory.
	Store *Store `json:"store,omitempty"`
}

func (k *Kept) store() *Store {
	if k == nil {
		return nil
	}
	return k.Store
}

// Places are where a handler keeps its sessions, and their messages.
type Places struct{ Sessions, Queue Place }

// SessionPlace returns where a handler keeps sessions: own, or else what the app says.
func (a *App) SessionPlace(own *Store) (Place, error) {
	if own == nil && a != nil {
		own = a.Sessions.store()
	}
	return own.place(a != nil)
}

// QueuePlace is SessionPlace for messages.
func (a *App) QueuePlace(own *Store) (Place, error) {
	if own == nil && a != nil {
		own = a.Queue.store()
	}
	return own.place(a != nil)
}

func (s *Stores) validate() error {
	if _, err := s.Sessions.store().place(false); err != nil {
		return fmt.Errorf("sessions store: %w", err)
	}
	if _, err := s.Queue.store().place(false); err != nil {
		return fmt.Errorf("queue store: %w", err)
	}
	return nil
}

// unmarshal reads the option at hand, if it is one of these.
func (s *Stores) unmarshal(from *caddyfile.Dispenser) (is bool, err error) {
	name, to := from.Val(), &s.Sessions
	switch name {
	case "sessions":
	case "queue":
		to = &s.Queue
	default:
		return false, nil
	}
	if *to != nil {
		return true, from.Errf("%s is given twice: once is enough", name)
	}
	*to = new(Kept)
	return true, directive.Nested(name, directive.Options{
		"store": func(d *caddyfile.Dispenser) error { return UnmarshalStore(d, &(*to).Store) },
	})(from)
}
