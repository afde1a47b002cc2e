package delivery

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// box is a session's own in the queue, in one direction: what it knows of it, and what it changes. It gives the store one batch at a time, so that one that has failed can be
// tried again, and none that is refused has another behind it.
type box struct {
	info account // after the last batch
	last uint64  // the highest id that was given to a message, stored or not
	next *batch  // being filled; nil: nothing is to be changed
	busy *batch  // with the store; nil: none is

	outbox
}

// account is a queue.Info at little more than half its size.
type account struct {
	Last, Seen       uint64
	Bytes            int64
	oldest           int64 // in milliseconds since 1970; 0: there is none
	Messages, Failed uint32
}

func accountOf(i queue.Info) account {
	a := account{Last: i.Last, Seen: i.Seen, Bytes: i.Bytes, Messages: uint32(i.Messages), Failed: uint32(i.Failed)}
	if !i.Oldest.IsZero() {
		a.oldest = i.Oldest.UnixMilli()
	}
	return a
}

func (a *account) whole() queue.Info {
	i := queue.Info{Last: a.Last, Seen: a.Seen, Bytes: a.Bytes, Messages: int(a.Messages), Failed: int(a.Failed)}
	if a.oldest != 0 {
		i.Oldest = time.UnixMilli(a.oldest)
	}
	return i
}

// batch is changes for the store, and what is owed to whom when they are safe.
type batch struct {
	queue.Batch
	s      *Session
	owed   []receipt // one for each Put, in order
	bytes  int       // of the Puts, by size
	failed bool      // the store has not taken it, and is to be asked what it knows
}

// receipt is how the sender of a message knows it, who is to be told that it is safe.
type receipt struct {
	id  uint32 // of the wire; 0: it is not to be told
	qos uint8
}

var batches sync.Pool

func newBatch() *batch {
	if b, ok := batches.Get().(*batch); ok {
		return b
	}
	b := new(batch)
	b.Done = b.done
	return b
}

// maxKeptOps is the largest batch that is used again.
const maxKeptOps = 1024

func (b *batch) giveBack() {
	if cap(b.Ops) > maxKeptOps {
		return
	}
	clear(b.Ops)
	*b = batch{Batch: queue.Batch{Ops: b.Ops[:0], Done: b.Done}, owed: b.owed[:0]}
	batches.Put(b)
}

// change adds a change to the next batch.
func (b *box) change(op queue.Op) {
	if b.next == nil {
		b.next = newBatch()
	}
	if ops := b.next.Ops; op.Kind == queue.RemoveThrough && len(ops) > 0 && ops[len(ops)-1].Kind == queue.RemoveThrough {
		ops[len(ops)-1].ID = op.ID
		return
	}
	b.next.Ops = append(b.next.Ops, op)
}

// put has a message stored.
func (b *box) put(m *queue.Message, r receipt) {
	b.last = max(b.last, m.ID)
	b.change(queue.Op{Kind: queue.Put, ID: m.ID, Message: m})
	b.next.owed = append(b.next.owed, r)
	b.next.bytes += m.Size()
}

// nextID is the id for a message that the session itself numbers.
func (b *box) nextID() uint64 { return qos.Next(b.last) }

// withdraw takes back the messages that have not been given to the store.
func (b *box) withdraw() {
	if b.next != nil && b.next.strip() {
		b.next.giveBack()
		b.next = nil
	}
}

// strip takes the messages out of a batch. empty: nothing is left.
func (b *batch) strip() (empty bool) {
	b.Ops = slices.DeleteFunc(b.Ops, func(op queue.Op) bool { return op.Kind == queue.Put })
	b.owed, b.bytes = b.owed[:0], 0
	return len(b.Ops) == 0
}

// pending is how many messages are not stored yet, and their size.
func (b *box) pending() (messages, bytes int) {
	for _, p := range []*batch{b.next, b.busy} {
		if p != nil {
			messages += len(p.owed)
			bytes += p.bytes
		}
	}
	return messages, bytes
}

// filled says whether the box and what is on its way to it have reached a share of its bounds.
func (b *box) filled(of queue.Bounds, share float64) bool {
	messages, bytes := b.pending()
	return float64(int(b.info.Messages)+messages) >= share*float64(of.Messages) || float64(b.info.Bytes)+float64(bytes) >= share*float64(of.Bytes)
}

// empty says whether nothing is left to be delivered, nor to be stored.
func (b *box) empty() bool {
	return b.info.Messages == b.info.Failed && b.next == nil && b.busy == nil
}

// quiet says whether no batch is with the store.
func (b *box) quiet() bool { return b.busy == nil || b.busy.failed }

// commit gives the store what is to be changed. s.mu is held.
func (s *Session) commit(d queue.Direction) {
	b := &s.flow(d).box
	if b.next == nil || b.busy != nil || s.frozen || s.broken {
		return
	}
	if d == queue.Down && s.peekRare().refusedAt != 0 && !b.next.makesRoom() {
		return
	}
	b.busy, b.next = b.next, nil
	b.busy.s = s
	b.busy.Box = queue.Box{Session: queue.SessionID(s.id), Direction: d}
	s.send(b.busy)
}

// refusedFor is how long what the store had no room for waits, unless something makes room.
const refusedFor = time.Second

// makesRoom says whether the batch takes something out of the box, and has that come first.
func (b *batch) makesRoom() bool {
	makes := func(k queue.Kind) int {
		switch k {
		case queue.Put, queue.Seen:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(b.Ops, func(x, y queue.Op) int { return makes(x.Kind) - makes(y.Kind) })
	return makes(b.Ops[0].Kind) == 0
}

// takeBack puts what the store had no room for before all that is to be put next.
func (b *box) takeBack(refused *batch, stored int) {
	later := b.next
	b.next = nil
	puts := 0
	for _, op := range refused.Ops {
		if op.Kind == queue.Put {
			puts++
		}
		if puts > stored && (op.Kind == queue.Put || op.Kind == queue.Seen) {
			b.change(op)
			if op.Kind == queue.Put {
				b.next.owed = append(b.next.owed, refused.owed[puts-1])
				b.next.bytes += op.Message.Size()
			}
		}
	}
	if later == nil {
		return
	}
	b.next.Ops = append(b.next.Ops, later.Ops...)
	b.next.owed = append(b.next.owed, later.owed...)
	b.next.bytes += later.bytes
	later.giveBack()
}

func (s *Session) send(b *batch) {
	b.Fence, b.failed = s.fence, false
	s.v.cfg.Queue.Do(&b.Batch)
}

// done is told by the store what became of a batch.
func (b *batch) done(r queue.Result) {
	s := b.s
	s.v.heard(queueStore, r.Err)
	s.mu.Lock()
	defer s.unlock()
	switch {
	case s.gone:
	case r.Err == nil:
		s.took(b, r)
	case errors.Is(r.Err, queue.ErrFenced):
		b.failed, s.broken = true, true
		s.judge(false)
	default:
		b.failed = true
		s.breaks()
	}
}

// judge finds out why the queue has refused our fence: most often, as another has the session; but a store that was restored from a while ago may have forgotten who has it,
// and is told once more: asked says that it was. s.mu is held.
func (s *Session) judge(asked bool) {
	fence := s.fence
	s.v.crew.do(func() {
		ctx, cancel := s.v.storeContext()
		defer cancel()
		rec, err := s.records().Find(ctx, s.id)
		s.v.heard(sessionStore, err)
		s.mu.Lock()
		defer s.unlock()
		switch {
		case s.gone || s.frozen || s.fence != fence:
		case s.stray || errors.Is(err, session.ErrUnknown):
			s.lose(ErrExpired)
		case err != nil, rec.Owner == s.v.owner && rec.Fence <= fence && !asked:
			s.breaks()
		case rec.Owner == s.v.owner, rec.Fence < fence:
			s.lose(ErrExpired) // nobody came later: our client has it still, and is to come back
		default:
			s.lose(ErrTaken)
		}
	})
}

// took notes that a batch is safe. s.mu is held.
func (s *Session) took(b *batch, r queue.Result) {
	box := &s.flow(b.Box.Direction).box
	last := box.info.Last
	box.busy, box.info = nil, accountOf(r.Box)
	if b.Box.Direction == queue.Up {
		s.tookUp(b, r, last)
	} else {
		s.tookDown(b, r, last)
	}
	b.giveBack()
}

// breaks has the session ask the store, after a while, what it knows. s.mu is held.
func (s *Session) breaks() {
	s.broken = true
	r := s.needRare()
	r.wait = pause(r.wait)
	r.mendAt = s.v.now() + moment(r.wait)
}

// mend asks the store what it knows, after a batch has failed: which may have been carried out all the same. s.mu is held.
func (s *Session) mend() {
	s.needRare().mendAt = 0
	s.v.crew.do(func() {
		ctx, cancel := s.v.storeContext()
		defer cancel()
		s.mu.Lock()
		fence := s.fence
		gone := s.gone || s.frozen // who has frozen it will ask the same
		s.mu.Unlock()
		if gone {
			return
		}
		up, down, err := s.v.cfg.Queue.Open(ctx, queue.SessionID(s.id), fence)
		s.v.heard(queueStore, err)
		s.mu.Lock()
		defer s.unlock()
		switch {
		case s.gone || s.frozen || s.fence != fence: // who has frozen it asks the same
		case err == nil:
			s.reconcile(up, down, false)
		case errors.Is(err, queue.ErrFenced):
			s.judge(true)
		default:
			s.breaks()
		}
	})
}

// reconcile goes on with what the store knows. fresh: the client comes over another connection, over which it repeats what is not stored. s.mu is held.
func (s *Session) reconcile(up, down queue.Info, fresh bool) {
	s.broken = false
	if r := s.rare; r != nil {
		r.wait, r.mendAt = 0, 0
	}
	s.settle(&s.up.box, up, fresh)
	s.settle(&s.down.box, down, false)
}

// settle goes on with one box. A batch that has failed was carried out all the same if the first of its messages is there; else it is tried again.
func (s *Session) settle(b *box, info queue.Info, strip bool) {
	p := b.busy
	if p == nil {
		b.info = accountOf(info)
		return
	}
	if !p.failed {
		return // its Done is still to come
	}
	stored := 0
	for i := range p.Ops {
		op := &p.Ops[i]
		switch {
		case op.Kind == queue.Put && op.ID <= info.Last:
			stored++
		case op.Kind == queue.Requeue && op.N <= info.Last:
			op.Kind = queue.Remove // it was put under its new id: the old one is no more
		}
	}
	switch {
	case stored > 0:
		s.took(p, queue.Result{Stored: stored, Box: info})
	case strip && p.strip():
		b.info, b.busy = accountOf(info), nil
		p.giveBack()
	default:
		b.info = accountOf(info)
		s.send(p)
	}
}
