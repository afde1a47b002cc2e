package delivery

import (
	"errors"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
	"github.com/caddy-gopr/caddy-gopr/session"
)

// reviewEvery is how often it is looked for what the queue remembers of sessions that are no more.
const reviewEvery = 10 * time.Minute

// review has the queue forget sessions that have expired while their clients were away. Messages to backends are taken up before (see adoptAll), and failed ones stay for an
// operator until they expire; what waits for a client that can't come back waits for nobody.
func (v *Service) review() {
	knower, ok := v.cfg.Queue.(queue.Knower)
	if !ok || !v.alone() {
		return
	}
	err := knower.Known(func(id queue.SessionID, up, down queue.Info) bool {
		if up.Messages+down.Failed == 0 && v.find(session.ID(id)) == nil && v.over(session.ID(id)) {
			err := v.cfg.Queue.Forget(v.ctx, id, strayFence)
			v.heard(queueStore, err)
		}
		return v.ctx.Err() == nil
	})
	v.heard(queueStore, err)
}

// over says whether no store knows a session any more. What the queue knows of one it has learned after its record was made: so one that is no more does not come to be.
func (v *Service) over(id session.ID) bool {
	_, err := v.cfg.Sessions.Find(v.ctx, id)
	v.heard(sessionStore, err)
	if !errors.Is(err, session.ErrUnknown) {
		return false
	}
	if v.cfg.Local != nil {
		_, err = v.cfg.Local.Find(v.ctx, id)
	}
	return errors.Is(err, session.ErrUnknown)
}

// alone says whether the queue is this service's own.
func (v *Service) alone() bool { return v.cfg.Strays != nil && v.cfg.Strays() }
