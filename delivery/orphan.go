package delivery

import (
	"context"
	"errors"
	"strings"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// strayFence is the fence of sessions that no store of sessions knows: it is above all that one gives.
const strayFence = 1 << 62

// maxAdopted is how many sessions are looked at in one sweep.
const maxAdopted = 10_000

// took says whether an owner was a service of the same handler.
func (v *Service) took(owner string) bool {
	i := strings.LastIndexByte(owner, '/')
	return i >= 0 && owner[:i] == v.cfg.Name
}

// adoptAll takes up the messages to backends that nobody delivers: of an earlier process, or of a gateway that is no more.
func (v *Service) adoptAll() {
	ctx, cancel := v.storeContext()
	defer cancel()
	var left []session.ID
	err := v.cfg.Queue.Backlog(ctx, queue.Up, func(id queue.SessionID, _ queue.Info) bool {
		if v.find(session.ID(id)) == nil {
			left = append(left, session.ID(id))
		}
		return len(left) < maxAdopted
	})
	v.heard(queueStore, err)
	for _, id := range left {
		id := id
		v.crew.do(func() {
			ctx, cancel := v.storeContext()
			defer cancel()
			if err := v.adopt(ctx, id); err != nil && v.ctx.Err() == nil {
				v.cfg.Logger.Warn("messages of a session that nobody has could not be taken up; the next try is soon", "error", err)
			}
		})
	}
}

// adopt takes up the messages of a session, if they are this service's to deliver.
func (v *Service) adopt(ctx context.Context, id session.ID) error {
	rec, err := v.cfg.Sessions.Find(ctx, id)
	v.heard(sessionStore, err)
	switch {
	case errors.Is(err, session.ErrUnknown):
		return v.adoptStray(ctx, id)
	case err != nil:
		return err
	case !v.took(rec.Owner):
		return nil
	}
	done, err := v.turn(ctx, rec.Client)
	if err != nil {
		return err
	}
	defer done()
	if v.find(id) != nil {
		return nil
	}
	rec, err = v.cfg.Sessions.Adopt(ctx, rec.Client, id, v.owner)
	v.heard(sessionStore, err)
	if errors.Is(err, session.ErrOwned) || errors.Is(err, session.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := v.load(ctx, &rec, shared)
	if err != nil {
		return err
	}
	current, err := v.cfg.Sessions.Get(ctx, rec.Client)
	s.mu.Lock()
	defer s.unlock()
	s.parkAt = 0
	if errors.Is(err, session.ErrUnknown) || err == nil && current.ID != id {
		s.finish() // its client has another session
	}
	s.touch()
	return nil
}

// adoptStray takes up messages whose session is not known any more.
func (v *Service) adoptStray(ctx context.Context, id session.ID) error {
	if v.cfg.Local != nil {
		if _, err := v.cfg.Local.Find(ctx, id); err == nil {
			return nil
		}
	}
	if !v.alone() {
		return nil
	}
	if v.set().Extended {
		v.cfg.Logger.Warn("messages of a session that is not known any more can't be delivered to a backend that asks for the client's id; they stay until they expire")
		return nil
	}
	done, err := v.turn(ctx, "")
	if err != nil {
		return err
	}
	defer done()
	if v.find(id) != nil {
		return nil
	}
	s, err := v.load(ctx, &session.Record{ID: id, Fence: strayFence}, nowhere)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.unlock()
	s.finish()
	return nil
}
