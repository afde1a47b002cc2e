package qos

import (
	"cmp"
	"slices"
	"time"
)

// phase is how far a message in flight has got.
type phase uint8

const (
	over     phase = iota // it is not in flight any more; its place is still taken
	sent                  // PUBACK or PUBREC is awaited
	received              // PUBREC has come; the owner notes that before it says Release
	released              // PUBREL has gone out, PUBCOMP is awaited
)

// flight is a message in flight.
type flight struct {
	id      uint64
	due     time.Time // when it is to be repeated; zero: it is not
	qos     uint8
	phase   phase
	repeats uint8
	again   bool // it was sent on a connection that is no more, and waits for its turn on the new one
}

// table is the messages in flight, in the order of their ids. Acknowledgements come in this order but of a hostile peer: so the first is taken out at once, and any other
// leaves its place empty until the first goes, or half of the places are empty. Thus each costs the same, and the table is never longer than twice what it holds.
type table struct {
	places []flight
	first  int // the first place that is in use; those before it are free
	n      int // how many messages are in flight
}

// used is the places in use, empty ones among them.
func (t *table) used() []flight { return t.places[t.first:] }

// add appends a message, whose id is above all others.
func (t *table) add(f flight) {
	if t.first > 0 && len(t.places) == cap(t.places) {
		t.compact()
	}
	t.places = append(t.places, f)
	t.n++
}

// highest is the id of the last message; 0: there is none.
func (t *table) highest() uint64 {
	if used := t.used(); len(used) > 0 {
		return used[len(used)-1].id
	}
	return 0
}

// find returns the message with the id; nil: it is not in flight.
func (t *table) find(id uint64) *flight {
	used := t.used()
	i, ok := slices.BinarySearchFunc(used, id, byID)
	if !ok || used[i].phase == over {
		return nil
	}
	return &used[i]
}

func byID(f flight, id uint64) int { return cmp.Compare(f.id, id) }

// remove takes out a message of find's. No other of find's is good any more.
func (t *table) remove(f *flight) {
	f.phase = over
	t.n--
	for t.first < len(t.places) && t.places[t.first].phase == over {
		t.first++
	}
	switch {
	case t.n == 0:
		t.places, t.first = t.places[:0], 0
	case len(t.used()) > 2*t.n:
		t.compact()
	}
}

// compact closes all gaps.
func (t *table) compact() {
	kept := t.places[:0]
	for _, f := range t.used() {
		if f.phase != over {
			kept = append(kept, f)
		}
	}
	t.places, t.first = kept, 0
}
