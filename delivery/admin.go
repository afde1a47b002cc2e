package delivery

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// Info returns what is known of the session.
func (s *Session) Info() Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := Info{
		Client: s.client, ID: s.id, State: s.stands(), Owner: s.v.owner, Fence: s.fence, Since: time.UnixMilli(s.since), Seen: time.UnixMilli(s.seen), Expiry: s.expiry,
		Up: s.up.info.whole(), Down: s.down.info.whole(), Requests: len(s.asks),
	}
	if s.cl != nil {
		i.Remote = s.cl.From().Source
	}
	if s.hold != nil {
		i.Backend = s.hold.backend
	}
	i.InFlight, i.Unproved = s.down.inFlight(), s.up.inFlight()
	if s.proof != nil {
		i.Unproved = s.proof.messages
	}
	return i
}

// Filter says which sessions List returns.
type Filter struct {
	Client string // the id; "": of all
	State  State  // "": in all
	After  *Place // those behind this one; nil: from the first on
	Limit  int    // the most that are returned. 0: 1000
}

// Place is where in the order of List a session is, or was.
type Place struct {
	Client string
	ID     session.ID
}

// Compare says which of two places comes first: by client, then by id.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(p.Client, q.Client), bytes.Compare(p.ID[:], q.ID[:]))
}

// Place returns where the session is in the order of List.
func (i *Info) Place() Place { return Place{i.Client, i.ID} }

func (f *Filter) lets(i *Info) bool {
	return (f.After == nil || f.After.Compare(i.Place()) < 0) && (f.Client == "" || i.Client == f.Client) && (f.State == "" || i.State == f.State)
}

// List returns sessions, those that the service has and those that are in the store: the first that the filter is for, in the order of Place.Compare. Who goes on behind the last
// sees each that is there all the time, once.
func (v *Service) List(ctx context.Context, f Filter) ([]Info, error) {
	limit := cmp.Or(max(f.Limit, 0), 1000)
	var list []Info
	for _, s := range v.all() {
		if i := s.Info(); f.lets(&i) && i.State != Away {
			list = append(list, i)
		}
	}
	var err error
	if f.State == "" || f.State == Away {
		err = v.cfg.Sessions.List(ctx, func(r session.Record) bool {
			if i := infoOf(&r); f.lets(&i) && v.find(r.ID) == nil {
				list = append(list, i)
			}
			if len(list) >= 2*limit+1000 { // however many there are in the store
				list = foremost(list, limit)
			}
			return true
		})
	}
	return foremost(list, limit), err
}

// foremost returns the first of a list, in their order, each once: one that has come or gone while the list was made may be in it twice.
func foremost(list []Info, limit int) []Info {
	slices.SortStableFunc(list, func(a, b Info) int { return a.Place().Compare(b.Place()) })
	list = slices.CompactFunc(list, func(a, b Info) bool { return a.ID == b.ID })
	return list[:min(len(list), limit)]
}

func infoOf(r *session.Record) Info {
	return Info{Client: r.Client, ID: r.ID, State: Away, Owner: r.Owner, Fence: r.Fence, Since: r.Since, Seen: r.Seen, Expiry: r.Expiry}
}

// Find returns the session with an id, or session.ErrUnknown.
func (v *Service) Find(ctx context.Context, id session.ID) (Info, error) {
	if s := v.find(id); s != nil {
		if i := s.Info(); i.State != Away {
			return i, nil
		}
	}
	r, err := v.cfg.Sessions.Find(ctx, id)
	return infoOf(&r), err
}

// End ends a session: its client is closed, its messages are forgotten. session.ErrUnknown: there is none; session.ErrOwned: it is with another gateway, which must be asked.
func (v *Service) End(ctx context.Context, id session.ID) error {
	if s := v.find(id); s != nil {
		s.mu.Lock()
		there, fence := !s.gone, s.fence
		if there {
			s.ending = false
			s.drop(ErrEnded)
		}
		s.unlock()
		if there {
			return v.erase(ctx, s.records(), s.stray, s.client, id, fence)
		}
	}
	r, done, err := v.claim(ctx, id)
	if err != nil {
		return err
	}
	defer done()
	return v.erase(ctx, v.cfg.Sessions, false, r.Client, id, r.Fence)
}

// claim has a session of the store be ours until done, if no other gateway has it.
func (v *Service) claim(ctx context.Context, id session.ID) (r session.Record, done func(), err error) {
	if r, err = v.cfg.Sessions.Find(ctx, id); err != nil {
		return r, nil, err
	}
	if done, err = v.turn(ctx, r.Client); err != nil {
		return r, nil, err
	}
	if v.find(id) != nil {
		err = session.ErrOwned // its client has just come; the next try finds it
	} else {
		r, err = v.cfg.Sessions.Adopt(ctx, r.Client, id, v.owner)
	}
	if err != nil {
		done()
	}
	return r, done, err
}

// Messages returns messages of the service's queue.
func (v *Service) Messages(ctx context.Context, f queue.Filter) ([]queue.Entry, error) {
	return v.cfg.Queue.List(ctx, f)
}

// ErrDirection says that the message is on its way to a backend: those do not fail, and so are not delivered anew.
var ErrDirection = errors.New("only messages to clients fail, and can be delivered again")

// Requeue has a failed message to a client delivered again, under a new id. session.ErrOwned: the session is with another gateway, which must be asked.
func (v *Service) Requeue(ctx context.Context, b queue.Box, id uint64) error {
	if b.Direction != queue.Down {
		return ErrDirection
	}
	return v.alter(ctx, b, func(x *box) queue.Op {
		x.last = x.nextID()
		return queue.Op{Kind: queue.Requeue, ID: id, N: x.last}
	})
}

// Drop forgets a message. session.ErrOwned as with Requeue.
func (v *Service) Drop(ctx context.Context, b queue.Box, id uint64) error {
	return v.alter(ctx, b, func(*box) queue.Op { return queue.Op{Kind: queue.Remove, ID: id} })
}

// alter changes one message, and returns when that is safe.
func (v *Service) alter(ctx context.Context, b queue.Box, change func(*box) queue.Op) error {
	s := v.find(session.ID(b.Session))
	if s == nil {
		r, done, err := v.claim(ctx, session.ID(b.Session))
		if err != nil {
			return err
		}
		defer done()
		if s, err = v.load(ctx, &r, shared); err != nil {
			return err
		}
	}
	s.mu.Lock()
	if s.gone {
		s.unlock()
		return session.ErrOwned
	}
	s.flow(b.Direction).change(change(&s.flow(b.Direction).box))
	quiet := awaited(&s.needRare().altered)
	s.unlock()
	select {
	case <-quiet:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.lost {
			return session.ErrOwned
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
