package delivery

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/session"
	sessionmemory "github.com/caddy-gopr/caddy-gopr/session/memory"
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

// stuck is a store of which a Begin waits until something else has happened.
type stuck struct {
	session.Store
	meanwhile func()
}

func (s *stuck) Begin(ctx context.Context, r, over session.Record) (session.Record, *session.Record, error) {
	if f := s.meanwhile; f != nil {
		s.meanwhile = nil
		f()
	}
	return s.Store.Begin(ctx, r, over)
}

// TestStuck: a HELLO that is stuck on its way to the store costs nobody the session that has begun, or was resumed, at another gateway meanwhile.
func TestStuck(t *testing.T) {
	for _, tt := range []struct {
		name    string
		had     bool  // the client had a session before
		canBe   bool  // asked whether it is there
		there   error // what it answers
		refused wire.ErrorCode
	}{
		{name: "a first one, of a client that has gone", canBe: true, there: errors.New("no answer"), refused: wire.ErrorProtocol},
		{name: "a first one, of a client that can't be asked", refused: wire.ErrorStore},
		{name: "a first one, of a client that is there", canBe: true},
		{name: "of a client that had a session, and can't be asked", had: true, refused: wire.ErrorStore},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Settings{}, func(w *world) {
				t := w.t
				store := &stuck{Store: w.sessions}
				w.sessions = store
				w.crash()
				var before session.Record
				if tt.had {
					before, _, _ = store.Store.Begin(t.Context(), session.Record{Client: "c", ID: session.NewID(), Owner: "other", Seen: time.Now(), Expiry: time.Hour}, before)
				}
				token := session.NewToken()
				newer := session.Record{Client: "c", ID: session.NewID(), Owner: "other", Token: token.Hash(), Seen: time.Now(), Expiry: time.Hour}
				store.meanwhile = func() {
					if _, _, err := store.Store.Begin(t.Context(), newer, before); err != nil {
						t.Error(err)
					}
				}
				h := Hello{Client: "c", Wanted: capabilities, Expiry: time.Hour}
				if tt.canBe {
					h.Present = func(context.Context) error { return tt.there }
				}
				_, _, err := w.v.Hello(t.Context(), h)
				if r := (*Refusal)(nil); errors.As(err, &r) != (tt.refused != 0) || r != nil && r.Code != tt.refused {
					t.Errorf("got %v, want a refusal with code %v", err, tt.refused)
				}
				_, err = store.Resume(t.Context(), session.Claim{Client: "c", Token: token, Owner: "other", Salt: session.NewSalt()})
				if (err == nil) != (tt.refused != 0) {
					t.Errorf("the newer session: %v", err)
				}
			})
		})
	}
}

// TestBackAgain: a client that shows a good token while the store can't be reached does not lose its session to a store that is there again a moment later.
func TestBackAgain(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		d := w.hello("c", nil)
		w.sessions = &unresumed{Store: w.sessions}
		w.local = sessionmemory.Open(sessionmemory.Options{})
		defer w.local.Close()
		w.crash()
		_, welcome, err := w.v.Hello(t.Context(), Hello{Client: "c", Token: d.hello.Token, Wanted: capabilities, Expiry: time.Hour, Present: func(context.Context) error { return nil }})
		if err != nil || welcome.Resumed {
			t.Errorf("got %+v, %v", welcome, err)
		}
		r, err := w.sessions.Get(t.Context(), "c")
		if err != nil || r.ID != d.s.ID() {
			t.Errorf("the store has %+v, %v, want the session as it was", r, err)
		}
	})
}

// unresumed is a store that is away for as long as a token is shown.
type unresumed struct{ session.Store }

func (unresumed) Resume(context.Context, session.Claim) (session.Record, error) {
	return session.Record{}, errors.New("connection reset")
}
