package upstream

// useable are the links of one backend that requests may be sent over.
type useable struct {
	b     *backend
	stand standing
	links []*shared
}

// pool is what requests may be sent over. It is never changed in place.
type pool struct {
	of   []useable // of backends that have any link, in the order of the configuration
	rota rota

	backups bool // they are backups', so BackupRate holds
}

func newPool(of []useable, backups bool) *pool {
	shares := make([]int, len(of))
	for i := range of {
		shares[i] = of[i].stand.share
	}
	return &pool{of, newRota(shares), backups}
}

// pick returns the link for a run of requests: of the backend that the policy chooses, the one with the fewest in flight. nil: no link has room.
func (p *pool) pick(policy Policy, c choice) *shared {
	c.rota = p.rota
	if i := choose(policy, p.of, c); i >= 0 {
		return p.of[i].least(c.asks)
	}
	return nil
}

// load is the number of requests that the backend has not answered.
func (u useable) load() (n int64) {
	for _, s := range u.links {
		n += s.inflight.Load()
	}
	return n
}

func (u useable) room(asks int) bool { return u.least(asks) != nil }

func (u useable) standing() standing { return u.stand }

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
