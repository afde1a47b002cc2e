package gateway

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/caddy-gopr/caddy-gopr/session"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
)

// local keeps sessions of clients that came while the store could not be reached, in memory, where the rules say so.
type local struct {
	session.Store
	on atomic.Bool
}

var errNotLocal = errors.New("on_store_loss is refuse")

func newLocal(on bool) *local {
	l := &local{Store: sessionmemory.Open(sessionmemory.Options{})}
	l.on.Store(on)
	return l
}

// Begin implements session.Store.
func (l *local) Begin(ctx context.Context, r, over session.Record) (stored session.Record, replaced *session.Record, err error) {
	if !l.on.Load() {
		return session.Record{}, nil, errNotLocal
	}
	return l.Store.Begin(ctx, r, over)
}
