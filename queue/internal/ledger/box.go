package ledger

import (
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// Box is the messages of one session in one direction. Most boxes are empty, most of the time.
type Box[C any] struct {
	Last, Seen uint64 // as in queue.Info
	Row        int64  // under which a store keeps it, if it likes; 0: under none yet
	session    *Session[C]
	*held[C]   // nil: there are none
}

// held is what a box holds.
type held[C any] struct {
	bytes        int64
	soonest      int64 // no message expires before this, in ms; 0: none ever does
	live, failed []Entry[C]
}

// Entry is what is known of a message.
type Entry[C any] struct {
	Content          C
	ID               uint64
	Created, Expires int64  // ms since 1970; Expires 0: never
	Size             uint32 // of the payload
	State            queue.State
	Retries          uint8
}

func (e *Entry[C]) bytes() int64 { return int64(e.Size) + 64 }

// over says whether the message has expired.
func (e *Entry[C]) over(ms int64) bool { return e.Expires != 0 && e.Expires <= ms }

// Of says whose messages they are.
func (x *Box[C]) Of() queue.Box {
	if x == &x.session.up {
		return queue.Box{Session: x.session.id, Direction: queue.Up}
	}
	return queue.Box{Session: x.session.id, Direction: queue.Down}
}

// hold makes room for messages.
func (x *Box[C]) hold() {
	if x.held == nil {
		x.held = new(held[C])
	}
}

// Info returns the state of the box.
func (x *Box[C]) Info() queue.Info {
	i := queue.Info{Last: x.Last, Seen: x.Seen}
	if x.held == nil {
		return i
	}
	i.Messages, i.Failed, i.Bytes = x.messages(), len(x.failed), x.bytes
	if len(x.live) > 0 {
		i.Oldest = time.UnixMilli(x.live[0].Created)
	}
	return i
}

// infoAt returns the state of the box without what has expired, which may still be there.
func (x *Box[C]) infoAt(ms int64) queue.Info {
	i := x.Info()
	if x.held == nil || x.soonest == 0 || ms < x.soonest {
		return i
	}
	i.Messages, i.Failed, i.Bytes, i.Oldest = 0, 0, 0, time.Time{}
	for _, list := range [][]Entry[C]{x.live, x.failed} {
		for _, e := range list {
			if e.over(ms) {
				continue
			}
			i.Messages++
			i.Bytes += e.bytes()
			if e.State == queue.Failed {
				i.Failed++
			} else if i.Oldest.IsZero() {
				i.Oldest = time.UnixMilli(e.Created)
			}
		}
	}
	return i
}

// After returns the messages with ids above after that have not failed. It is the ledger's own slice.
func (x *Box[C]) After(after uint64) []Entry[C] {
	if x.held == nil {
		return nil
	}
	return x.live[above(x.live, after):]
}

// Failed returns those that have. It is the ledger's own slice.
func (x *Box[C]) Failed() []Entry[C] {
	if x.held == nil {
		return nil
	}
	return x.failed
}

func (x *held[C]) messages() int {
	if x == nil {
		return 0
	}
	return len(x.live) + len(x.failed)
}

func (x *held[C]) expiresAt(ms int64) {
	if ms != 0 && (x.soonest == 0 || ms < x.soonest) {
		x.soonest = ms
	}
}

// take takes a message out of the box, whatever its state.
func (x *held[C]) take(id uint64) (Entry[C], bool) {
	if e, ok := x.takeLive(id); ok {
		return e, true
	}
	return x.takeFailed(id)
}

func (x *held[C]) takeLive(id uint64) (e Entry[C], ok bool) {
	x.live, e, ok = takeFrom(x.live, id)
	return e, ok
}

func (x *held[C]) takeFailed(id uint64) (e Entry[C], ok bool) {
	x.failed, e, ok = takeFrom(x.failed, id)
	return e, ok
}

// takeOldest takes what makes room for others, out of a box that is not empty: a failed message, or else the oldest.
func (x *held[C]) takeOldest() Entry[C] {
	if len(x.failed) > 0 {
		e, _ := x.takeFailed(x.failed[0].ID)
		return e
	}
	e, _ := x.takeLive(x.live[0].ID)
	return e
}

// above returns where the first message is whose id is above id.
func above[C any](list []Entry[C], id uint64) int {
	i, found := slices.BinarySearchFunc(list, id, byID)
	if found {
		i++
	}
	return i
}

// takeFrom takes a message out. What is acknowledged is mostly among the oldest: so those before it make way, and not those behind.
func takeFrom[C any](list []Entry[C], id uint64) ([]Entry[C], Entry[C], bool) {
	i, ok := slices.BinarySearchFunc(list, id, byID)
	if !ok {
		return list, Entry[C]{}, false
	}
	e := list[i]
	if i < len(list)/2 {
		copy(list[1:i+1], list[:i])
		list[0] = Entry[C]{}
		return list[1:], e, true
	}
	return slices.Delete(list, i, i+1), e, true
}

// insert puts a message where its id belongs.
func insert[C any](list []Entry[C], e Entry[C]) []Entry[C] {
	i, _ := slices.BinarySearchFunc(list, e.ID, byID)
	return slices.Insert(list, i, e)
}
