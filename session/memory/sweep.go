package memory

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
)

const (
	sweepEvery = time.Minute
	// sweepAtOnce is how many records are looked at before others may use the store: a tenth of a millisecond.
	sweepAtOnce = 1000
)

// sweepLater sees to it that the expired are forgotten.
func (s *Store) sweepLater() {
	if s.sweeper == nil && !s.closed {
		s.sweeper = time.AfterFunc(sweepEvery, s.sweep)
	}
}

func (s *Store) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, looked := time.Now(), 0
	for _, r := range s.ids {
		if r.Expired(now) {
			s.forget(r)
		}
		if looked++; looked%sweepAtOnce == 0 {
			s.mu.Unlock() // a map may change between two steps of a range
			s.mu.Lock()
		}
	}
	s.sweeper = nil
	if len(s.ids) > 0 {
		s.sweepLater()
	}
}

// anyExpired forgets one that has expired, of some that it looks at, and says whether it found one. A store that is full is full of sessions that live, but for those of
// the last minute.
func (s *Store) anyExpired(now time.Time) bool {
	looked := 0
	for _, r := range s.ids {
		if r.Expired(now) {
			s.forget(r)
			return true
		}
		if looked++; looked == sweepAtOnce {
			break
		}
	}
	return false
}

func (s *Store) forget(r *session.Record) {
	delete(s.ids, r.ID)
	if s.clients[r.Client] == r {
		delete(s.clients, r.Client)
	}
}
