package cli

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestUntilDoneReads(t *testing.T) {
	want := strings.Repeat("0123456789", 7_000) // more than one read takes
	for how, r := range splits(want) {
		got, err := io.ReadAll(untilDone(t.Context(), r))
		if string(got) != want || err != nil {
			t.Errorf("%s: %d bytes, %v; want %d", how, len(got), err, len(want))
		}
	}
	if err := iotest.TestReader(untilDone(t.Context(), strings.NewReader(want)), []byte(want)); err != nil {
		t.Error(err)
	}
}

func TestUntilDoneError(t *testing.T) {
	broken := errors.New("broken")
	r := untilDone(t.Context(), io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken)))
	got, err := io.ReadAll(r)
	if string(got) != "ab" || !errors.Is(err, broken) {
		t.Errorf("%q, %v; want ab, %v", got, err, broken)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, broken) {
		t.Errorf("once more: %v", err)
	}
}

// A read that waits ends with its context, and so does every one after it.
func TestUntilDoneEnds(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r := untilDone(ctx, in)
	reading := make(chan error)
	go func() {
		_, err := r.Read(make([]byte, 1))
		reading <- err
	}()
	cancel()
	if err := <-reading; !errors.Is(err, context.Canceled) {
		t.Errorf("the read that waits: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("the next one: %v", err)
	}
}
