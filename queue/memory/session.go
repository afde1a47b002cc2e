package memory

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// session is the two boxes of a session, and the fence of their owner.
type session struct {
	fence    uint64
	up, down box
}

func (s *session) box(d queue.Direction) *box {
	if d == queue.Up {
		return &s.up
	}
	return &s.down
}

// apply carries out changes that are in order.
func (s *Store) apply(x *box, ops []queue.Op) (r queue.Result) {
	refused := false
	for i := range ops {
		op := &ops[i]
		switch op.Kind {
		case queue.Put:
			if refused = refused || !s.put(x, op.Message, &r); refused {
				s.stat.Refused++
			} else {
				r.Stored++
			}
		case queue.Remove:
			if m, ok := x.take(op.ID); ok {
				s.forget(x, &m)
			}
		case queue.RemoveThrough:
			s.cut(x, above(x.live, op.ID))
		case queue.Acknowledge:
			if m, ok := x.take(op.ID); ok {
				x.bytes -= int64(len(m.payload))
				s.count(0, -int64(len(m.payload)))
				m.payload, m.state = nil, queue.Acknowledged
				x.live = insert(x.live, m)
			}
		case queue.Fail:
			if m, ok := x.takeLive(op.ID); ok {
				if m.state == queue.Acknowledged {
					s.forget(x, &m)
					continue
				}
				m.state, m.retries = queue.Failed, uint8(min(op.N, 255))
				x.failed = insert(x.failed, m)
			}
		case queue.Requeue:
			if m, ok := x.takeFailed(op.ID); ok {
				m.id, m.state, m.retries = op.N, queue.Queued, 0
				x.live, x.last = append(x.live, m), op.N
			}
		case queue.Seen:
			x.seen = max(x.seen, op.N)
		}
	}
	return r
}

// put stores a message, or drops what must be dropped, or says that there is no room.
func (s *Store) put(x *box, m *queue.Message, r *queue.Result) bool {
	size := int64(m.Size())
	if !s.fits(x, size) {
		switch {
		case s.bounds.Overflow == queue.Reject:
			return false
		case s.bounds.Overflow == queue.DropNewest || size > s.bounds.Bytes || s.stat.Bytes-x.bytes+size > s.bounds.Total:
			x.last = m.ID
			r.Dropped = append(r.Dropped, m.ID)
			s.stat.Dropped++
			return true
		}
		for !s.fits(x, size) {
			m := x.takeOldest()
			r.Dropped = append(r.Dropped, m.id)
			s.stat.Dropped++
			s.forget(x, &m)
		}
	}
	x.last = m.ID
	x.live = append(x.live, stored{
		id: m.ID, created: m.Created.UnixMilli(), expires: unixMilli(m.Expires), payload: m.Payload,
		cmd: m.Cmd, flag: m.Flag, qos: m.QoS, state: queue.Queued,
	})
	x.expiresAt(x.live[len(x.live)-1].expires)
	x.bytes += size
	s.count(1, size)
	return true
}

// fits says whether there is room for a message of that size.
func (s *Store) fits(x *box, size int64) bool {
	return x.messages() < s.bounds.Messages && x.bytes+size <= s.bounds.Bytes && s.stat.Bytes+size <= s.bounds.Total
}

// forget takes a message that is in the box no more out of the sums.
func (s *Store) forget(x *box, m *stored) {
	x.bytes -= m.size()
	s.count(-1, -m.size())
}

// cut forgets the first n messages that have not failed.
func (s *Store) cut(x *box, n int) {
	for i := range n {
		s.forget(x, &x.live[i])
	}
	clear(x.live[:n])
	x.live = x.live[n:]
}

// expire forgets what has expired.
func (s *Store) expire(x *box, now time.Time) {
	ms := now.UnixMilli()
	if x.soonest == 0 || ms < x.soonest {
		return
	}
	x.soonest = 0
	for _, list := range []*[]stored{&x.live, &x.failed} {
		kept := (*list)[:0]
		for i := range *list {
			m := (*list)[i]
			if m.expires != 0 && m.expires <= ms {
				s.stat.Expired++
				s.forget(x, &m)
				continue
			}
			x.expiresAt(m.expires)
			kept = append(kept, m)
		}
		clear((*list)[len(kept):])
		*list = kept
	}
}

// count keeps the sums over all boxes.
func (s *Store) count(messages int, bytes int64) {
	s.stat.Messages += messages
	s.stat.Bytes += bytes
}
