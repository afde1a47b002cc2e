package upstream

import "time"

// asking is a client's run of requests on a shared link.
type asking struct {
	by *pooled
	n  int // answers still to come
	at time.Time
}

// ring is a queue of askings, the oldest first. It grows to what was ever in it at once, which the requests in flight bound.
type ring struct {
	slots []asking // a power of two of them
	head  int      // counts up for ever
	tail  int
}

func (r *ring) len() int { return r.tail - r.head }

func (r *ring) push(a asking) {
	if r.len() == len(r.slots) {
		r.grow()
	}
	r.slots[r.tail&(len(r.slots)-1)] = a
	r.tail++
}

func (r *ring) grow() {
	slots := make([]asking, max(8, 2*len(r.slots)))
	for i := range r.len() {
		slots[i] = *r.at(i)
	}
	r.head, r.tail, r.slots = 0, r.len(), slots
}

// at returns the i-th, counted from the oldest.
func (r *ring) at(i int) *asking { return &r.slots[(r.head+i)&(len(r.slots)-1)] }

// answered takes an answer off the oldest asking and returns whose it is; nil: nobody asks.
func (r *ring) answered() *pooled {
	if r.len() == 0 {
		return nil
	}
	a := r.at(0)
	by := a.by
	if a.n--; a.n == 0 {
		*a = asking{}
		r.head++
	}
	return by
}

// unpush takes back the newest.
func (r *ring) unpush() {
	r.tail--
	r.slots[r.tail&(len(r.slots)-1)] = asking{}
}
