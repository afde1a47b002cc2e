package redis

import (
	"context"
	"errors"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/redis"
)

const (
	// A group is as large as keeps the Redis busy for some milliseconds: so that others have their turn, and no answer comes too late.
	groupRequests = 5000
	groupBytes    = 4 << 20
	// again is how soon a failure must come that a group is sent again after: one that took longer has cost those who wait enough.
	again = 500 * time.Millisecond
)

// work carries out what is pending, a group at a time.
func (s *Store) work() {
	defer close(s.done)
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		if g := s.next(); len(g) > 0 {
			s.carryOut(g)
			continue
		}
		select {
		case _, more := <-s.wake:
			if !more && s.none() {
				return
			}
		case <-sweep.C:
			if s.open() {
				s.sweep()
			}
		}
	}
}

func (s *Store) none() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) == 0
}

// next takes a group of what is pending. Whatever gives a session another owner, or none, comes before its batches in a group; so a group ends before it where there are any.
func (s *Store) next() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := make(map[queue.SessionID]struct{}, min(len(s.pending), groupRequests))
	n, bytes := 0, 0
	for ; n < len(s.pending) && n < groupRequests && bytes < groupBytes; n++ {
		r := s.pending[n]
		id := r.session()
		if _, there := touched[id]; there && r.owner != nil {
			break
		}
		touched[id] = struct{}{}
		if r.batch != nil {
			for i := range r.batch.Ops {
				if m := r.batch.Ops[i].Message; m != nil {
					bytes += m.Size()
				}
			}
		}
	}
	group := append([]request(nil), s.pending[:n]...)
	clear(s.pending[:n])
	if s.pending = s.pending[n:]; len(s.pending) == 0 {
		s.pending = nil
	}
	return group
}

func (r *request) session() queue.SessionID {
	if r.owner != nil {
		return r.owner.session
	}
	return r.batch.Box.Session
}

// group is what is carried out together.
type group struct {
	requests []request
	results  []queue.Result            // by request: of batches
	errs     map[queue.SessionID]error // why nothing can be done about a session
	calls    map[queue.SessionID]*call
	order    []*call
}

func (s *Store) carryOut(requests []request) {
	began := time.Now()
	g := &group{requests: requests, results: make([]queue.Result, len(requests)), errs: make(map[queue.SessionID]error), calls: make(map[queue.SessionID]*call)}
	s.owners(g)
	s.decide(g)
	sent := s.send(g.order)
	s.settle(g, sent)

	s.mu.Lock()
	batches := 0
	for i := range requests {
		if requests[i].batch != nil {
			batches++
		}
	}
	s.ledger.Stat.Commits++
	s.ledger.Stat.Batches += uint64(batches)
	s.ledger.Stat.Waited += time.Since(began)
	s.mu.Unlock()

	for i := range requests {
		switch b := requests[i].batch; {
		case b == nil:
			close(requests[i].owner.answered)
		case b.Done != nil:
			b.Done(g.results[i])
		}
	}
}

// owners does what is asked about owners, and finds out about the sessions of batches that are not known.
func (s *Store) owners(g *group) {
	type asked struct {
		id    queue.SessionID
		fence uint64
		owner *ownerRequest // nil: a session is to be known
		cmd   *goredis.Cmd
	}
	var all []*asked
	wanted := make(map[queue.SessionID]bool)
	for i := range g.requests {
		r := &g.requests[i]
		if r.owner != nil {
			all = append(all, &asked{id: r.owner.session, fence: r.owner.fence, owner: r.owner})
			wanted[r.owner.session] = true
		} else if id := r.batch.Box.Session; !wanted[id] {
			if a := s.accounts[id]; a == nil || a.unknown {
				fence := r.batch.Fence
				if a != nil {
					fence = a.fence
				}
				all = append(all, &asked{id: id, fence: fence})
				wanted[id] = true
			}
		}
	}
	if len(all) == 0 {
		return
	}
	ctx := context.Background()
	err := s.pipe(func(p goredis.Pipeliner) {
		for _, q := range all {
			var undo [2]mark
			undoes := uint64(0)
			if a := s.accounts[q.id]; a != nil && a.unknown {
				undo, undoes = a.undo, a.fence
			}
			switch {
			case q.owner == nil:
				q.cmd = s.loading(ctx, p, "load", q.id, q.fence, undoes, undo)
			case q.owner.forget:
				q.cmd = forgetScript.EvalSha(ctx, p, s.keys(q.id), q.fence, forgotten.Milliseconds())
			default:
				q.cmd = s.loading(ctx, p, "open", q.id, q.fence, undoes, undo)
			}
		}
	})

	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range all {
		cerr := q.cmd.Err()
		if cerr == nil && err != nil && !redis.Answered(err) {
			cerr = err // of replicas
		}
		var f found
		if cerr == nil && (q.owner == nil || !q.owner.forget) {
			f, cerr = parseFound(q.cmd.Val())
		} else if q.cmd.Val() == "fenced" {
			f.fenced = true
		}
		switch {
		case cerr != nil:
			cerr = s.redis.Err(cerr)
		case f.fenced:
			cerr = queue.ErrFenced
			if a := s.accounts[q.id]; a != nil && a.fence <= q.fence {
				s.drop(q.id)
			}
		case q.owner != nil && q.owner.forget:
			s.drop(q.id)
		default:
			s.learn(q.id, q.fence, &f)
			if q.owner != nil {
				now := s.now()
				q.owner.up, q.owner.down = f.info(queue.Up, now), f.info(queue.Down, now)
			}
		}
		if q.owner != nil {
			q.owner.err = cerr
		} else if cerr != nil {
			g.errs[q.id] = cerr
		}
	}
}

// decide asks the ledger what each batch does.
func (s *Store) decide(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for i := range g.requests {
		b := g.requests[i].batch
		if b == nil {
			continue
		}
		id := b.Box.Session
		if err := g.errs[id]; err != nil {
			g.results[i].Err = err
			continue
		}
		a := s.accounts[id]
		if a == nil || a.unknown {
			g.results[i].Err = queue.ErrFenced // forgotten in this group
			continue
		}
		a.used = now
		g.results[i] = s.ledger.Do(b, now, s.callOf(g, id, a, now))
	}
}

// callOf returns the call of a session in a group.
func (s *Store) callOf(g *group, id queue.SessionID, a *account, now time.Time) *call {
	c := g.calls[id]
	if c == nil {
		c = &call{account: a, session: id, now: now, before: s.marks(id)}
		g.calls[id] = c
		g.order = append(g.order, c)
	}
	return c
}

// marks returns how far a session's boxes have come.
func (s *Store) marks(id queue.SessionID) (marks [2]mark) {
	session := s.ledger.Session(id)
	for d := range 2 {
		b := session.Box(queue.Direction(d))
		marks[d] = mark{true, b.Last, b.Seen}
	}
	return marks
}

// send sends calls that change something, and returns what became of each.
func (s *Store) send(calls []*call) map[*call]error {
	sent := make(map[*call]error)
	args := make(map[*call][]any)
	for _, c := range calls {
		if len(c.changes) > 0 {
			args[c] = c.args()
			sent[c] = nil
		}
	}
	if len(args) == 0 {
		return sent
	}
	cmds := make(map[*call]*goredis.Cmd)
	err := s.pipe(func(p goredis.Pipeliner) {
		for _, c := range calls {
			if a := args[c]; a != nil {
				cmds[c] = callScript.EvalSha(context.Background(), p, s.keys(c.session), a...)
			}
		}
	})
	for c, cmd := range cmds {
		switch {
		case cmd.Err() != nil:
			sent[c] = s.redis.Err(cmd.Err())
		case err != nil && !redis.Answered(err):
			sent[c] = err // of replicas
		case cmd.Val() == "fenced":
			sent[c] = queue.ErrFenced
		case cmd.Val() != "ok":
			sent[c] = s.redis.Err(errLate)
		}
	}
	return sent
}

// errLate says that a call came too late: the session has been loaded since, or another process is its owner under the same fence.
var errLate = errors.New("the session's boxes were changed by another call meanwhile")

// pipe sends scripts in one round trip; and again if that has failed soon, or if they are to be loaded first: each of them can be carried out twice.
func (s *Store) pipe(f func(goredis.Pipeliner)) error {
	ctx := context.Background()
	began := time.Now()
	err := s.redis.Pipe(ctx, f)
	switch {
	case err == nil:
		return nil
	case goredis.HasErrorPrefix(errors.Unwrap(err), "NOSCRIPT"):
		for _, script := range []*goredis.Script{loadScript, callScript, forgetScript} {
			if err := script.Load(ctx, s.redis).Err(); err != nil {
				return s.redis.Err(err)
			}
		}
	case redis.Answered(err) || time.Since(began) > again:
		return err
	}
	return s.redis.Pipe(ctx, f)
}

// settle has the account say what has come of the calls, and the batches with it.
func (s *Store) settle(g *group, sent map[*call]error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c, err := range sent {
		switch {
		case err == nil:
		case errors.Is(err, queue.ErrFenced):
			s.drop(c.session)
		default:
			c.failed(s.marks(c.session))
			s.ledger.Remove(c.session)
		}
	}
	failed := 0
	for i := range g.requests {
		b := g.requests[i].batch
		if b == nil {
			continue
		}
		r := &g.results[i]
		if r.Err == nil {
			if c := g.calls[b.Box.Session]; c != nil && sent[c] != nil {
				*r = queue.Result{Err: sent[c]}
			}
		}
		if r.Err != nil && !errors.Is(r.Err, queue.ErrFenced) && !errors.Is(r.Err, queue.ErrOrder) {
			failed++
			s.ledger.Stat.Err = r.Err
		}
	}
	s.ledger.Stat.Failed += uint64(failed)
	if failed == 0 && len(sent) > 0 {
		s.ledger.Stat.Err = nil
	}
}
