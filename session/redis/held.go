package redis

import (
	"context"
	"encoding/hex"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// held is what an owner has, as far as it knows.
type held struct {
	mu       sync.Mutex
	sessions map[session.ID]holding
	calls    int                   // under way, that may bring another
	early    map[session.ID]uint64 // what was taken, and is not among the sessions: perhaps such a call has yet to return it. By fence
}

type holding struct {
	client string
	fence  uint64
}

// maxEarly bounds what is remembered of sessions that an owner does not have. What is forgotten is found by the check.
const maxEarly = 1000

// enter begins a call that may give sessions to an owner; it ends with what it gave.
func (s *Store) enter(name string) (done func(...*session.Record)) {
	s.mu.Lock()
	o := s.owners[name]
	s.mu.Unlock()
	if o == nil {
		return func(...*session.Record) {} // nobody wants to be told
	}
	o.held.mu.Lock()
	o.held.calls++
	o.held.mu.Unlock()
	return func(given ...*session.Record) {
		h := &o.held
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, r := range given {
			if fence := h.early[r.ID]; fence > r.Fence {
				s.local.Tell(o.name, r.Client, r.ID, fence)
				continue
			}
			if h.sessions == nil {
				h.sessions = make(map[session.ID]holding)
			}
			if r.Fence > h.sessions[r.ID].fence {
				h.sessions[r.ID] = holding{r.Client, r.Fence}
			}
		}
		if h.calls--; h.calls == 0 {
			h.early = nil
		}
	}
}

// taken notes that a session has gone to another, and says whether the owner is to be told.
func (h *held) taken(t taken) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	have, there := h.sessions[t.id]
	switch {
	case there && have.fence < t.fence:
		delete(h.sessions, t.id)
		return true
	case !there && h.calls > 0:
		if h.early == nil || len(h.early) >= maxEarly {
			h.early = make(map[session.ID]uint64)
		}
		h.early[t.id] = max(h.early[t.id], t.fence)
	}
	return false // it was told already, or had the session back before
}

// ended forgets a session that its owner has ended.
func (s *Store) ended(id session.ID, fence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.owners {
		o.held.mu.Lock()
		if o.held.sessions[id].fence <= fence {
			delete(o.held.sessions, id)
		}
		o.held.mu.Unlock()
	}
}

const (
	page      = 500 // sessions that are looked at in a round trip
	checkAll  = 0
	checkSome = page
)

// check looks whether what an owner has is its own still: all, or so many.
func (s *Store) check(ctx context.Context, o *owner, most int) {
	o.held.mu.Lock()
	ids := make([]session.ID, 0, min(len(o.held.sessions), max(most, page)))
	for id := range o.held.sessions { // from anywhere: so all have their turn
		if most != checkAll && len(ids) == most {
			break
		}
		ids = append(ids, id)
	}
	o.held.mu.Unlock()
	for len(ids) > 0 {
		n := min(len(ids), page)
		if s.checkThese(ctx, o, ids[:n]) != nil {
			return // the next check is when the Redis is back
		}
		ids = ids[n:]
	}
}

func (s *Store) checkThese(ctx context.Context, o *owner, ids []session.ID) error {
	had := make([]holding, len(ids))
	o.held.mu.Lock()
	for i, id := range ids {
		had[i] = o.held.sessions[id]
	}
	o.held.mu.Unlock()

	found := make([][2]*goredis.SliceCmd, len(ids))
	_, err := s.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, id := range ids {
			for j, key := range s.keys(had[i].client, id) {
				found[i][j] = p.HMGet(ctx, key, "id", "fence", "owner")
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, id := range ids {
		fence, theirs, there := uint64(0), false, false
		for _, cmd := range found[i] {
			if v := cmd.Val(); len(v) == 3 && v[0] == hex.EncodeToString(id[:]) {
				fence, _ = parseFence(v[1])
				there, theirs = true, v[2] != o.name
			}
		}
		o.held.mu.Lock()
		same := o.held.sessions[id] == had[i]
		if same && !there { // expired. One that is being replaced is not missed: it is looked for where it was, and then where it goes
			delete(o.held.sessions, id)
		}
		o.held.mu.Unlock()
		if t := (taken{had[i].client, id, fence}); same && theirs && o.held.taken(t) {
			s.local.Tell(o.name, t.client, t.id, t.fence)
		}
	}
	return nil
}
