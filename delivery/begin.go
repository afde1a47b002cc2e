package delivery

import (
	"context"
	"errors"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// begin has a store make a session, and says which: that of this gateway's own where the other can't be asked. The new session replaces the one that the client had when it was
// asked whether it is there, and no other: a HELLO may have been stuck for long on its way to the store, and its client have a session over another connection.
func (v *Service) begin(ctx context.Context, h *Hello, rec session.Record) (where place, stored session.Record, replaced *session.Record, _ error) {
	away := h.away
	if away != nil {
		where = local // a store that is there again may have the very session that the client has come for
	}
	for changed := false; ; {
		records := v.records(where)
		over, err := records.Get(ctx, h.Client)
		if err == nil {
			if refusal := v.present(ctx, h, &over, changed); refusal != nil {
				return where, rec, nil, refusal
			}
		} else if errors.Is(err, session.ErrUnknown) {
			err = nil
		}
		if err == nil {
			stored, replaced, err = records.Begin(ctx, rec, over)
		}
		if where == shared {
			v.heard(sessionStore, err)
		}
		switch {
		case err == nil:
			return where, stored, replaced, nil
		case errors.Is(err, session.ErrChanged):
			changed = true
		case !known(err) && where == shared && v.cfg.Local != nil:
			away, where = err, local
		case away != nil:
			return where, rec, nil, v.unavailable(ctx, h, away)
		default:
			return where, rec, nil, v.unavailable(ctx, h, err)
		}
	}
}

// present asks a client that has a session, and does not come with its token, whether it is there. changed: it has got that session since it said HELLO, or another connection
// of it has. Who can't be asked is taken to be there, unless that is so.
func (v *Service) present(ctx context.Context, h *Hello, over *session.Record, changed bool) error {
	switch {
	case h.Present == nil && changed:
		v.came(ctx, h, "refused", "error", session.ErrChanged)
		return &Refusal{Code: wire.ErrorStore, Text: "the client has just got a session over another connection; come back", Err: session.ErrChanged}
	case h.Present == nil:
		return nil
	}
	v.asks(h, over)
	if err := h.Present(ctx); err != nil {
		v.came(ctx, h, "refused", "error", err)
		return &Refusal{Code: wire.ErrorProtocol, Text: "a client that comes without a good token, and has a session, must answer PING", Err: err}
	}
	return nil
}
