package gateway

import "sync"

// hellosAtOnce is how many HELLOs of a handler are being answered at a time: each waits for the store, and perhaps for an authenticator. When a fleet comes back at once
// the others wait in line, which costs them next to nothing.
const hellosAtOnce = 256

// line has work done by so many goroutines at the most, first come, first served.
type line struct {
	mu      sync.Mutex // guards all below
	working int
	waiting []func()
}

// do has f called soon, by another goroutine. It does not wait.
func (l *line) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.working >= hellosAtOnce {
		l.waiting = append(l.waiting, f)
		return
	}
	l.working++
	go l.work(f)
}

func (l *line) work(f func()) {
	for f != nil {
		f()
		f = l.next()
	}
}

func (l *line) next() (f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		l.working--
		l.waiting = nil // a storm leaves nothing behind
		return nil
	}
	f, l.waiting[0] = l.waiting[0], nil
	l.waiting = l.waiting[1:]
	return f
}

// Answer has f called soon, by a goroutine that may wait for stores and authenticators: it answers one HELLO.
func (s *Sessions) Answer(f func()) { s.hellos.do(f) }
