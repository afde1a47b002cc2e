package gateway

import (
	"fmt"
	"sync"
	"time"
)

// UseSessions has the sessions of a handler started with the app, as its rules say.
func (a *App) UseSessions(s *Sessions, r SessionRules) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, other := range a.sessions {
		if file, ok := sameFile(other.Sessions.Places(), s.Places()); ok {
			return fmt.Errorf("the handlers %q and %q both keep what they have in %s, and a file is one handler's: give each a file of its own, or let them share a Redis",
				other.Handler(), s.Handler(), file)
		}
	}
	a.sessions = append(a.sessions, ruledSessions{s, r})
	return nil
}

type ruledSessions struct {
	*Sessions
	rules SessionRules
}

// sameFile names a file that is among the places of both.
func sameFile(a, b Places) (file string, ok bool) {
	for _, p := range []Place{a.Sessions, a.Queue} {
		if p.kind == StoreSQLite && (p == b.Sessions || p == b.Queue) {
			return p.at, true
		}
	}
	return "", false
}

// startSessions opens the stores of this configuration's handlers. a.mu is held.
func (a *App) startSessions() error {
	for _, s := range a.sessions {
		if _, err := s.Service(s.rules); err != nil {
			return fmt.Errorf("gopr handler %q: %w", s.Handler(), err)
		}
	}
	return nil
}

// closing is how long the stores may take to close when the process ends. What they had acknowledged is safe without that.
const closing = 5 * time.Second

// closeSessions closes the services and stores of all handlers, for the end of the process: so others need not wait to find out that this one is gone.
func closeSessions() {
	var closed sync.WaitGroup
	allSessions.Range(func(_, v any) bool {
		closed.Go(func() {
			if err := v.(*Sessions).close(); err != nil {
				Log.Error("closing the stores of sessions", "handler", v.(*Sessions).Handler(), "error", err)
			}
		})
		return true
	})
	done := make(chan struct{})
	go func() {
		closed.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closing):
		Log.Warn("the stores of sessions take long to close: not waiting for them")
	}
}
