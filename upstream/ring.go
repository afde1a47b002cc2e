package upstream

// ring is a queue of askings, the oldest first. It grows to what was ever in it at once, which the requests in flight bound.
type ring struct {
	slots      []asking // a power of two of them
	head, tail int      // count up for ever
}

func (r *ring) len() int { return r.tail - r.head }

// at returns the i-th, counted from the oldest.
func (r *ring) at(i int) *asking { return &r.slots[(r.head+i)&(len(r.slots)-1)] }

func (r *ring) push(a asking) {
	if r.len() == len(r.slots) {
		r.grow()
	}
	r.tail++
	*r.at(r.len() - 1) = a
}

func (r *ring) grow() {
	slots := make([]asking, max(8, 2*len(r.slots)))
	for i := range r.len() {
		slots[i] = *r.at(i)
	}
	r.head, r.tail, r.slots = 0, r.len(), slots
}

// shift takes the oldest away.
func (r *ring) shift() {
	*r.at(0) = asking{}
	r.head++
}

// unpush takes the newest away.
func (r *ring) unpush() {
	*r.at(r.len() - 1) = asking{}
	r.tail--
}
