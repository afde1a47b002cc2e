package delivery

import (
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// hold is a session's lease of the group of backends, and that lease's upstream.LinkPeer: so that what an old lease still tells is known for that. The session's lock guards it.
type hold struct {
	s       *Session
	lease   upstream.Lease
	release func() // nil: it has not come back from Config.Lease
	backend string
	linked  bool
}

// ask is a request of the client that the backend has.
type ask struct {
	id     uint32 // of the wire; 0: it has none
	stored uint64 // the id of the message that it is; 0: it is of QoS 0
	dead   bool   // its client's connection has ended, and nobody waits for the answer
}

// maxAsks is how many requests of a client may be unanswered.
const maxAsks = 4096

// linked says whether there is a link. s.mu is held.
func (s *Session) linked() bool { return s.hold != nil && s.hold.linked }

// ready says whether messages may be sent over it.
func (s *Session) ready() bool { return s.linked() && (s.hop == nil || s.hop.welcome) }

// wantsLease says whether the session has somebody to send to or to hear from.
func (s *Session) wantsLease() bool {
	return !s.closing && (s.cl != nil || s.parkAt != 0 || s.up.info.Messages > s.up.info.Failed)
}

// seekLease takes a lease where there is need of one.
func (s *Session) seekLease(now moment) {
	if s.hold != nil || !s.wantsLease() || s.peekRare().leaseAt > now || s.frozen {
		return
	}
	h := &hold{s: s}
	s.hold = h
	from := s.from()
	s.v.leases.do(func() {
		lease, release, err := s.v.cfg.Lease(h, from)
		s.mu.Lock()
		defer s.unlock()
		switch {
		case err != nil:
			if s.hold == h {
				s.hold = nil
				s.restLease()
				s.v.warn("no lease of the backends for a session", "client", s.client, "error", err)
			}
		case s.hold != h: // given up, or ended, meanwhile
			s.v.leases.do(func() { lease.Close(); release() })
		default:
			h.lease, h.release = lease, release
			lease.Resume() // for a Drained that did not find it
		}
	})
}

// restLease has the next lease wait, longer each time.
func (s *Session) restLease() {
	r := s.needRare()
	r.leaseWait = pause(r.leaseWait)
	r.leaseAt = s.v.now() + moment(r.leaseWait)
}

// pause is how long to wait after a failure, given how long that was the last time.
func pause(last time.Duration) time.Duration {
	const first, most = 100 * time.Millisecond, 10 * time.Second
	if last == 0 {
		return first
	}
	return min(last*2, most)
}

// giveLease gives the lease back, if there is one. s.mu is held.
func (s *Session) giveLease() {
	h := s.hold
	if h == nil {
		return
	}
	s.unlink()
	s.hold = nil
	if lease, release := h.lease, h.release; release != nil {
		s.v.leases.do(func() { lease.Close(); release() })
	}
}

// dropLease gives a lease back whose backend does what it must not. Another is taken after a while.
func (s *Session) dropLease(why string, wait time.Duration) {
	s.v.warn("a session leaves its backend", "client", s.client, "backend", s.hold.backend, "reason", why)
	s.giveLease()
	s.restLease()
	s.needRare().leaseAt += moment(wait)
}

// Linked implements upstream.LinkPeer.
func (h *hold) Linked(lease upstream.Lease, backend string) {
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	if s.hold != h || s.gone {
		return
	}
	h.lease, h.backend, h.linked = lease, backend, true
	s.linkFull, s.backendHeld = false, false
	if r := s.rare; r != nil {
		r.leaseWait, r.leaseAt = 0, 0
	}
	if s.v.set().Extended {
		s.greet()
		return
	}
	s.hop = nil
	s.up.window, s.up.relay = 0, nil
	s.passLoose()
}

// Unlinked implements upstream.LinkPeer.
func (h *hold) Unlinked(error) {
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	if s.hold == h {
		s.unlink()
	}
}

// Lost implements upstream.Peer: the group of backends has ended, and perhaps there is another.
func (h *hold) Lost(cause error) {
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	if s.hold != h {
		return
	}
	if !errors.Is(cause, upstream.ErrGroupClosed) {
		s.v.warn("lease of a session lost", "client", s.client, "error", cause)
	}
	s.giveLease()
	s.restLease()
}

// Room implements upstream.Peer.
func (h *hold) Room() {
	s := h.s
	s.mu.Lock()
	defer s.unlock()
	if s.hold == h {
		s.linkFull = false
		if s.ready() {
			s.passLoose()
		}
	}
}

// unlink notes that the link is gone. What was sent and not proved is to be sent again; requests without an answer get none any more, but those that are. s.mu is held.
func (s *Session) unlink() {
	if s.hold == nil || !s.hold.linked {
		return
	}
	s.hold.linked, s.hold.backend = false, ""
	s.linkFull, s.backendHeld = false, false
	s.answered()
	giveBack(&s.toLink)
	if s.proof != nil {
		s.proof = nil
		s.up.restart(s.proved)
	}
	nameless := false
	for _, a := range s.asks {
		if a.stored > s.proved || a.dead {
			continue
		}
		s.v.count.lost.Add(1)
		switch {
		case a.id == 0:
			nameless = true
		case s.cl != nil:
			out(&s.toClient).fault(wire.ErrorFrame{Code: wire.ErrorLost, ID: a.id, Text: "the link to the backend was lost before its answer"})
		}
	}
	s.asks = nil
	if s.hop != nil {
		s.hop.welcome = false
		s.up.stop()
	}
	if nameless {
		s.endClient(errNameless)
	}
}
