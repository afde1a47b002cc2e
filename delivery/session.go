package delivery

import (
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/qos"
	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Session is one client's messages in both directions, while a service has it. The connection's goroutine calls Take and Flush; the other methods may be called from any.
//
// Whoever has something to tell it takes its lock, notes that, and gives the lock up with unlock, which does all that follows: sends, stores, reads back, sets the alarm. The
// lock is held while client and lease are written to, so that what goes over a connection is in order; neither may call back before it has returned. It is taken before the
// locks of the alarms, the crew and the stores, and never together with the service's or another session's.
type Session struct {
	v      *Service
	client string
	id     session.ID
	since  int64 // milliseconds since 1970, as seen
	alarm  alarm // guarded by the service's alarms

	mu     sync.Mutex // guards all below
	fence  uint64
	seen   int64 // when its client was last known to be there
	expiry time.Duration
	life

	cl          Client          // nil: it is away
	clientFull  bool            // it does not take more
	clientHeld  bool            // it is not read from
	linkFull    bool            // the backend does not take more
	backendHeld bool            // the backend is not read from
	caps        wire.Capability // the client's own
	window      uint16          // how many messages the client may have in flight
	in          qos.Receiver    // of what the client sends
	asks        []ask           // its requests that the backend has not answered, in order

	hold   *hold     // its lease; nil: it has none
	loose  *outgoing // frames of QoS 0 that wait for a link
	proof  *proof    // what the backend has not proved to have; nil: nothing
	proved uint64    // the highest id that it has
	hop    *hop      // of a backend that speaks the extended protocol; nil: it does not

	up, down         flow
	toClient, toLink *outgoing
}

// life is how a session stands.
type life struct {
	local   bool   // its record is in Config.Local. It does not change, and needs no lock
	stray   bool   // there is no record of it
	orphan  bool   // no client can come back to it: it lives as long as it has something to deliver
	ending  bool   // its record is to end when it leaves
	gone    bool   // it has left: whoever has found it looks for another
	lost    bool   // it has left with changes that are not stored
	removes bool   // it has left, and the service is to forget it when the lock is given up
	frozen  bool   // it is changing hands: nothing is stored meanwhile
	broken  bool   // the store has failed, and is to be asked what it knows
	shy     bool   // its client has not shown yet that it has its token
	heard   bool   // a frame has come over the client's connection
	closing bool   // the service ends
	turn    uint32 // which HELLO it was given to last

	parkAt  moment // when the link of a client that is away is given up
	touchAt moment // when the record is told that the client is there
	rare    *rare  // nil: there is nothing of the kind
}

// ID names the session.
func (s *Session) ID() session.ID { return s.id }

func (s *Session) flow(d queue.Direction) *flow {
	if d == queue.Up {
		return &s.up
	}
	return &s.down
}

// unlock gives up the lock, when all has been done that follows from what was noted.
func (s *Session) unlock() {
	if !s.gone {
		s.step()
	}
	removes := s.removes
	s.removes = false
	s.mu.Unlock()
	if removes {
		s.v.remove(s)
	}
}

// step sends what can be sent, stores what is to be stored, and reads back what is short.
func (s *Session) step() {
	now := s.v.now()
	if !s.wantsLease() {
		s.giveLease()
	}
	s.seekLease(now)
	if s.cl != nil && !s.clientFull && s.down.window > 0 {
		s.forward(queue.Down, out(&s.toClient), s.caps&wire.CapCRC != 0)
	}
	s.sendUp()
	s.flush()
	s.commit(queue.Up)
	s.commit(queue.Down)
	s.readBack(queue.Up, now)
	s.readBack(queue.Down, now)
	s.resume()
	s.calm()
	if s.spent(now) {
		s.leave()
		return
	}
	s.dropRare()
	s.v.alarms.set(s, s.next())
}

// calm tells those who wait for it that the stores have what they are to have.
func (s *Session) calm() {
	if !s.up.quiet() || !s.down.quiet() {
		return
	}
	all := s.up.next == nil && s.up.busy == nil && s.down.busy == nil && (s.down.next == nil || s.peekRare().refusedAt != 0)
	if s.rare == nil {
		return
	}
	if all || s.frozen || s.closing && s.broken {
		release(&s.rare.quiet)
	}
	if all {
		release(&s.rare.altered)
	}
}

// flush writes what was gathered for the client and for the backend.
func (s *Session) flush() {
	if o := s.toClient; o != nil {
		if s.cl != nil && o.n > 0 && s.cl.Write(o.b, o.n) {
			s.clientFull = true
		}
		giveBack(&s.toClient)
	}
	if o := s.toLink; o != nil {
		if s.linked() && o.n > 0 && s.hold.lease.Send(o.b, o.n, o.asks) {
			s.linkFull = true
		}
		giveBack(&s.toLink)
	}
}

// resume reads on from whom it was not read, where that has become possible.
func (s *Session) resume() {
	if s.clientHeld && !s.holdsClient() {
		s.clientHeld = false
		if s.cl != nil {
			s.cl.Resume()
		}
	}
	if s.backendHeld && !s.holdsBackend() {
		s.backendHeld = false
		if s.linked() {
			s.hold.lease.Resume()
		}
	}
}

// What is not stored yet, or not sent, of one side, in bytes, before it is not read from.
const maxPending = 128 << 10

// holdsClient says whether the client is not to be read from. While the backend is not read from either it is: its acknowledgements may be what all else waits for; and what
// it sends beyond the bounds is refused.
func (s *Session) holdsClient() bool {
	if s.backendHeld {
		return false
	}
	set := s.v.set()
	_, bytes := s.up.pending()
	return bytes > maxPending ||
		set.Bounds.Overflow == queue.Reject && s.up.filled(set.Bounds, backpressureAt) ||
		s.loose != nil && s.linkFull
}

// holdsBackend says whether the backend is not to be read from.
func (s *Session) holdsBackend() bool {
	set := s.v.set()
	_, bytes := s.down.pending()
	return bytes > maxPending || s.clientFull && s.cl != nil ||
		set.Bounds.Overflow == queue.Reject && s.down.filled(set.Bounds, backpressureAt)
}

// backpressureAt is the share of a box's bounds at which who fills it is not read from.
const backpressureAt = 0.75

// next is the moment at which something is to be done that nobody tells of.
func (s *Session) next() moment {
	at := earlier(s.parkAt, s.touchAt)
	if r := s.rare; r != nil {
		at = earlier(at, earlier(r.mendAt, r.helloAt))
		at = earlier(at, earlier(r.refusedAt, r.readAt))
		if s.hold == nil && s.wantsLease() {
			at = earlier(at, r.leaseAt)
		}
	}
	if s.cl != nil && !s.clientFull {
		at = earlier(at, s.v.moment(s.down.deadline()))
	}
	if s.linked() && !s.linkFull {
		at = earlier(at, s.v.moment(s.up.deadline()))
	}
	return at
}

// wake is called at the moment that next said, or before.
func (s *Session) wake() {
	s.mu.Lock()
	defer s.unlock()
	if s.gone {
		return
	}
	now := s.v.now()
	if s.parkAt.over(now) {
		s.parkAt = 0
		s.unpark()
	}
	if s.touchAt.over(now) {
		s.touchAt = 0
		s.touch()
	}
	r := s.rare
	if r == nil {
		return
	}
	if r.mendAt.over(now) {
		s.mend()
	}
	if r.refusedAt.over(now) {
		r.refusedAt = 0
	}
	if r.readAt.over(now) {
		r.readAt = 0
	}
	if r.helloAt.over(now) {
		r.helloAt = 0
		s.dropLease("the backend has not answered HELLO", 0)
	}
}
