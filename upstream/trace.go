package upstream

import "time"

// Exchange is a request over a shared link, and what became of it.
type Exchange struct {
	Backend string // as in the configuration
	Client  Client // who asked
	Cmd     uint32 // of the answer
	Began   time.Time
	Ended   time.Time
	Err     error // why there is no answer and never will be; nil: it came
}

// traceAnswer tells of a request that was answered.
func (s *shared) traceAnswer(by *pooled, cmd uint32, at time.Time) {
	if trace := s.g.cfg.Trace; trace != nil {
		trace(Exchange{Backend: s.b.name, Client: by.client, Cmd: cmd, Began: at, Ended: s.read})
	}
}

// traceOrphans tells of the requests that the link has not answered when it has ended. Each has been told of once, then, whatever became of it.
func (s *shared) traceOrphans(all []asking, err error) {
	now := time.Now()
	for _, a := range all {
		for range a.n {
			s.g.cfg.Trace(Exchange{Backend: s.b.name, Client: a.by.client, Began: a.at, Ended: now, Err: err})
		}
	}
}
