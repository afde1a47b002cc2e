package delivery

import (
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// What a session keeps of stored messages in memory, in bytes by queue.Message.Size: what is ready to be sent, and what is in flight.
const (
	maxReady    = 64 << 10
	maxInFlight = 256 << 10
	readAtOnce  = 256 // messages
)

// outbox has the messages of a box in hand that are next to be sent. It holds a few of them; where there are more, they are read back from the store.
type outbox struct {
	ready   *ready // nil: none is
	fed     uint64 // the highest id that is or was in ready: what is above it is in the store alone
	epoch   uint32 // counts the restarts: what is read for an earlier one is not for this
	reading bool
}

// ready is messages in order, without a gap.
type ready struct {
	list  []*queue.Message
	bytes int // by size
}

// restart begins after an id.
func (o *outbox) restart(after uint64) {
	o.ready, o.fed = nil, after
	o.epoch++
	o.reading = false
}

// held is how much is ready, in bytes.
func (o *outbox) held() int {
	if o.ready == nil {
		return 0
	}
	return o.ready.bytes
}

// add takes messages that have just been stored, if nothing in the store is before them: the first of the puts among the changes, but those that the bounds have cost at once.
// last is the highest id that was stored before.
func (o *outbox) add(ops []queue.Op, stored int, last uint64, dropped []uint64) {
	if o.fed < last || o.reading {
		return
	}
	for i := range ops {
		if ops[i].Kind != queue.Put {
			continue
		}
		if stored--; stored < 0 || o.held() > maxReady {
			return
		}
		if m := ops[i].Message; m.ID > o.fed && !slices.Contains(dropped, m.ID) {
			o.push(m)
		}
	}
}

func (o *outbox) push(m *queue.Message) {
	if o.ready == nil {
		o.ready = new(ready)
	}
	o.ready.list = append(o.ready.list, m)
	o.ready.bytes += m.Size()
	o.fed = m.ID
}

// pop takes out the message that is to be sent next; nil: there is none in hand.
func (o *outbox) pop() *queue.Message {
	r := o.ready
	if r == nil {
		return nil
	}
	m := r.list[0]
	r.list[0] = nil
	r.list = r.list[1:]
	r.bytes -= m.Size()
	if len(r.list) == 0 {
		o.ready = nil
	}
	return m
}

// short says whether the store is to be read, given the highest id that is stored.
func (o *outbox) short(last uint64) bool {
	return !o.reading && o.fed < last && o.held() < maxReady/4
}

// took takes what was read. upTo is the highest id that was stored when the reading began: where nothing was found, nothing is there up to it.
func (o *outbox) took(list []queue.Message, upTo uint64) {
	o.reading = false
	for i := range list {
		if list[i].ID > o.fed {
			o.push(&list[i])
		}
	}
	if len(list) == 0 {
		o.fed = max(o.fed, upTo)
	}
}

// readBack reads messages of a box back from the store, where they are short and can be sent. s.mu is held.
func (s *Session) readBack(d queue.Direction, now moment) {
	f := s.flow(d)
	if !f.short(f.info.Last) || s.peekRare().readAt > now || !s.sends(d) {
		return
	}
	f.reading = true
	epoch, after, upTo := f.epoch, f.fed, f.info.Last
	s.v.crew.do(func() {
		ctx, cancel := s.v.storeContext()
		list, err := s.v.cfg.Queue.Read(ctx, queue.Box{Session: queue.SessionID(s.id), Direction: d}, after, readAtOnce, maxReady)
		cancel()
		s.v.heard(queueStore, err)
		s.mu.Lock()
		defer s.unlock()
		switch {
		case s.gone || f.epoch != epoch:
		case err != nil:
			f.reading = false
			s.needRare().readAt = s.v.now() + moment(readAgain)
		default:
			f.took(list, upTo)
			if d == queue.Up && len(list) == 0 && s.clear() {
				f.change(queue.Op{Kind: queue.RemoveThrough, ID: f.fed}) // all has expired: the account of the box is from before
			}
		}
	})
}

// readAgain is how long to wait when the store could not be read.
const readAgain = time.Second

// sends says whether there is somebody to send the messages to.
func (s *Session) sends(d queue.Direction) bool {
	switch {
	case d == queue.Down:
		return s.cl != nil && s.down.window > 0
	case s.hop != nil:
		return s.ready() && s.up.window > 0
	}
	return s.ready()
}

// clear says whether the backend has proved all that it was sent.
func (s *Session) clear() bool {
	if s.up.inFlight() > 0 || s.proof != nil || s.up.outbox.ready != nil {
		return false
	}
	return s.up.info.Messages > s.up.info.Failed
}
