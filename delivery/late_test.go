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

// TestLateHellos: a gateway that was paused wakes to all the HELLOs that a client has given up meanwhile. They cost it neither its session nor its token.
func TestLateHellos(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		first := w.hello("c", nil)
		first.must(publish(1, 1, "a"))
		here := w.hello("c", first)
		for range 20 { // the client has the token of here, and has not been able to say so
			if late := w.hello("c", first); !late.hello.Resumed {
				t.Fatal("a HELLO that came late has begun a session")
			}
		}
		if !errors.Is(here.endedFor(), ErrTaken) {
			t.Fatalf("ended for %v", here.endedFor())
		}
		back := w.hello("c", here)
		if !back.hello.Resumed || back.hello.LastID != 1 {
			t.Fatalf("its client comes back: %+v", back.hello)
		}
		back.must(publish(2, 1, "b"))
		if again := w.hello("c", first); again.hello.Resumed {
			t.Error("resumed by a token that was spent")
		}
	})
}

// A blinking store can't be asked for a moment, and can at the next.
type blinking struct {
	session.Store
	resume, get error
	deaf        error // what it is asked is done, and its answer lost
}

func (b *blinking) Resume(ctx context.Context, c session.Claim) (session.Record, error) {
	if b.deaf != nil {
		_, _ = b.Store.Resume(ctx, c)
		return session.Record{}, b.deaf
	}
	if b.resume != nil {
		return session.Record{}, b.resume
	}
	return b.Store.Resume(ctx, c)
}

func (b *blinking) Get(ctx context.Context, client string) (session.Record, error) {
	if b.get != nil {
		return session.Record{}, b.get
	}
	return b.Store.Get(ctx, client)
}

// TestAnswerLost: where a HELLO took the session, and nobody was told, a connection that has it still does not keep it in vain, until its record expires.
func TestAnswerLost(t *testing.T) {
	inWorld(t, Settings{}, func(w *world) {
		t := w.t
		store := &blinking{Store: w.sessions}
		w.second(func(c *Config) { c.Sessions = store })
		first := w.hello("c", nil)
		here := w.hello("c", first)
		store.deaf = errors.New("connection reset")
		if _, err := w.try("c", first); err == nil {
			t.Fatal("a HELLO was answered without an answer of the store")
		}
		store.deaf = nil
		here.must(publish(1, 1, "a"))
		if !errors.Is(here.endedFor(), ErrExpired) {
			t.Fatalf("ended for %v", here.endedFor())
		}
		if back := w.hello("c", here); !back.hello.Resumed || back.hello.LastID != 1 {
			t.Errorf("its client comes back: %+v", back.hello)
		}
	})
}

// barred is a store of the gateway's own that is not used: as that of a gateway that refuses clients while the common one is away.
type barred struct{ session.Store }

func (barred) Begin(context.Context, session.Record, session.Record) (session.Record, *session.Record, error) {
	return session.Record{}, nil, errors.New("barred")
}

// TestUnsure: a store that could not say whether a client has a session is given no new one for it, though it could be a moment later.
func TestUnsure(t *testing.T) {
	away := errors.New("connection reset")
	for _, tt := range []struct {
		name        string
		local       func(session.Store) session.Store
		resume, get error
		token       bool // it shows the good one
		refused     bool
	}{
		{"none of its own, the token can't be looked at", func(session.Store) session.Store { return nil }, away, nil, true, true},
		{"barred, the token can't be looked at", func(s session.Store) session.Store { return barred{s} }, away, nil, true, true},
		{"one of its own, the token can't be looked at", func(s session.Store) session.Store { return s }, away, nil, true, false},
		{"none of its own, nobody knows of a session", func(session.Store) session.Store { return nil }, nil, away, false, true},
		{"barred, nobody knows of a session", func(s session.Store) session.Store { return barred{s} }, nil, away, false, true},
		{"one of its own, nobody knows of a session", func(s session.Store) session.Store { return s }, nil, away, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, Settings{}, func(w *world) {
				t := w.t
				store := &blinking{Store: w.sessions}
				own := sessionmemory.Open(sessionmemory.Options{})
				defer own.Close()
				w.second(func(c *Config) { c.Sessions, c.Local = store, tt.local(own) })
				had := w.hello("c", nil)
				had.must(publish(1, 1, "a"))

				store.resume, store.get = tt.resume, tt.get
				h := Hello{Client: "c", Wanted: capabilities, Expiry: time.Hour, Present: func(context.Context) error { return nil }}
				if tt.token {
					h.Token = had.hello.Token
				}
				_, _, err := w.v.Hello(t.Context(), h)
				var r *Refusal
				if refused := errors.As(err, &r) && r.Code == wire.ErrorStore && errors.Is(err, away); refused != tt.refused || !refused && err != nil {
					t.Errorf("got %v; is it to be refused: %v", err, tt.refused)
				}
				store.resume, store.get = nil, nil
				if back := w.hello("c", had); !back.hello.Resumed || back.hello.LastID != 1 {
					t.Errorf("its client comes back: %+v", back.hello)
				}
			})
		})
	}
}
