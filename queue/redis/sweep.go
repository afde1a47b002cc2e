package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

const (
	// sweepEvery is how often what has expired is looked for in boxes that nobody uses.
	sweepEvery = 30 * time.Second
	// sweepBoxes is how many boxes are freed of it in a round trip.
	sweepBoxes = 200
	// unused is how long a session's account is kept that has no messages, and that nobody asks for.
	unused = time.Minute
	// sweepAccounts is how many such accounts are looked at in a sweep.
	sweepAccounts = 2000
)

// sweep forgets what has expired, and the accounts of sessions that are not this gateway's any more.
func (s *Store) sweep() {
	for all := false; !all && s.open(); {
		now := s.now()
		w := &sweeping{Store: s, now: now, group: group{calls: make(map[queue.SessionID]*call)}}
		s.mu.Lock()
		all = s.ledger.Sweep(now, sweepBoxes, w)
		s.mu.Unlock()
		// Where that fails, the session is loaded before it is used again, without what has expired.
		s.settle(&w.group, s.send(w.order))
	}
	s.review()
}

// sweeping finds the call of each session that the ledger tells of.
type sweeping struct {
	*Store
	group
	now time.Time
}

func (w *sweeping) of(x *box) *call {
	id := x.Of().Session
	return w.callOf(&w.group, id, w.accounts[id], w.now)
}

func (w *sweeping) Put(x *box, m *queue.Message)        { w.of(x).Put(x, m) }
func (w *sweeping) Cut(x *box, first, last uint64)      { w.of(x).Cut(x, first, last) }
func (w *sweeping) Drop(x *box, id uint64)              { w.of(x).Drop(x, id) }
func (w *sweeping) Change(x *box, id uint64, to *entry) { w.of(x).Change(x, id, to) }
func (w *sweeping) Touch(x *box)                        { w.of(x).Touch(x) }

// review looks at accounts that have not been used of late: whether they are empty, or another gateway has their sessions.
func (s *Store) review() {
	ctx := context.Background()
	var ids []queue.SessionID
	looked, now := 0, s.now()
	for id, a := range s.accounts { // from anywhere: so all have their turn
		if looked++; looked > sweepAccounts {
			break
		}
		if now.Sub(a.used) >= unused && !a.unknown {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return
	}
	owners := make([]*goredis.SliceCmd, len(ids))
	_, err := s.redis.Pipelined(ctx, func(p goredis.Pipeliner) error {
		for i, id := range ids {
			owners[i] = p.HMGet(ctx, s.keys(id)[0], "fence", "gone")
		}
		return nil
	})
	if err != nil {
		return // next time
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, id := range ids {
		v := owners[i].Val()
		own := len(v) == 2 && v[0] == decimal(s.accounts[id].fence) && v[1] == nil
		if _, full := s.ledger.Full[queue.Box{Session: id, Direction: queue.Up}]; own && full {
			continue
		}
		if _, full := s.ledger.Full[queue.Box{Session: id, Direction: queue.Down}]; own && full {
			continue
		}
		s.drop(id)
	}
}
