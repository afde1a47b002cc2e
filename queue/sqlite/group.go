package sqlite

import (
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/store/sqlite"
)

// group is all that was pending when its transaction began. It is a [sqlite.Job].
type group struct {
	store    *Store
	requests []request
	results  []queue.Result // of the batches among them, by the place of the request
	rows     rows
	again    bool // there is more to sweep
}

// Write implements [sqlite.Job].
func (g *group) Write(tx *sqlite.Tx) error {
	s := g.store
	s.mu.Lock()
	g.requests, s.pending = s.pending, nil
	s.asked, s.hurried = false, false
	g.results = make([]queue.Result, len(g.requests))
	g.rows.store = s
	now := s.now()
	for i, r := range g.requests {
		switch {
		case r.batch != nil:
			g.results[i] = g.do(tx, r.batch, now)
		case r.owner != nil:
			g.own(tx, r.owner, now)
		default:
			// What it drops is noted by the rows.
			g.again = !s.ledger.Sweep(now, sweepBoxes, &g.rows) || g.again
		}
	}
	s.mu.Unlock()
	// The writer alone changes the ledger: so it may read it without the lock.
	return g.rows.write(tx, now)
}

// do carries out a batch in the ledger.
func (g *group) do(tx *sqlite.Tx, b *queue.Batch, now time.Time) queue.Result {
	s := g.store
	if err := s.know(tx, b.Box.Session); err != nil {
		return queue.Result{Err: err}
	}
	if s.fullErr != nil && puts(b) {
		if time.Now().Before(s.fullUntil) {
			return queue.Result{Err: s.fullErr}
		}
		s.fullErr = nil
	}
	g.rows.touched = append(g.rows.touched, b.Box.Session)
	return s.ledger.Do(b, now, &g.rows)
}

// own carries out a call of Open or Forget in the ledger.
func (g *group) own(tx *sqlite.Tx, r *ownerRequest, now time.Time) {
	s := g.store
	if r.err = s.know(tx, r.session); r.err != nil {
		return
	}
	g.rows.touched = append(g.rows.touched, r.session)
	if !r.forget {
		r.up, r.down, r.err = s.ledger.Open(r.session, r.fence, now, &g.rows)
		return
	}
	owner := s.ledger.Session(r.session)
	switch {
	case owner == nil:
	case r.fence < owner.Fence:
		r.err = queue.ErrFenced
	default:
		g.rows.forget(owner.Box(queue.Up))
		g.rows.forget(owner.Box(queue.Down))
		s.ledger.Remove(r.session)
	}
}

// Undone implements [sqlite.Job]: the ledger forgets what the file does not know.
func (g *group) Undone(tx *sqlite.Tx, err error) {
	s := g.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, sqlite.ErrFull) {
		s.fullUntil, s.fullErr = time.Now().Add(fullFor), err
	}
	for _, id := range g.rows.touched {
		if _, ok := s.unknown[id]; ok {
			continue
		}
		s.unknown[id] = 0
		if owner := s.ledger.Session(id); owner != nil {
			s.unknown[id] = owner.Fence
			s.ledger.Remove(id)
		}
	}
	// What the file can't say now is asked when it is needed.
	for _, id := range g.rows.touched {
		_ = s.know(tx, id)
	}
	g.again = false
	for i, r := range g.requests {
		switch {
		case r.batch != nil:
			if g.results[i].Err == nil {
				g.results[i] = queue.Result{Err: err}
			}
		case r.owner != nil && r.owner.err == nil && r.owner.forget:
			r.owner.err = err
		case r.owner != nil && r.owner.err == nil:
			// Nothing of an Open must be written: so it need not fail.
			if r.owner.err = s.know(tx, r.owner.session); r.owner.err == nil {
				r.owner.up, r.owner.down, r.owner.err = s.ledger.Open(r.owner.session, r.owner.fence, s.now(), nil)
			}
		}
	}
}

// Done implements [sqlite.Job].
func (g *group) Done(took time.Duration) {
	s := g.store
	s.mu.Lock()
	st := &s.ledger.Stat
	if len(g.requests) > 0 {
		st.Commits++
		st.Waited += took
	}
	for i, r := range g.requests {
		if r.batch == nil {
			continue
		}
		st.Batches++
		if err := g.results[i].Err; failed(err) {
			st.Failed++
			st.Err = err
		} else if err == nil {
			st.Err = nil
		}
	}
	s.mu.Unlock()
	for i, r := range g.requests {
		switch {
		case r.batch != nil && r.batch.Done != nil:
			r.batch.Done(g.results[i])
		case r.owner != nil:
			close(r.owner.answered)
		}
	}
	s.mu.Lock()
	if g.again && !s.closed {
		s.ask(request{sweep: true}, true)
	}
	if s.busy--; s.busy == 0 {
		s.idle.Broadcast()
	}
	s.mu.Unlock()
}
