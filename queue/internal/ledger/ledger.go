// Package ledger keeps the account of boxes: which messages are in each, how large, and whose they are. It decides what a batch does, and a store does it.
//
//	ledger.go  sessions, their fences, and the sums over all boxes
//	batch.go   what a batch does to its box
//	box.go     the messages of a box
package ledger

import (
	"cmp"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Log is told what a batch changes, in the order in which it happens.
type Log[C any] interface {
	Put(*Box[C], *queue.Message)
	// Cut says that all messages with these ids, from the first to the last, are gone, but for failed ones.
	Cut(x *Box[C], first, last uint64)
	// Drop says that one is gone, whatever its state.
	Drop(x *Box[C], id uint64)
	// Change says that the message id looks as m does now. Where it was Acknowledged, its payload is gone.
	Change(x *Box[C], id uint64, m *Entry[C])
	// Touch says that Last or Seen of the box have changed.
	Touch(x *Box[C])
}

// Ledger is the account of all boxes. C is what the store keeps with a message. It has no lock of its own.
type Ledger[C any] struct {
	Bounds  queue.Bounds          // with its defaults
	Full    map[queue.Box]*Box[C] // the boxes that hold messages, and perhaps some that have lost them of late
	Stat    queue.Stat            // its sums and counters of messages
	content func(*queue.Message) C
	strip   func(*C)
	session map[queue.SessionID]*Session[C]
}

// Session is the two boxes of a session, and the fence of their owner.
type Session[C any] struct {
	Fence    uint64
	id       queue.SessionID
	up, down Box[C]
}

// Box returns one of them.
func (s *Session[C]) Box(d queue.Direction) *Box[C] {
	if d == queue.Up {
		return &s.up
	}
	return &s.down
}

// New returns an empty ledger. content returns what is kept of a message that is put; strip takes its payload from that.
func New[C any](b queue.Bounds, content func(*queue.Message) C, strip func(*C)) *Ledger[C] {
	return &Ledger[C]{
		Bounds: b.WithDefaults(), content: content, strip: strip,
		Full: make(map[queue.Box]*Box[C]), session: make(map[queue.SessionID]*Session[C]),
	}
}

// Session returns a session, or nil.
func (l *Ledger[C]) Session(id queue.SessionID) *Session[C] { return l.session[id] }

// Add returns a session, which it makes where there is none.
func (l *Ledger[C]) Add(id queue.SessionID) *Session[C] {
	s := l.session[id]
	if s == nil {
		s = &Session[C]{id: id}
		s.up.session, s.down.session = s, s
		l.session[id] = s
	}
	return s
}

// Remove forgets a session, with all its messages.
func (l *Ledger[C]) Remove(id queue.SessionID) {
	s := l.session[id]
	if s == nil {
		return
	}
	for _, x := range []*Box[C]{&s.up, &s.down} {
		if x.held != nil {
			l.count(-x.messages(), -x.bytes)
			delete(l.Full, x.Of())
		}
	}
	delete(l.session, id)
}

// Clear forgets all.
func (l *Ledger[C]) Clear() {
	clear(l.session)
	clear(l.Full)
	l.Stat.Messages, l.Stat.Bytes = 0, 0
}

// Load adds a message that a store has found, without asking whether there is room. They come in the order of their ids.
func (l *Ledger[C]) Load(x *Box[C], e Entry[C]) {
	x.hold()
	if e.State == queue.Failed {
		x.failed = append(x.failed, e)
	} else {
		x.live = append(x.live, e)
	}
	x.expiresAt(e.Expires)
	x.bytes += e.bytes()
	l.count(1, e.bytes())
	l.Full[x.Of()] = x
}

// Open gives a session's boxes to an owner.
func (l *Ledger[C]) Open(id queue.SessionID, fence uint64, now time.Time, log Log[C]) (up, down queue.Info, err error) {
	s := l.Add(id)
	if fence < s.Fence {
		return up, down, queue.ErrFenced
	}
	s.Fence = fence
	l.Expire(&s.up, now, log)
	l.Expire(&s.down, now, log)
	return s.up.Info(), s.down.Info(), nil
}

// Backlog returns the sessions that have messages to deliver in one direction.
func (l *Ledger[C]) Backlog(d queue.Direction, now time.Time) []Backlog {
	var all []Backlog
	for b, x := range l.Full {
		if b.Direction != d {
			continue
		}
		if info := x.infoAt(now.UnixMilli()); info.Messages > info.Failed {
			all = append(all, Backlog{b.Session, info})
		}
	}
	return all
}

// Known returns all sessions, with the states of their boxes.
func (l *Ledger[C]) Known(now time.Time) []Known {
	all := make([]Known, 0, len(l.session))
	for id, s := range l.session {
		all = append(all, Known{id, s.up.infoAt(now.UnixMilli()), s.down.infoAt(now.UnixMilli())})
	}
	return all
}

// Known is a session.
type Known struct {
	Session  queue.SessionID
	Up, Down queue.Info
}

// Backlog is a session that has messages to deliver.
type Backlog struct {
	Session queue.SessionID
	Info    queue.Info
}

// Oldest returns when the oldest message that has not failed was created; zero: there is none.
func (l *Ledger[C]) Oldest() (oldest time.Time) {
	for _, x := range l.Full {
		if x.held == nil || len(x.live) == 0 {
			continue
		}
		if t := time.UnixMilli(x.live[0].Created); oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	return oldest
}

// Sweep forgets what has expired, and gives back the memory of boxes that are empty. It looks at no more than most boxes with messages that have expired, and says whether it
// has seen all.
func (l *Ledger[C]) Sweep(now time.Time, most int, log Log[C]) bool {
	for b, x := range l.Full {
		if x.held != nil && x.soonest != 0 && x.soonest <= now.UnixMilli() {
			if most--; most < 0 {
				return false
			}
			l.Expire(x, now, log)
		}
		if x.messages() == 0 {
			x.held = nil
			delete(l.Full, b)
		}
	}
	return true
}

// Expire forgets what has expired in a box.
func (l *Ledger[C]) Expire(x *Box[C], now time.Time, log Log[C]) {
	ms := now.UnixMilli()
	if x.held == nil || x.soonest == 0 || ms < x.soonest {
		return
	}
	x.soonest = 0
	for _, list := range []*[]Entry[C]{&x.live, &x.failed} {
		kept := (*list)[:0]
		for _, e := range *list {
			if e.over(ms) {
				l.Stat.Expired++
				l.forget(x, &e)
				if log != nil {
					log.Drop(x, e.ID)
				}
				continue
			}
			x.expiresAt(e.Expires)
			kept = append(kept, e)
		}
		clear((*list)[len(kept):])
		*list = kept
	}
}

// settle keeps Full what it says, after a change of the box.
func (l *Ledger[C]) settle(x *Box[C]) {
	if x.messages() == 0 {
		x.held = nil
		delete(l.Full, x.Of())
	} else {
		l.Full[x.Of()] = x
	}
}

// count keeps the sums over all boxes.
func (l *Ledger[C]) count(messages int, bytes int64) {
	l.Stat.Messages += messages
	l.Stat.Bytes += bytes
}

// forget takes a message that is in its box no more out of the sums.
func (l *Ledger[C]) forget(x *Box[C], e *Entry[C]) {
	x.bytes -= e.bytes()
	l.count(-1, -e.bytes())
}

func byID[C any](e Entry[C], id uint64) int { return cmp.Compare(e.ID, id) }
