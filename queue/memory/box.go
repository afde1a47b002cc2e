package memory

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// box is the messages of one session in one direction.
type box struct {
	last, seen   uint64
	bytes        int64
	soonest      int64    // no message expires before this, in ms; 0: none ever does
	live, failed []stored // by id
}

// stored is a message, at half the size.
type stored struct {
	id                      uint64
	created, expires        int64 // ms since 1970; expires 0: never
	payload                 []byte
	cmd, flag, qos, retries uint8
	state                   queue.State
}

func (m *stored) size() int64 { return int64(len(m.payload)) + 64 }

func (m *stored) message() queue.Message {
	out := queue.Message{
		ID: m.id, Cmd: m.cmd, Flag: m.flag, QoS: m.qos, State: m.state, Retries: m.retries,
		Created: time.UnixMilli(m.created), Payload: m.payload,
	}
	if m.expires != 0 {
		out.Expires = time.UnixMilli(m.expires)
	}
	return out
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func (x *box) messages() int { return len(x.live) + len(x.failed) }

func (x *box) empty() bool { return x.messages() == 0 }

// release gives the memory of an empty box back.
func (x *box) release() { x.live, x.failed, x.soonest = nil, nil, 0 }

func (x *box) info() queue.Info {
	i := queue.Info{Last: x.last, Seen: x.seen, Messages: x.messages(), Failed: len(x.failed), Bytes: x.bytes}
	if len(x.live) > 0 {
		i.Oldest = time.UnixMilli(x.live[0].created)
	}
	return i
}

func (x *box) expiresAt(ms int64) {
	if ms != 0 && (x.soonest == 0 || ms < x.soonest) {
		x.soonest = ms
	}
}

// take takes a message out of the box, whatever its state.
func (x *box) take(id uint64) (stored, bool) {
	if m, ok := x.takeLive(id); ok {
		return m, true
	}
	return x.takeFailed(id)
}

func (x *box) takeLive(id uint64) (m stored, ok bool) {
	x.live, m, ok = takeFrom(x.live, id)
	return m, ok
}

func (x *box) takeFailed(id uint64) (m stored, ok bool) {
	x.failed, m, ok = takeFrom(x.failed, id)
	return m, ok
}

// takeOldest takes what makes room for others, out of a box that is not empty: a failed message, or else the oldest.
func (x *box) takeOldest() stored {
	if len(x.failed) > 0 {
		m, _ := x.takeFailed(x.failed[0].id)
		return m
	}
	m, _ := x.takeLive(x.live[0].id)
	return m
}

// find returns where the first message is whose id is not below id, and whether it is the one.
func find(list []stored, id uint64) (int, bool) {
	return slices.BinarySearchFunc(list, id, func(m stored, id uint64) int { return cmp.Compare(m.id, id) })
}

// above returns where the first message is whose id is above id.
func above(list []stored, id uint64) int {
	i, found := find(list, id)
	if found {
		i++
	}
	return i
}

// takeFrom takes a message out. What is acknowledged is mostly among the oldest: so those before it make way, and not those behind.
func takeFrom(list []stored, id uint64) ([]stored, stored, bool) {
	i, ok := find(list, id)
	if !ok {
		return list, stored{}, false
	}
	m := list[i]
	if i < len(list)/2 {
		copy(list[1:i+1], list[:i])
		list[0] = stored{}
		return list[1:], m, true
	}
	return slices.Delete(list, i, i+1), m, true
}

// insert puts a message where its id belongs.
func insert(list []stored, m stored) []stored {
	i, _ := find(list, m.id)
	return slices.Insert(list, i, m)
}
