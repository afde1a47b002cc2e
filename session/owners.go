package session

import "sync"

// Owners are those of a store that no other process shares. The zero value is ready to use; its methods may be called from any goroutine.
type Owners struct {
	mu     sync.Mutex
	living map[string]map[*listener]struct{} // by owner
}

// A listener is one call of Taken.
type listener struct {
	tell func(client string, id ID, fence uint64)

	mu      sync.Mutex
	told    sync.Cond
	waiting []taken // at most one for each change of hands, so no more than the sessions that moved since the last call of tell
	ended   bool
}

type taken struct {
	client string
	id     ID
	fence  uint64
}

// Taken is that of [Store].
func (o *Owners) Taken(owner string, f func(client string, id ID, fence uint64)) (stop func()) {
	l := &listener{tell: f}
	l.told.L = &l.mu

	o.mu.Lock()
	if o.living == nil {
		o.living = make(map[string]map[*listener]struct{})
	}
	if o.living[owner] == nil {
		o.living[owner] = make(map[*listener]struct{})
	}
	o.living[owner][l] = struct{}{}
	o.mu.Unlock()

	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run()
	}()
	return func() {
		o.mu.Lock()
		delete(o.living[owner], l)
		if len(o.living[owner]) == 0 {
			delete(o.living, owner)
		}
		o.mu.Unlock()

		l.mu.Lock()
		l.ended = true
		l.told.Signal()
		l.mu.Unlock()
		<-done
	}
}

// Live says whether an owner does.
func (o *Owners) Live(owner string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.living[owner]) > 0
}

// Tell has an owner told that a session has gone to another. It does not wait.
func (o *Owners) Tell(owner, client string, id ID, fence uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for l := range o.living[owner] {
		l.mu.Lock()
		l.waiting = append(l.waiting, taken{client, id, fence})
		l.told.Signal()
		l.mu.Unlock()
	}
}

func (l *listener) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.waiting) == 0 && !l.ended {
			l.told.Wait()
		}
		if l.ended {
			return
		}
		batch := l.waiting
		l.waiting = nil
		l.mu.Unlock()
		for _, t := range batch {
			l.tell(t.client, t.id, t.fence)
		}
		l.mu.Lock()
	}
}
