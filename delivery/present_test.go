package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// unread is a store of which nothing can be read for a moment.
type unread struct {
	session.Store
	err error
}

func (u *unread) Get(ctx context.Context, client string) (session.Record, error) {
	if u.err != nil {
		return session.Record{}, u.err
	}
	return u.Store.Get(ctx, client)
}

// TestPresent: a session is replaced only by a client that is there; who can't know whether there is one replaces none.
func TestPresent(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		store := &unread{Store: w.sessions}
		w.sessions = store
		w.crash()
		asked := 0
		come := func(client string, there error) (*Session, error) {
			t.Helper()
			s, _, err := w.v.Hello(t.Context(), Hello{
				Client: client, Token: make([]byte, 16), Wanted: capabilities, Expiry: time.Hour,
				Present: func(context.Context) error { asked++; return there },
			})
			return s, err
		}
		refused := func(err error, code wire.ErrorCode) {
			t.Helper()
			if r := (*Refusal)(nil); !errors.As(err, &r) || r.Code != code {
				t.Errorf("got %v, want a refusal with code %v", err, code)
			}
		}
		if _, err := come("nobody", nil); err != nil || asked != 0 {
			t.Errorf("a client without a session: %v, asked %d times", err, asked)
		}

		d := w.hello("c", nil)
		_, err := come("c", errors.New("no answer"))
		refused(err, wire.ErrorProtocol)
		store.err = errors.New("connection reset")
		_, err = come("c", nil)
		refused(err, wire.ErrorStore)
		store.err = nil
		d.must(publish(1, 1, "a"))
		wants(t, "the client that has the session", d.got(), "ack 1")
		if asked != 1 {
			t.Errorf("asked %d times, want once", asked)
		}

		s, err := come("c", nil)
		if err != nil || s.ID() == d.s.ID() || asked != 2 {
			t.Errorf("a client that is there: %v, asked %d times", err, asked)
		}
		if !errors.Is(d.endedFor(), ErrTaken) {
			t.Errorf("the one before ended with %v", d.endedFor())
		}
	})
}
