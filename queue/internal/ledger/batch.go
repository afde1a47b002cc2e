package ledger

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Do says what a batch does, and has log told. log may be nil.
func (l *Ledger[C]) Do(b *queue.Batch, now time.Time, log Log[C]) queue.Result {
	s := l.session[b.Box.Session]
	if s == nil || s.Fence != b.Fence {
		return queue.Result{Err: queue.ErrFenced}
	}
	x := s.Box(b.Box.Direction)
	l.Expire(x, now, log)
	if !queue.Ordered(b.Ops, x.Last) {
		return queue.Result{Err: queue.ErrOrder, Box: x.Info()}
	}
	x.hold()
	t := turn[C]{Ledger: l, Box: x, log: log}
	last, seen := x.Last, x.Seen
	for i := range b.Ops {
		t.apply(&b.Ops[i])
	}
	if log != nil && (x.Last != last || x.Seen != seen) {
		log.Touch(x)
	}
	l.settle(x)
	t.result.Box = x.Info()
	return t.result
}

// turn is one batch and its box.
type turn[C any] struct {
	*Ledger[C]
	*Box[C]
	log     Log[C]
	refused bool // a Put was
	result  queue.Result
}

func (t *turn[C]) apply(op *queue.Op) {
	switch op.Kind {
	case queue.Put:
		if t.refused = t.refused || !t.put(op.Message); t.refused {
			t.Stat.Refused++
		} else {
			t.result.Stored++
		}
	case queue.Remove:
		if e, ok := t.take(op.ID); ok {
			t.drop(&e)
		}
	case queue.RemoveThrough:
		t.cut(above(t.live, op.ID))
	case queue.Acknowledge:
		if e, ok := t.take(op.ID); ok {
			t.bytes -= int64(e.Size)
			t.count(0, -int64(e.Size))
			t.strip(&e.Content)
			e.Size, e.State = 0, queue.Acknowledged
			t.live = insert(t.live, e)
			t.change(e.ID, &e)
		}
	case queue.Fail:
		if e, ok := t.takeLive(op.ID); ok && e.State == queue.Acknowledged {
			t.drop(&e)
		} else if ok {
			e.State, e.Retries = queue.Failed, uint8(min(op.N, 255))
			t.failed = insert(t.failed, e)
			t.change(e.ID, &e)
		}
	case queue.Requeue:
		if e, ok := t.takeFailed(op.ID); ok {
			e.ID, e.State, e.Retries = op.N, queue.Queued, 0
			t.live, t.Last = append(t.live, e), op.N
			t.change(op.ID, &e)
		}
	case queue.Seen:
		if !t.refused {
			t.Box.Seen = max(t.Box.Seen, op.N)
		}
	}
}

// put stores a message, or drops what must be dropped, or says that there is no room.
func (t *turn[C]) put(m *queue.Message) bool {
	size := int64(m.Size())
	if !t.fits(size) {
		switch {
		case t.Bounds.Overflow == queue.Reject:
			return false
		case t.Bounds.Overflow == queue.DropNewest || size > t.Bounds.Bytes || t.Stat.Bytes-t.bytes+size > t.Bounds.Total:
			t.Last = m.ID
			t.result.Dropped = append(t.result.Dropped, m.ID)
			t.Stat.Dropped++
			return true
		}
		for !t.fits(size) {
			e := t.takeOldest()
			t.result.Dropped = append(t.result.Dropped, e.ID)
			t.Stat.Dropped++
			t.drop(&e)
		}
	}
	e := Entry[C]{Content: t.content(m), ID: m.ID, Created: m.Created.UnixMilli(), Size: uint32(len(m.Payload)), State: queue.Queued}
	if !m.Expires.IsZero() {
		e.Expires = m.Expires.UnixMilli()
	}
	t.Last = m.ID
	t.live = append(t.live, e)
	t.expiresAt(e.Expires)
	t.bytes += size
	t.count(1, size)
	if t.log != nil {
		t.log.Put(t.Box, m)
	}
	return true
}

// fits says whether there is room for a message of that size.
func (t *turn[C]) fits(size int64) bool {
	return t.messages() < t.Bounds.Messages && t.bytes+size <= t.Bounds.Bytes && t.Stat.Bytes+size <= t.Bounds.Total
}

// cut forgets the first n messages that have not failed.
func (t *turn[C]) cut(n int) {
	if n == 0 {
		return
	}
	first, last := t.live[0].ID, t.live[n-1].ID
	for i := range n {
		t.forget(t.Box, &t.live[i])
	}
	clear(t.live[:n])
	t.live = t.live[n:]
	if t.log != nil {
		t.log.Cut(t.Box, first, last)
	}
}

// drop forgets a message that was taken out.
func (t *turn[C]) drop(e *Entry[C]) {
	t.forget(t.Box, e)
	if t.log != nil {
		t.log.Drop(t.Box, e.ID)
	}
}

func (t *turn[C]) change(id uint64, e *Entry[C]) {
	if t.log != nil {
		t.log.Change(t.Box, id, e)
	}
}
