package upstream

import "math/rand/v2"

// useable are the links of one backend that requests may be sent over.
type useable struct {
	b     *backend
	links []*shared
}

// inflight is the number of requests that the backend has not answered.
func (u useable) inflight() (n int64) {
	for _, s := range u.links {
		n += s.inflight.Load()
	}
	return n
}

// least returns the link with the fewest requests in flight, if it has room for so many more; nil: none has.
func (u useable) least(asks int) (best *shared) {
	var fewest int64
	for _, s := range u.links {
		if n := s.inflight.Load(); (best == nil || n < fewest) && s.hasRoom(n, asks) {
			best, fewest = s, n
		}
	}
	return best
}

// choosers choose the link for a run of requests: first the backend, as the policy says, among those with a link that has room; then the least loaded of its
// links. nil: no link has room. turn counts the choices made.
var choosers = map[Policy]func(of []useable, asks int, turn uint64) *shared{
	First:      func(of []useable, asks int, _ uint64) *shared { return inOrder(of, asks, 0) },
	RoundRobin: func(of []useable, asks int, turn uint64) *shared { return inOrder(of, asks, int(turn%uint64(len(of)))) },
	LeastConn: func(of []useable, asks int, turn uint64) (best *shared) {
		var fewest int64
		for i := range of { // among equals each in turn
			u := of[(i+int(turn%uint64(len(of))))%len(of)]
			if n := u.inflight(); best == nil || n < fewest {
				if s := u.least(asks); s != nil {
					best, fewest = s, n
				}
			}
		}
		return best
	},
	Random: func(of []useable, asks int, _ uint64) *shared {
		i, j := rand.IntN(len(of)), rand.IntN(len(of))
		if of[j].inflight() < of[i].inflight() {
			i = j
		}
		return inOrder(of, asks, i)
	},
}

// inOrder returns the least loaded link of the first backend with room, beginning with the one at the place given.
func inOrder(of []useable, asks, from int) *shared {
	for i := range of {
		if s := of[(from+i)%len(of)].least(asks); s != nil {
			return s
		}
	}
	return nil
}
