package delivery

import (
	"context"
	"encoding/hex"
	"log/slog"
	"slices"

	"github.com/caddy-gopr/caddy-gopr/session"
)

// came notes what has come of a HELLO: counted, and for those who follow a client's way from gateway to gateway, in the log.
func (v *Service) came(ctx context.Context, h *Hello, outcome string, args ...any) {
	v.count.hello(outcome)
	if log := v.cfg.Logger; log.Enabled(ctx, slog.LevelDebug) {
		log.Debug("hello", slices.Concat([]any{"client", h.Client, "outcome", outcome, "token", h.mark()}, args)...)
	}
}

// unsure notes that the store could not say whether the token is good.
func (v *Service) unsure(h *Hello, err error) {
	h.away = err
	v.cfg.Logger.Debug("the store can't say whether the token is good", "client", h.Client, "token", h.mark(), "error", err)
}

// asks notes that a client is asked whether it is there: it has a session, and none of the tokens that resume it.
func (v *Service) asks(h *Hello, r *session.Record) {
	v.cfg.Logger.Debug("a client without a good token is asked whether it is there",
		"client", h.Client, "token", h.mark(), "session", name(r.ID), "fence", r.Fence, "owner", r.Owner, "good", r.Marks())
}

// left notes that a client has a new session in place of the one that it had. A client that had forgotten its token may do so each day; one that shows a token is one to look at.
func (v *Service) left(h *Hello, r, now *session.Record) {
	log := v.cfg.Logger.Debug
	if len(h.Token) > 0 {
		log = v.warn
	}
	log("a client has left its session, and has a new one", "client", h.Client, "token", h.mark(), "session", name(r.ID), "new", name(now.ID))
}

// mark tells the token that was shown from others, in the log; "": there is none.
func (h *Hello) mark() string {
	if len(h.Token) != len(session.Token{}) {
		return ""
	}
	return session.Token(h.Token).Hash().Mark()
}

// name is a session's, in the log.
func name(id session.ID) string { return hex.EncodeToString(id[:]) }
