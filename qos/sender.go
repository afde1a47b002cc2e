package qos

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Limits are what a [Sender] keeps to.
type Limits struct {
	Window     int           // the most messages in flight, as the peer has granted. 0: none may be sent
	AckTimeout time.Duration // after so long without an acknowledgement a message is repeated. 0: never, on one connection
	MaxRetries uint8         // so often it is repeated on one connection, and then given up
}

// Sender knows which messages of a session have been sent in one direction, and are not acknowledged yet. While none is in flight it holds no memory of its own but for
// what [Sender.Trim] gives back.
//
// It is the same over all connections of a session: each new one begins with [Sender.Restart].
type Sender struct {
	limits Limits
	table  table
	last   uint64 // the highest id that may have been sent

	// Of due.go.
	again int       // how many messages wait for their turn after a Restart
	turn  uint64    // the last of them that had it
	next  time.Time // nothing is late before; zero: nothing is
	at    int       // how many places have been looked at for what is late
}

// NewSender returns one of which nothing is in flight. last is the highest id that may ever have been sent: queue.Info.Last, as a gateway that was killed does not know
// more. It is what makes an acknowledgement late rather than made up.
func NewSender(l Limits, last uint64) Sender { return Sender{limits: l, last: last} }

// Outcome is what an acknowledgement means to the sender.
type Outcome uint8

const (
	// Done: the message has arrived, and is not in flight any more: remove it.
	Done Outcome = iota + 1
	// Release: the message has been received (PUBREC). Store that, then say Sender.Release and send PUBREL.
	Release
	// Late: there is nothing to do. It names a message that was or may have been sent and is not in flight: it came twice, or after the message was given up, or before it
	// was sent again. Where such a message is still stored, a PUBACK or PUBCOMP says that it has arrived.
	Late
	// Forged: it names a message that was never sent, or acknowledges it in a way that its QoS does not have: ERROR with wire.ErrorID, and close.
	Forged
)

// Room is how many messages may be sent now: 0 also while some of before a Restart wait for their turn, since those go first.
func (s *Sender) Room() int {
	if s.again > 0 {
		return 0
	}
	return max(s.limits.Window-s.table.n, 0)
}

// InFlight is how many messages are in flight.
func (s *Sender) InFlight() int { return s.table.n }

// Sent notes that a message goes out now, at QoS 1 or 2. Its id must be above those in flight, and there must be Room; else it is not noted, and Sent reports false.
// Whether it goes out with DUP is for its owner to know: what may have been sent before does, such as all that a gateway finds in its store when it starts.
func (s *Sender) Sent(id uint64, qos uint8, now time.Time) bool {
	if s.Room() == 0 || !s.follows(id) || qos != 1 && qos != 2 {
		return false
	}
	s.add(flight{id: id, qos: qos, phase: sent}, now)
	return true
}

// Release notes that the PUBREL of a message goes out now: of one in flight whose PUBREC has come, or of one that is not in flight, since the store alone still knows
// that it was received; there Sent's conditions hold. It reports false where neither is so: the message is not to be released.
func (s *Sender) Release(id uint64, now time.Time) bool {
	if f := s.table.find(id); f != nil {
		if f.phase != received {
			return false
		}
		f.phase, f.repeats = released, 0
		s.wait(f, now)
		return true
	}
	if s.Room() == 0 || !s.follows(id) {
		return false
	}
	s.add(flight{id: id, qos: 2, phase: released}, now)
	return true
}

func (s *Sender) follows(id uint64) bool { return uint32(id) != 0 && id > s.table.highest() }

func (s *Sender) add(f flight, now time.Time) {
	s.last = max(s.last, f.id)
	s.wait(&f, now)
	s.table.add(f)
}

// Ack says what a PUBACK, PUBREC or PUBCOMP means, by its command and its id of the wire. full is the id wherever the outcome is not Forged.
func (s *Sender) Ack(cmd uint8, id uint32) (full uint64, o Outcome) {
	full, above, ok := Expand(s.last, id)
	if !ok || above {
		return 0, Forged
	}
	f := s.table.find(full)
	if f == nil {
		return full, Late
	}
	switch {
	case cmd == wire.CmdPubAck && f.qos == 1,
		cmd == wire.CmdPubComp && f.phase == released:
		s.remove(f)
		return full, Done
	case cmd == wire.CmdPubRec && f.qos == 2:
		if f.phase != sent {
			return full, Late
		}
		f.phase = received
		s.settle(f)
		return full, Release
	}
	return 0, Forged
}

// Drop takes a message out of flight that has expired, or that its owner gives up. It reports false if it is not in flight.
func (s *Sender) Drop(id uint64) bool {
	f := s.table.find(id)
	if f == nil {
		return false
	}
	s.remove(f)
	return true
}

func (s *Sender) remove(f *flight) {
	s.settle(f)
	s.table.remove(f)
	s.at = 0
	if s.table.n == 0 {
		s.next = time.Time{}
	}
}

// Trim gives back the memory of a Sender of which nothing is in flight. It is worth a call for a session that has fallen silent.
func (s *Sender) Trim() {
	if s.table.n == 0 {
		s.table = table{}
	}
}
