// Package queue keeps messages until they are delivered.
//
// A [Box] holds the messages of one session in one direction, in the order of their ids. Its owner alone changes it, by batches: a [Store] carries out the batches of a
// box in the order in which they were given, and tells of each when it is safe. What is kept where is the store's affair:
//
//	queue.go   boxes, messages, batches, and the contract of a Store
//	memory/    a store that forgets with its process
//	sqlite/    a file, which outlives the process and the power
//	redis/     a Redis, which several gateways share
//	queuetest/ what every store must do, as tests
package queue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"time"
)

// SessionID says whose messages they are.
type SessionID [16]byte

// Direction is the way of a message.
type Direction uint8

const (
	Up   Direction = iota // from the client to the backend
	Down                  // from the backend to the client
)

// Box names the messages of one session in one direction.
type Box struct {
	Session   SessionID
	Direction Direction
}

// Ordered says whether all that the changes put has ids that ascend, above last and below 2^63.
func Ordered(ops []Op, last uint64) bool {
	for i := range ops {
		var id uint64
		switch ops[i].Kind {
		case Put:
			id = ops[i].Message.ID
		case Requeue:
			id = ops[i].N
		default:
			continue
		}
		if id <= last || id > math.MaxInt64 {
			return false
		}
		last = id
	}
	return true
}

// State says what is known of a stored message.
type State uint8

const (
	Queued       State = iota // to be delivered; perhaps it was, and nothing has come back
	Acknowledged              // at QoS 2: received (PUBREC), and to be released. Its payload is gone
	Failed                    // given up after the last repeat; it is kept for an operator until it expires, and delivered no more
)

// Message is one stored frame. Ids are 64 bits wide, of which the wire carries the lower 32: so they never come round, and their order is that of numbers.
type Message struct {
	ID      uint64
	Cmd     uint8
	Flag    uint8 // as the application set it: without QoS, DUP, ID and CRC
	QoS     uint8
	State   State
	Retries uint8     // how often it had been repeated when it failed
	Created time.Time // to the millisecond
	Expires time.Time // to the millisecond; zero: never
	Payload []byte    // the application's own: without id and CRC
}

// Size is what a message counts against bounds in bytes: its payload, and 64 bytes for the rest.
func (m *Message) Size() int { return len(m.Payload) + 64 }

// Kind is what an [Op] does.
type Kind uint8

const (
	// Put stores Op.Message, as Queued. Its id must be above that of every message ever put there, and below 2^63: else the batch fails with ErrOrder.
	Put Kind = iota
	// Remove forgets the message Op.ID, whatever its state. One that is not there is no error, here and below.
	Remove
	// RemoveThrough forgets all messages up to Op.ID, but those that have failed.
	RemoveThrough
	// Acknowledge makes the message Op.ID Acknowledged, and forgets its payload.
	Acknowledge
	// Fail makes the message Op.ID Failed, after Op.N repeats. One that is Acknowledged is removed instead: it was received, and has nothing left to be delivered again.
	Fail
	// Requeue has the failed message Op.ID delivered again: it is put anew, as Queued, under the id Op.N, which must be above all others, as with Put. No bound hinders it.
	Requeue
	// Seen notes that the source of the box has sent ids up to Op.N: see Info.Seen.
	Seen
)

// Op is one change of a box.
type Op struct {
	Kind    Kind
	ID      uint64
	N       uint64
	Message *Message // of Put. It must not be changed any more; the store may keep it, payload and all, for as long as it likes
}

// Batch is changes of one box that are carried out together, in order, all or none; but for what the bounds refuse.
type Batch struct {
	Box Box
	// Fence is the number under which the owner has opened the box. Where the box's own is another, as someone has opened it since, or it was forgotten, or never opened,
	// the batch fails with ErrFenced.
	Fence uint64
	Ops   []Op
	// Done is called once, when the changes are safe: committed, where the store is durable. It is called by a goroutine of the store, for the batches of a box one after
	// the other, in their order; never by Do. It must not block, and may call Do. nil: nobody is told.
	Done func(Result)
}

// Result is what became of a [Batch].
type Result struct {
	// Err is why nothing of the batch was done. nil: it was.
	Err error
	// Stored is how many of the batch's Puts were taken, from the first on. The others were refused: the bounds allow no more, and the policy is Reject. Once one is
	// refused, so are all Puts after it in the batch, that order may be kept, and Info.Last knows nothing of them; nor is a Seen after it noted, as it may speak of them.
	Stored int
	// Dropped are the messages that the bounds have cost, of this batch or older, where the policy is another.
	Dropped []uint64
	// Box is the state of the box after the batch.
	Box Info
}

// Info is the state of a box.
type Info struct {
	Last     uint64    // the highest id ever put there; 0: none was
	Seen     uint64    // the highest of Seen; 0: there was none
	Messages int       // that are there, failed ones too
	Failed   int       // of these
	Bytes    int64     // the sum of their sizes
	Oldest   time.Time // when the oldest that has not failed was created; zero: there is none
}

// Overflow is what a store does with a message for which its bounds have no room.
type Overflow string

const (
	Reject     Overflow = "reject"      // it is refused, and its sender told
	DropOldest Overflow = "drop_oldest" // the oldest of the box make room; failed ones first. Where that does not suffice, it is taken, and dropped, and nothing else is
	DropNewest Overflow = "drop_newest" // it is taken, and dropped
)

// Bounds are how much a store keeps. Where a bound is on all boxes together, drop_oldest drops of the box at hand.
type Bounds struct {
	Messages int      // in each box. 0: 1000
	Bytes    int64    // in each box. 0: 1 MiB
	Total    int64    // bytes, in all boxes together. 0: 1 GiB
	Overflow Overflow // "": reject
}

// WithDefaults returns the bounds with the defaults for what is 0, or less.
func (b Bounds) WithDefaults() Bounds {
	if b.Messages <= 0 {
		b.Messages = 1000
	}
	if b.Bytes <= 0 {
		b.Bytes = 1 << 20
	}
	if b.Total <= 0 {
		b.Total = 1 << 30
	}
	if b.Overflow == "" {
		b.Overflow = Reject
	}
	return b
}

// Filter says which messages List returns.
type Filter struct {
	Session   *SessionID // nil: of all
	Direction *Direction // nil: of both
	State     *State     // nil: in all
	After     *Place     // those behind this one; nil: from the first on
	Limit     int        // the most that are returned. 0: 1000
}

// Place is where in the order of List a message is, or was.
type Place struct {
	Box Box
	ID  uint64
}

// Compare says which of two places comes first: by session, up before down, by id.
func (p Place) Compare(q Place) int {
	return cmp.Or(bytes.Compare(p.Box.Session[:], q.Box.Session[:]), cmp.Compare(p.Box.Direction, q.Box.Direction), cmp.Compare(p.ID, q.ID))
}

// Behind says whether the filter's page has messages of a box that come behind an id, and that.
func (f *Filter) Behind(b Box) (id uint64, has bool) {
	switch {
	case f.Session != nil && *f.Session != b.Session, f.Direction != nil && *f.Direction != b.Direction:
		return 0, false
	case f.After == nil:
		return 0, true
	case f.After.Box == b:
		return f.After.ID, true
	}
	return 0, f.After.Compare(Place{Box: b}) < 0
}

// Entry is a message with the box in which it is.
type Entry struct {
	Box     Box
	Message Message
}

// Stat is what a store looks like at one moment. What counts, counts since the store was opened.
type Stat struct {
	Messages int           // stored, in all
	Bytes    int64         // stored, in all, by Message.Size
	Oldest   time.Time     // when the oldest message that has not failed was created, give or take a minute; zero: there is none
	Commits  uint64        // made
	Batches  uint64        // that these held
	Waited   time.Duration // that commits took, in all
	Refused  uint64        // messages, by the policy reject
	Dropped  uint64        // messages, by another
	Expired  uint64        // messages
	Failed   uint64        // batches that ended with an error of the store's own
	Err      error         // the last of these; nil: the store works
}

// Store keeps boxes. Its methods may be called from any goroutine.
//
// A box that holds nothing, and never did, costs nothing. Messages whose time is over are not returned, do not count, and are forgotten within a minute.
type Store interface {
	// Open gives a session's boxes an owner: from now on, batches under another fence fail, those too that wait. A fence that is lower than the box's own is ErrFenced.
	Open(ctx context.Context, s SessionID, fence uint64) (up, down Info, err error)
	// Do carries out a batch. It does not wait, and keeps the batch until Done.
	Do(*Batch)
	// Read returns the messages of a box with ids above after that have not failed and have not expired, oldest first: at least one if there is one, no more than max, nor
	// many more bytes than maxBytes. It sees all batches whose Done was called.
	// The payloads may be the store's own: they must not be changed.
	Read(ctx context.Context, b Box, after uint64, max, maxBytes int) ([]Message, error)
	// Forget removes both boxes of a session, with all that is known of them; but for a tombstone that keeps the fence, where another owner may exist. Batches fail until
	// they are opened again. A fence that is lower than the box's own is ErrFenced.
	Forget(ctx context.Context, s SessionID, fence uint64) error
	// Backlog calls f for each session that has messages in its box of the given direction which have not failed, until f returns false.
	Backlog(ctx context.Context, d Direction, f func(SessionID, Info) bool) error
	// List returns messages, in the order of Place.Compare: the first that the filter is for. Who goes on behind the last sees each that is there all the time, once.
	List(ctx context.Context, f Filter) ([]Entry, error)
	Stat() Stat
	// Close carries out what was given to Do, and ends the store: from then on, all of this fails with ErrClosed. Done must not call it.
	Close() error
}

// Knower is a Store that knows a session until it is told to forget it, also one that has ended while nobody looked. Who has it for himself asks what it knows from time to
// time, and has it forget. Others forget by themselves.
type Knower interface {
	// Known calls f for each session of which the store knows something, until f returns false. f may use the store.
	Known(f func(id SessionID, up, down Info) bool) error
}

var (
	// ErrFenced: the box has another owner, who came later.
	ErrFenced = errors.New("the messages have another owner")
	// ErrOrder: a message was put whose id is not above the others'.
	ErrOrder = errors.New("the id of a message is not above those before it")
	// ErrClosed: the store has ended.
	ErrClosed = errors.New("queue store closed")
)
