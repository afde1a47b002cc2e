package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/delivery"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// allSessions holds the Sessions there are, counted by handler instances and by connections.
var allSessions = caddy.NewUsagePool()

// Sessions are what all handlers of one name share that keep sessions in the same places, over reloads: those that live, and the stores of all.
type Sessions struct {
	key sessionsKey

	rules  atomic.Pointer[SessionRules] // nil: it was never started
	hellos line

	mu       sync.Mutex // guards all below; held while stores are opened, which may take a while
	service  *delivery.Service
	messages queue.Store
	local    *local
	release  []func() error // of the stores
	closed   bool
}

type sessionsKey struct {
	handler string
	places  Places
}

// SessionRules are what of a handler's settings its sessions live by. A reload changes them under those that live.
type SessionRules struct {
	delivery.Settings
	// Local has clients that come while the store can't be reached get a session of this gateway's own.
	Local bool
	// Lease takes a lease of the handler's backends: see delivery.Config.
	Lease func(upstream.LinkPeer, upstream.Client) (lease upstream.Lease, release func(), err error)
	// Group is equal for equal groups of backends.
	Group string
}

// AcquireSessions returns a handler's sessions, and counts the caller as their user until ReleaseSessions. Nothing is opened before it is used.
func AcquireSessions(handler string, p Places) *Sessions {
	key := sessionsKey{handler, p}
	v, _, _ := allSessions.LoadOrNew(key, func() (caddy.Destructor, error) { return &Sessions{key: key}, nil })
	return v.(*Sessions)
}

// ReleaseSessions ends one use. The last one closes the stores, which may take a while.
func ReleaseSessions(s *Sessions) { _, _ = allSessions.Delete(s.key) }

// Handler returns the name of the handler whose sessions they are.
func (s *Sessions) Handler() string { return s.key.handler }

// Places returns where they are kept.
func (s *Sessions) Places() Places { return s.key.places }

// Service returns the service of the sessions, started: with the rules given, if it is not yet. The error says what can't be opened.
func (s *Sessions) Service(r SessionRules) (*delivery.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, delivery.ErrClosed
	}
	if s.service == nil {
		if err := s.start(r); err != nil {
			return nil, errors.Join(err, s.giveBack())
		}
	}
	return s.service, nil
}

// Started returns the service, or nil if it was never needed, or is closed.
func (s *Sessions) Started() *delivery.Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	return s.service
}

// start opens the stores. mu is held.
func (s *Sessions) start(r SessionRules) error {
	name, p := s.key.handler, s.key.places
	sessions, release, err := p.Sessions.openSessions(name)
	if err != nil {
		return err
	}
	s.release = append(s.release, release)
	messages, release, err := p.Queue.openQueue(name, r.Bounds)
	if err != nil {
		return err
	}
	s.release = append(s.release, release)
	s.local = newLocal(r.Local)
	s.rules.Store(&r)
	setBounds(messages, r.Bounds)
	s.messages = messages
	s.service, err = delivery.NewService(delivery.Config{
		Name: name, Owner: newOwner(), Sessions: sessions, Queue: messages, Local: s.local,
		Strays: func() bool { return p.Queue.kind != StoreRedis && queueStores.users(p.Queue.key(name)) == 1 }, Forgets: p.Queue.kind == StoreMemory,
		Lease: s.lease, Notify: s.notify, Logger: Log.With("handler", name),
	}, r.Settings)
	if err != nil {
		return err
	}
	services.begin(name, s.service)
	return nil
}

// Set has other rules hold, also for sessions that live. Nothing happens where the service was never needed.
func (s *Sessions) Set(r SessionRules) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.service == nil || s.closed {
		return
	}
	moved := r.Group != s.rules.Load().Group
	s.rules.Store(&r)
	s.local.on.Store(r.Local)
	setBounds(s.messages, r.Bounds)
	s.service.Set(r.Settings)
	if moved {
		s.service.Renew()
	}
}

// lease takes a lease of the backends that the rules name.
func (s *Sessions) lease(p upstream.LinkPeer, c upstream.Client) (upstream.Lease, func(), error) {
	return s.rules.Load().Lease(p, c)
}

// close ends the service and gives the stores back. What is not delivered stays in them.
func (s *Sessions) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.service != nil {
		err = s.service.Close()
		services.end(s.key.handler, s.service)
	}
	return errors.Join(err, s.giveBack())
}

func (s *Sessions) giveBack() (err error) {
	for _, release := range s.release {
		err = errors.Join(err, release())
	}
	s.release = nil
	return err
}

// Destruct is called when the last user is gone.
func (s *Sessions) Destruct() error {
	err := s.close()
	if err != nil {
		Log.Error("closing the stores of sessions", "handler", s.key.handler, "error", err)
	}
	return err
}

// newOwner names a service to the stores: this process, and this service in it.
func newOwner() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	host, _ := os.Hostname()
	return host + "-" + hex.EncodeToString(b[:])
}

// setBounds has other bounds hold in a store that is open.
func setBounds(q queue.Store, b queue.Bounds) {
	if q, ok := q.(interface{ SetBounds(queue.Bounds) }); ok {
		q.SetBounds(b)
	}
}
