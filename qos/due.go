package qos

import (
	"slices"
	"time"
)

// Action is what is to be done about a message.
type Action uint8

const (
	Nothing      Action = iota
	SendAgain           // send it again, with DUP
	ReleaseAgain        // send its PUBREL again
	GiveUp              // mark it failed: it was repeated as often as it may be, and is in flight no more
	Forget              // remove it: its PUBREL had no answer as often as it may be repeated. It was received, and is in flight no more
)

// Restart begins a new connection, under what its peer grants: all messages in flight are due at once, in their order, and their repeats are counted anew. Where there are
// more than the window takes, the first of them go, and the others as those leave.
func (s *Sender) Restart(l Limits) {
	s.limits, s.again, s.turn = l, 0, 0
	s.next, s.at = time.Time{}, 0
	for i := range s.table.used() {
		f := &s.table.used()[i]
		f.repeats, f.due, f.again = 0, time.Time{}, false
		if f.phase == sent || f.phase == released {
			f.again = true
			s.again++
		}
	}
}

// Due returns a message that is due, the oldest first, and what to do about it, which it takes for done. Call it until there is Nothing: after Restart, after each
// acknowledgement, and when Deadline has come. Where nothing is due it costs a comparison.
func (s *Sender) Due(now time.Time) (id uint64, a Action) {
	if s.again > 0 {
		if s.table.n-s.again >= s.limits.Window {
			return s.late(now)
		}
		f := s.nextTurn()
		s.turn = f.id
		s.settle(f)
		return f.id, s.repeat(f, now)
	}
	return s.late(now)
}

// Deadline is when Due is to be called at the latest; zero: not before something else happens. It may turn out to be early, and Due then knows a later one.
func (s *Sender) Deadline() time.Time { return s.next }

// nextTurn is the first message that waits for its turn. There is one.
func (s *Sender) nextTurn() *flight {
	used := s.table.used()
	i, _ := slices.BinarySearchFunc(used, s.turn+1, byID)
	for !used[i].again {
		i++
	}
	return &used[i]
}

// late is Due for messages of this connection whose acknowledgement has not come in time.
func (s *Sender) late(now time.Time) (id uint64, a Action) {
	if s.next.IsZero() || now.Before(s.next) {
		return 0, Nothing
	}
	used := s.table.used()
	for s.at < len(used) {
		f := &used[s.at]
		s.at++
		if f.phase == over || f.due.IsZero() || now.Before(f.due) {
			continue
		}
		id := f.id
		if f.repeats < s.limits.MaxRetries {
			f.repeats++
			return id, s.repeat(f, now)
		}
		a := GiveUp
		if f.phase == released {
			a = Forget
		}
		s.remove(f)
		return id, a
	}
	s.at, s.next = 0, time.Time{}
	for i := range used {
		if due := used[i].due; used[i].phase != over && !due.IsZero() && (s.next.IsZero() || due.Before(s.next)) {
			s.next = due
		}
	}
	return 0, Nothing
}

func (s *Sender) repeat(f *flight, now time.Time) Action {
	s.wait(f, now)
	if f.phase == released {
		return ReleaseAgain
	}
	return SendAgain
}

// wait has a message wait for its acknowledgement from now on. s.next is no later than any message is due, since time does not go back.
func (s *Sender) wait(f *flight, now time.Time) {
	if s.limits.AckTimeout <= 0 {
		f.due = time.Time{}
		return
	}
	f.due = now.Add(s.limits.AckTimeout)
	if s.next.IsZero() {
		s.next = f.due
	}
}

// settle has a message wait for nothing any more.
func (s *Sender) settle(f *flight) {
	f.due = time.Time{}
	if f.again {
		f.again = false
		s.again--
	}
}
