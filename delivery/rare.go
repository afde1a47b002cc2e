package delivery

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream"
)

// rare is what a session has only while its client is away, something is wrong, or somebody waits for it. Most sessions are idle and well: so it is no part of each, but made
// when it is needed, and given up when there is nothing in it.
type rare struct {
	quiet   chan struct{} // closed when no batch is with the store, nor is to be while it is frozen or the store fails; nil: nobody waits for that
	altered chan struct{} // closed when all changes are safe, or the session has left; nil: nobody waits for that

	from      *upstream.Client // who the client is to backends, while it has no connection; nil: it has one, or nobody knows
	wait      time.Duration    // before the store is asked, the last time
	leaseWait time.Duration    // before a lease is taken, the last time
	mendAt    moment           // when the store is asked what it knows
	leaseAt   moment           // when a lease is taken, not before
	refusedAt moment           // when what the store had no room for is tried again
	readAt    moment           // when the store is read, not before
	helloAt   moment           // when a backend that has not said WELCOME is given up
}

// needRare returns it to be changed. s.mu is held.
func (s *Session) needRare() *rare {
	if s.rare == nil {
		s.rare = new(rare)
	}
	return s.rare
}

// peekRare returns a copy of it, to be looked at. s.mu is held.
func (s *Session) peekRare() (r rare) {
	if s.rare != nil {
		r = *s.rare
	}
	return r
}

// dropRare gives it up if there is nothing in it. s.mu is held.
func (s *Session) dropRare() {
	if s.rare != nil && *s.rare == (rare{}) {
		s.rare = nil
	}
}

// from says who the client is to backends. s.mu is held.
func (s *Session) from() (c upstream.Client) {
	if s.cl != nil {
		return s.cl.From()
	}
	if from := s.peekRare().from; from != nil {
		return *from
	}
	return c
}

// answered notes that no WELCOME of a backend is waited for. s.mu is held.
func (s *Session) answered() {
	if s.rare != nil {
		s.rare.helloAt = 0
	}
}

// awaited returns the channel, which all who wait share.
func awaited(c *chan struct{}) <-chan struct{} {
	if *c == nil {
		*c = make(chan struct{})
	}
	return *c
}

// release tells those who wait.
func release(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}
