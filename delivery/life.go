package delivery

import (
	"context"
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

const (
	// attachWithin is how long a session waits for the connection that has its WELCOME.
	attachWithin = 10 * time.Second
	// leastKept is how long a record lasts at the least while its client is there, which is noted three times as often: a session that is to end with its connection outlives
	// a gateway that dies by so much.
	leastKept = time.Minute
	// touchAgain is how long to wait when the store of sessions could not be told.
	touchAgain = 5 * time.Second
)

// records is the store that has the session's record; where there is none, the one that would.
func (s *Session) records() session.Store {
	if s.local {
		return s.v.records(local)
	}
	return s.v.records(shared)
}

// kept is how long the record is to last after the client was last seen.
func (s *Session) kept() time.Duration {
	if s.cl != nil || !s.up.empty() {
		return max(s.expiry, leastKept)
	}
	return s.expiry
}

// touchEvery is how often the record is told that the client is there.
func (s *Session) touchEvery() time.Duration { return s.kept() / 3 }

// detach notes that the client is away. s.mu is held.
func (s *Session) detach() {
	from := s.cl.From()
	s.cl, s.clientFull, s.clientHeld = nil, false, false
	s.needRare().from = &from
	s.down.stop()
	giveBack(&s.toClient)
	for i := range s.asks {
		s.asks[i].dead = s.asks[i].stored == 0
	}
	s.seen = time.Now().UnixMilli()
	if s.expiry <= 0 {
		s.finish()
		return
	}
	s.park(0)
	s.touch()
}

// park keeps the link for a while, at the least so long.
func (s *Session) park(least time.Duration) {
	s.parkAt = 0
	if d := max(min(s.v.set().Park, s.expiry), least); d > 0 {
		s.parkAt = s.v.now() + moment(d)
	}
}

// unpark notes that the client has not come back in time.
func (s *Session) unpark() {
	if s.expiry <= 0 {
		s.finish()
	}
}

// finish ends the session as soon as it has delivered what it has taken. s.mu is held.
func (s *Session) finish() {
	s.orphan, s.ending = true, true
	s.parkAt = 0
	giveBack(&s.loose)
}

// bye ends the session for its client. s.mu is held.
func (s *Session) bye() {
	s.flush()
	s.expiry = 0
	s.detach()
}

// endClient ends the client's connection. s.mu is held.
func (s *Session) endClient(err error) {
	c := s.cl
	if c == nil {
		return
	}
	s.flush()
	s.detach()
	c.End(err)
}

// lose notes that the session has another owner: nothing is written any more, to nobody. s.mu is held.
func (s *Session) lose(cause error) {
	if s.gone {
		return
	}
	s.v.count.fenced.Add(1)
	s.v.cfg.Logger.Debug("session lost", "client", s.client, "session", name(s.id), "fence", s.fence, "attached", s.cl != nil, "error", cause)
	if s.v.cfg.Forgets && !s.stray { // its messages are nobody else's to deliver
		s.stray = true
		s.endClient(cause)
		s.finish()
		return
	}
	s.ending = false
	s.drop(cause)
}

// drop has the session leave as it is. s.mu is held.
func (s *Session) drop(cause error) {
	s.lost = true
	giveBack(&s.toClient)
	giveBack(&s.toLink)
	if c := s.cl; c != nil {
		s.cl = nil
		c.End(cause)
	}
	s.leave()
}

// spent says whether there is nothing left for which the session is to be in memory.
func (s *Session) spent(now moment) bool {
	return s.cl == nil && s.parkAt == 0 && !s.frozen && !s.broken && s.up.empty() && s.down.next == nil && s.down.busy == nil
}

// leave takes the session out of memory; its record and its messages stay, unless it is to end. s.mu is held.
func (s *Session) leave() {
	s.gone = true
	s.giveLease()
	s.down.stop()
	s.up.stop()
	giveBack(&s.loose)
	if r := s.rare; r != nil {
		release(&r.quiet)
		release(&r.altered)
	}
	s.v.alarms.drop(s)
	if s.ending { // it stays in sight until it is erased: see ended
		s.v.crew.do(s.erase)
		return
	}
	s.removes = true
}

// ended says whether a session of this service's has ended, though the store may not know it yet.
func (v *Service) ended(id session.ID) bool {
	s := v.find(id)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

// erase forgets the session, unless it has another owner. Its client does not come back meanwhile: it would find what is half gone.
func (s *Session) erase() {
	ctx, cancel := s.v.storeContext()
	defer cancel()
	if done, err := s.v.turn(ctx, s.client); err == nil {
		defer done()
	}
	defer s.v.remove(s)
	if err := s.v.erase(ctx, s.records(), s.stray, s.client, s.id, s.fence); err != nil && !errors.Is(err, session.ErrFenced) && !errors.Is(err, queue.ErrFenced) {
		s.v.cfg.Logger.Warn("a session that has ended could not be forgotten, and stays until it expires", "client", s.client, "error", err)
	}
}

func (v *Service) erase(ctx context.Context, records session.Store, stray bool, client string, id session.ID, fence uint64) error {
	if !stray {
		err := records.End(ctx, client, id, fence)
		v.heard(sessionStore, err)
		if err != nil && !errors.Is(err, session.ErrUnknown) {
			return err
		}
	}
	err := v.cfg.Queue.Forget(ctx, queue.SessionID(id), fence)
	v.heard(queueStore, err)
	return err
}

// touch tells the record that the client is there, or was. s.mu is held.
func (s *Session) touch() {
	s.touchAt = 0
	if s.stray {
		return
	}
	if s.cl != nil || !s.up.empty() {
		s.touchAt = s.v.now() + moment(s.touchEvery())
	}
	if s.cl != nil {
		s.seen = time.Now().UnixMilli()
	}
	fence, seen, kept := s.fence, time.UnixMilli(s.seen), s.kept()
	if !s.up.empty() {
		seen = time.Now() // what it has taken is to be delivered: until then it is not forgotten
	}
	s.v.crew.do(func() {
		ctx, cancel := s.v.storeContext()
		defer cancel()
		s.told(fence, s.records().Touch(ctx, s.client, s.id, fence, seen, kept))
	})
}

// confirm tells the record that the client has its token. s.mu is held.
func (s *Session) confirm() {
	s.seen = time.Now().UnixMilli()
	fence, seen, kept := s.fence, time.UnixMilli(s.seen), s.kept()
	s.v.crew.do(func() {
		ctx, cancel := s.v.storeContext()
		defer cancel()
		err := s.records().Confirm(ctx, s.client, s.id, fence)
		s.v.cfg.Logger.Debug("token confirmed", "client", s.client, "session", name(s.id), "fence", fence, "error", err)
		if err == nil {
			err = s.records().Touch(ctx, s.client, s.id, fence, seen, kept)
		} else if !errors.Is(err, session.ErrFenced) && !errors.Is(err, session.ErrUnknown) {
			s.mu.Lock()
			s.shy = s.fence == fence // the next piece tries again
			s.mu.Unlock()
		}
		s.told(fence, err)
	})
}

// told goes on when the store of sessions has answered.
func (s *Session) told(fence uint64, err error) {
	s.v.heard(sessionStore, err)
	if err == nil {
		return
	}
	cause := ErrTaken
	if errors.Is(err, session.ErrFenced) {
		ctx, cancel := s.v.storeContext()
		defer cancel()
		rec, err := s.records().Find(ctx, s.id)
		switch {
		case errors.Is(err, session.ErrUnknown):
			cause = ErrExpired
		case err == nil && rec.Owner == s.v.owner: // its client is coming back this moment; or it was, and its HELLO was not answered
			done, err := s.v.turn(ctx, s.client)
			if err != nil {
				return
			}
			done()
			cause = ErrExpired
		case err == nil && rec.Fence < fence:
			cause = ErrExpired // the store was restored from before it came to us
		}
	}
	s.mu.Lock()
	defer s.unlock()
	switch {
	case s.gone || s.fence != fence || s.frozen:
	case errors.Is(err, session.ErrFenced):
		s.lose(cause)
	default:
		s.touchAt = s.v.now() + moment(touchAgain)
	}
}

// tell tells of what has happened to the session.
func (s *Session) tell(e Event) {
	e.Client, e.Session = s.client, s.id
	s.v.tell(e)
}
