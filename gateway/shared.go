package gateway

import "sync"

// shared are things that are open while somebody uses them: one for each key at a time, also while the one before is still closing.
type shared[K comparable, V any] struct {
	close func(V) error

	mu  sync.Mutex // guards all and refs; taken after an entry's
	all map[K]*sharedEntry[V]
}

type sharedEntry[V any] struct {
	refs int

	mu   sync.Mutex // held while it is opened, and closed
	open bool
	v    V
}

// acquire returns what is open under the key, or opens it; it may wait for both. It counts the caller as a user until release, also where it fails to open.
func (s *shared[K, V]) acquire(key K, open func() (V, error)) (v V, release func() error, err error) {
	s.mu.Lock()
	e := s.all[key]
	if e == nil {
		if s.all == nil {
			s.all = make(map[K]*sharedEntry[V])
		}
		e = new(sharedEntry[V])
		s.all[key] = e
	}
	e.refs++
	s.mu.Unlock()

	e.mu.Lock()
	if !e.open {
		e.v, err = open()
		e.open = err == nil
	}
	v = e.v
	e.mu.Unlock()
	if err != nil {
		_ = s.release(key, e)
		return v, nil, err
	}
	return v, sync.OnceValue(func() error { return s.release(key, e) }), nil
}

// users returns how many have what is open under the key.
func (s *shared[K, V]) users(key K) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.all[key]; e != nil {
		return e.refs
	}
	return 0
}

func (s *shared[K, V]) release(key K, e *sharedEntry[V]) (err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.mu.Lock()
	e.refs--
	last := e.refs == 0
	s.mu.Unlock()
	if !last {
		return nil
	}
	if e.open {
		err = s.close(e.v)
		e.open = false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.refs == 0 { // nobody has come meanwhile, who would open it again
		delete(s.all, key)
	}
	return err
}
