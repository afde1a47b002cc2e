package client

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// changes are what is to be done to one box of the queue. One batch is under way at a time; what comes meanwhile goes together in the next.
type changes struct {
	session *session
	box     queue.Box
	done    func(queue.Result) // of its batches

	// Guarded by session.mu.
	ops    []queue.Op
	puts   []*Receipt // of the Puts in ops, in their order
	batch  queue.Batch
	flying []*Receipt // of those in batch
	busy   bool       // batch is with the store
	err    error      // of the last batch; nil: it was carried out
	retry  time.Time  // when ops go to the store again; zero: at once
	info   queue.Info // of the box, after the last batch
}

// retryAfter is how long a queue that has failed is left alone.
const retryAfter = time.Second

// commit hands what is to be done to the store. session.mu is held.
func (c *changes) commit() {
	if c.busy || len(c.ops) == 0 || c.session.over || !c.retry.IsZero() {
		return
	}
	c.busy = true
	ops, flying := c.batch.Ops[:0], c.flying[:0]
	c.batch = queue.Batch{Box: c.box, Fence: fence, Ops: c.ops, Done: c.done}
	c.flying = c.puts
	c.ops, c.puts = ops, flying
	c.session.store.Do(&c.batch)
}

// finished takes a batch back. What it did not do is to be done again, but for its Puts, whose makers are told. session.mu is held.
func (c *changes) finished(r queue.Result) {
	c.busy = false
	c.session.quiet.Broadcast()
	c.err = r.Err
	if r.Err == nil {
		c.info = r.Box
		return
	}
	if !errors.Is(r.Err, queue.ErrFenced) && !errors.Is(r.Err, queue.ErrClosed) { // those do not pass
		var again []queue.Op
		for _, op := range c.batch.Ops {
			if op.Kind != queue.Put {
				again = append(again, op)
			}
		}
		c.ops = append(again, c.ops...)
	}
	c.retry = time.Now().Add(retryAfter)
	c.session.client.opt.Logger.Warn("the queue took nothing", "addr", c.session.client.addr, "error", r.Err)
	c.session.rouse()
}

// put gives a message its id, and the queue the message. mu is held.
func (s *session) put(r *Receipt) {
	s.last = s.nextID(s.last)
	r.message.ID = s.last
	s.up.ops = append(s.up.ops, queue.Op{Kind: queue.Put, Message: r.message})
	s.up.puts = append(s.up.puts, r)
	s.up.commit()
}

// upDone is told what became of a batch of what is published.
func (s *session) upDone(res queue.Result) {
	s.mu.Lock()
	defer s.leave()
	s.up.finished(res)
	freed := 0
	var full []*Receipt
	for i, r := range s.up.flying {
		switch {
		case res.Err != nil:
			r.refuse(fmt.Errorf("not queued: %w", res.Err))
		case i < res.Stored:
			s.kept(r)
		case s.ended && !r.gone:
			r.refuse(notSent(ErrClosed))
		case !r.wait:
			r.refuse(ErrQueueFull)
		case !r.gone:
			full = append(full, r)
		}
	}
	s.waiting = append(full, s.waiting...) // who comes while others wait goes behind them at once
	if res.Err == nil {
		for _, op := range s.up.batch.Ops {
			switch op.Kind {
			case queue.Remove:
				freed++
			case queue.Acknowledge:
				s.releasable(op.ID)
			}
		}
		for _, id := range res.Dropped {
			s.settle(id, ErrDropped)
		}
	}
	clear(s.up.flying)
	clear(s.up.batch.Ops)
	s.readmit(freed)
	s.up.commit()
	s.pump()
	s.tellEmpty()
}

// kept notes that a message is in the queue, and so will be sent.
func (s *session) kept(r *Receipt) {
	m := r.message
	r.message = nil
	s.stored = m.ID
	s.receipts[m.ID] = r
	if !m.Expires.IsZero() && (s.soonest.IsZero() || m.Expires.Before(s.soonest)) {
		s.soonest = m.Expires
		s.rouseBy(m.Expires)
	}
	close(r.stored)
	switch {
	case s.link == nil, s.behind:
	case len(s.ready) < maxReady:
		s.ready = append(s.ready, *m)
		s.loaded = m.ID
	default:
		s.behind = true
	}
}

// readmit gives n of those who wait for room another try. mu is held.
func (s *session) readmit(n int) {
	for ; n > 0 && len(s.waiting) > 0; n-- {
		r := s.waiting[0]
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
		s.put(r)
	}
}

// settle tells whoever waits what became of a message. mu is held.
func (s *session) settle(id uint64, err error) {
	if r := s.receipts[id]; r != nil {
		delete(s.receipts, id)
		r.finish(err)
	}
}

// remove forgets a message that has arrived. mu is held.
func (s *session) remove(id uint64) {
	s.settle(id, nil)
	delete(s.flights, id)
	s.up.ops = append(s.up.ops, queue.Op{Kind: queue.Remove, ID: id})
}

// empty says whether all that was published is acknowledged, as is known while there is a connection. mu is held.
func (s *session) empty() bool {
	return s.link != nil && !s.behind && !s.up.busy && len(s.up.ops)+len(s.waiting)+len(s.ready)+len(s.flights) == 0
}

func (s *session) tellEmpty() {
	if s.emptied != nil && s.empty() {
		close(s.emptied)
		s.emptied = nil
	}
}
