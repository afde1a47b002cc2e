package queuetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddy-gopr/caddy-gopr/queue"
)

// equal fails the test unless both look the same; an empty list is as good as none.
func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Fatalf("%s: got %s, want %s", what, g, w)
	}
}

// sameInfo compares the states of boxes; their times by the instant, whatever the zone.
func sameInfo(t testing.TB, got, want queue.Info) {
	t.Helper()
	if !got.Oldest.Equal(want.Oldest) || got.Oldest.IsZero() != want.Oldest.IsZero() {
		t.Fatalf("Oldest: got %v, want %v", got.Oldest, want.Oldest)
	}
	got.Oldest, want.Oldest = time.Time{}, time.Time{}
	if got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// sameMessage compares messages, their times by the instant.
func sameMessage(t testing.TB, got, want queue.Message) {
	t.Helper()
	if !got.Created.Equal(want.Created) || !got.Expires.Equal(want.Expires) || got.Expires.IsZero() != want.Expires.IsZero() {
		t.Fatalf("message %d: created %v and expires %v, want %v and %v", want.ID, got.Created, got.Expires, want.Created, want.Expires)
	}
	if string(got.Payload) != string(want.Payload) {
		t.Fatalf("message %d: payload of %d bytes, want %d", want.ID, len(got.Payload), len(want.Payload))
	}
	got.Created, want.Created, got.Expires, want.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	got.Payload, want.Payload = nil, nil
	equal(t, "message", got, want)
}
