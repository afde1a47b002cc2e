package delivery

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// capabilities are those that are granted.
const capabilities = wire.CapQoS | wire.CapCRC | wire.CapResume | wire.CapPong

// Hello gives a client its session, or a new one; it talks to the stores, so it takes a while, and is called by a goroutine of its own. An old connection of the client ends.
// The error is a *Refusal. The caller must call Session.Attach, within 10 seconds, unless the connection ends before.
func (v *Service) Hello(ctx context.Context, h Hello) (*Session, *Welcome, error) {
	if len(h.Client) == 0 || len(h.Client) > math.MaxUint8 {
		return nil, nil, &Refusal{Code: wire.ErrorMalformed, Text: "a client id has 1 to 255 bytes"}
	}
	done, err := v.turn(ctx, h.Client)
	if err != nil {
		return nil, nil, v.unavailable(ctx, &h, err)
	}
	defer done()
	s, next, err := v.resumed(ctx, &h)
	resumed := s != nil
	if s == nil && err == nil {
		next = session.NewToken()
		s, err = v.begun(ctx, &h, next)
	}
	if err != nil {
		return nil, nil, err
	}
	w, err := v.welcome(ctx, s, &h, next, resumed)
	if err != nil {
		return nil, nil, err
	}
	outcome := map[bool]string{false: "new", true: "resumed"}[resumed]
	v.came(ctx, &h, outcome, "session", name(s.id), "fence", w.fence, "next", next.Hash().Mark())
	return s, w, nil
}

// unavailable is the refusal where a store could not be asked.
func (v *Service) unavailable(ctx context.Context, h *Hello, err error) *Refusal {
	v.came(ctx, h, "store", "error", err)
	return &Refusal{Code: wire.ErrorStore, Text: "sessions can't be had now; come back", Err: err}
}

// resumed returns the session whose token the client shows, and its next token; nil: it is to have a new one.
func (v *Service) resumed(ctx context.Context, h *Hello) (_ *Session, next session.Token, _ error) {
	if len(h.Token) == 0 {
		return nil, next, nil
	}
	var token session.Token
	if len(h.Token) != len(token) {
		v.came(ctx, h, "token")
		return nil, next, nil
	}
	copy(token[:], h.Token)
	if v.elsewhere(ctx, h.Client) {
		v.came(ctx, h, "unknown")
		return nil, next, nil
	}
	claim := session.Claim{Client: h.Client, Token: token, Certificate: h.Certificate, Owner: v.owner, Salt: session.NewSalt()}
	where := shared
	rec, err := v.cfg.Sessions.Resume(ctx, claim)
	v.heard(sessionStore, err)
	if err != nil && v.cfg.Local != nil {
		if own, ownErr := v.cfg.Local.Resume(ctx, claim); ownErr == nil {
			rec, err, where = own, nil, local
		} else if !known(err) {
			v.unsure(h, err) // a session of this gateway's own is better than none
			return nil, next, nil
		}
	}
	switch {
	case errors.Is(err, session.ErrUnknown):
		v.came(ctx, h, "unknown")
		return nil, next, nil
	case errors.Is(err, session.ErrToken):
		v.came(ctx, h, "token")
		return nil, next, nil
	case errors.Is(err, session.ErrCertificate):
		v.came(ctx, h, "certificate")
		return nil, next, nil
	case err != nil:
		return nil, next, v.unavailable(ctx, h, err)
	}
	ended := v.ended(rec.ID)
	s, err := v.have(ctx, &rec, where)
	if err != nil {
		return nil, next, v.unavailable(ctx, h, err)
	}
	s.mu.Lock()
	defer s.unlock()
	if ended || s.ending { // it has said BYE, and lives for what it had said before
		if !s.gone {
			s.finish()
		}
		v.came(ctx, h, "unknown")
		return nil, next, nil
	}
	return s, claim.Next(&rec), nil
}

// elsewhere says whether a client's messages are with a queue that is not ours.
func (v *Service) elsewhere(ctx context.Context, client string) bool {
	if !v.cfg.Forgets {
		return false
	}
	rec, err := v.cfg.Sessions.Get(ctx, client)
	return err == nil && rec.Owner != v.owner
}

// known says whether an error is a store's own word, and not that it could not be asked.
func known(err error) bool {
	for _, e := range []error{session.ErrUnknown, session.ErrToken, session.ErrCertificate, session.ErrFenced, session.ErrFull, session.ErrChanged, session.ErrOwned} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// begun gives the client a new session. What the one before has taken is still delivered.
func (v *Service) begun(ctx context.Context, h *Hello, next session.Token) (*Session, error) {
	if h.Authorize != nil {
		if err := h.Authorize(); err != nil {
			v.came(ctx, h, "refused")
			if r := (*Refusal)(nil); errors.As(err, &r) {
				return nil, r
			}
			return nil, &Refusal{Code: wire.ErrorNotAuthorized, Text: "not authorized", Err: err}
		}
	}
	now := time.Now()
	rec := session.Record{
		Client: h.Client, ID: session.NewID(), Owner: v.owner, Token: next.Hash(), Certificate: h.Certificate,
		Since: now, Seen: now, Expiry: max(min(h.Expiry, v.set().Expiry), leastKept),
	}
	where, stored, replaced, err := v.begin(ctx, h, rec)
	if err != nil {
		return nil, err
	}
	if replaced != nil {
		v.left(h, replaced, &stored)
		v.replaced(ctx, replaced, where)
	}
	s, err := v.have(ctx, &stored, where)
	if err != nil {
		return nil, v.unavailable(ctx, h, err)
	}
	return s, nil
}

// replaced delivers what a session has taken whose client has another now, and ends it.
func (v *Service) replaced(ctx context.Context, rec *session.Record, where place) {
	s, err := v.have(ctx, rec, where)
	if err != nil { // the next sweep finds it, if it has anything to deliver
		v.cfg.Logger.Warn("a session that its client has left could not be opened", "client", rec.Client, "error", err)
		return
	}
	s.mu.Lock()
	defer s.unlock()
	if !s.gone {
		s.finish()
	}
}

// have returns the session of a record that is ours now. One that the service has changes hands: its client ends, and what that sent and was not stored is forgotten, since it
// is sent again; then the queue gets the new fence.
func (v *Service) have(ctx context.Context, rec *session.Record, where place) (*Session, error) {
	if s := v.find(rec.ID); s != nil {
		ok, err := s.change(ctx, rec.Fence)
		if ok || err != nil {
			return s, err
		}
	}
	return v.load(ctx, rec, where)
}

// place is where a session's record is.
type place uint8

const (
	shared  place = iota // in Config.Sessions
	local                // in Config.Local
	nowhere              // there is none
)

// records is the store there.
func (v *Service) records(p place) session.Store {
	if p == local {
		return v.cfg.Local
	}
	return v.cfg.Sessions
}

// load makes a session of what the stores know. One that nobody waits for leaves when it has nothing to deliver.
func (v *Service) load(ctx context.Context, rec *session.Record, where place) (*Session, error) {
	up, down, err := v.cfg.Queue.Open(ctx, queue.SessionID(rec.ID), rec.Fence)
	v.heard(queueStore, err)
	if err != nil {
		return nil, err
	}
	s := &Session{v: v, client: rec.Client, id: rec.ID, since: rec.Since.UnixMilli(), fence: rec.Fence, seen: rec.Seen.UnixMilli(), expiry: rec.Expiry}
	s.local, s.stray = where == local, where == nowhere
	s.up.open(up)
	s.down.open(down)
	s.parkAt = v.now() + moment(attachWithin)
	if !v.add(s) {
		return nil, ErrClosed
	}
	return s, nil
}

// open begins with what the store knows. What it has may have been sent before.
func (f *flow) open(info queue.Info) {
	f.info, f.last, f.sent = accountOf(info), info.Last, info.Last
	if info.Messages == info.Failed {
		f.fed = info.Last
	}
}

// change gives the session a new fence, as its client comes back. false: it has left memory, and is to be loaded. So it does where another gateway has had it meanwhile, and
// that has not been told here yet: what is known here of its boxes is of a time before.
func (s *Session) change(ctx context.Context, fence uint64) (ok bool, err error) {
	s.mu.Lock()
	if s.gone {
		s.mu.Unlock()
		return false, nil
	}
	if s.cl != nil {
		s.v.count.takeovers.Add(1)
		s.endClient(ErrTaken)
		s.tell(Event{Kind: SessionTaken})
	}
	s.frozen = true
	s.up.withdraw()
	quiet := awaited(&s.needRare().quiet)
	s.unlock()
	select {
	case <-quiet:
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.v.ctx.Done():
		err = ErrClosed
	}
	var up, down queue.Info
	elsewhere := false
	if err == nil {
		up, down, elsewhere, err = s.reopen(ctx, fence)
		s.v.heard(queueStore, err)
	}
	s.mu.Lock()
	defer s.unlock()
	s.frozen = false
	if s.gone {
		return false, nil
	}
	if elsewhere {
		s.lose(ErrTaken)
		return false, nil
	}
	if err != nil {
		if s.broken {
			s.breaks() // who was to mend it has found it frozen
		}
		return true, err
	}
	s.fence = fence
	s.reconcile(up, down, true)
	s.parkAt = s.v.now() + moment(attachWithin)
	return true, nil
}

// reopen opens the boxes under a new fence, and says whether somebody else has had them. Who has, has opened them under a fence above ours; or between our two calls, and then
// nothing matters but what that one has changed.
func (s *Session) reopen(ctx context.Context, fence uint64) (up, down queue.Info, elsewhere bool, err error) {
	id := queue.SessionID(s.id)
	wasUp, wasDown, err := s.v.cfg.Queue.Open(ctx, id, s.fence)
	if errors.Is(err, queue.ErrFenced) {
		return up, down, true, nil
	}
	if err != nil {
		return up, down, false, err
	}
	up, down, err = s.v.cfg.Queue.Open(ctx, id, fence)
	return up, down, err == nil && !(same(wasUp, up) && same(wasDown, down)), err
}

func same(a, b queue.Info) bool {
	return a.Last == b.Last && a.Seen == b.Seen && a.Messages == b.Messages && a.Failed == b.Failed && a.Bytes == b.Bytes
}

// welcome prepares the session for its client's connection, and says so.
func (v *Service) welcome(ctx context.Context, s *Session, h *Hello, next session.Token, resumed bool) (*Welcome, error) {
	set := v.set()
	s.mu.Lock()
	defer s.unlock()
	if s.gone {
		return nil, v.unavailable(ctx, h, ErrTaken)
	}
	s.turn++
	from := h.From
	s.needRare().from = &from
	s.orphan, s.ending = false, false
	s.expiry = min(h.Expiry, set.Expiry).Truncate(time.Second)
	s.park(attachWithin)
	w := &Welcome{
		Resumed: resumed, Granted: h.Wanted & capabilities, Idle: set.Idle, turn: s.turn, fence: s.fence,
		Heartbeat: sooner(set.Heartbeat), window: uint16(min(set.Inflight, math.MaxUint16)),
	}
	frame, err := wire.AppendWelcome(nil, &wire.Welcome{
		Resumed: resumed, Capabilities: w.Granted, Heartbeat: w.Heartbeat, Idle: w.Idle,
		Expiry: s.expiry, Window: w.window, LastID: uint32(s.up.info.Last), Token: next[:],
	})
	w.Frame = frame
	return w, err
}

// sooner is a time less up to a tenth, in whole seconds.
func sooner(d time.Duration) time.Duration {
	if d < 2*time.Second {
		return d
	}
	return (d - rand.N(d/10+1)).Truncate(time.Second)
}
