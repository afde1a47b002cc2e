package upstream

// Settled implements Lease.
func (l *session) Settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) == 0 && l.quiet()
}

// quiet says whether nothing that went to a link is unanswered, and no answer is on its way to the peer. The order of the two matters: see deliver.
func (l *session) quiet() bool { return l.asked.Load() == 0 && l.delivering.Load() == 0 }

// Withdraw implements Lease.
func (l *session) Withdraw() (held []byte, ok bool) {
	l.mu.Lock()
	switch {
	case l.ended.Load():
		l.mu.Unlock()
		return nil, true
	case !l.quiet():
		l.mu.Unlock()
		return nil, false
	}
	held = l.held
	l.finishLocked()
	return held, true
}

// Settled implements Lease.
func (l *pooled) Settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs) == 0 && l.quiet()
}

func (l *pooled) quiet() bool { return l.asked.Load() == 0 && l.delivering.Load() == 0 }

// Withdraw implements Lease.
func (l *pooled) Withdraw() (held []byte, ok bool) {
	l.mu.Lock()
	switch {
	case l.ended.Load():
		l.mu.Unlock()
		return nil, true
	case !l.quiet():
		l.mu.Unlock()
		return nil, false
	}
	held = l.held
	l.finishLocked()
	return held, true
}
