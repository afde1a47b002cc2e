package wire

import (
	"bytes"
	"fmt"
	"testing"
)

func TestResync(t *testing.T) {
	d := newDecoder(t, GOPR, Rules{})
	tests := []struct {
		b    string
		want int
	}{
		{"", 0},
		{"G", 0},
		{"GOP", 0},
		{"GOPR", 0},
		{"GOPR\x00\x01", 0},
		{"x", 1},
		{"xxxx", 4},
		{"xG", 1},
		{"xGOP", 1},
		{"xxGOPR", 2},
		{"xxGOPRGOPR", 2},
		{"GOPX", 4},
		{"GOPG", 3},
		{"GGGG", 3},
		{"GOGOPR", 2},
		{"GOPGOPR", 3},
		{"GOGOP", 2},
		{"xGOPxGO", 5},
		{"gopr", 4},
	}
	for _, tt := range tests {
		if got := d.Resync([]byte(tt.b)); got != tt.want {
			t.Errorf("Resync(%q) = %d, want %d", tt.b, got, tt.want)
		}
	}
}

// checkResync holds Resync to its definition, worked out the slow way.
func checkResync(t *testing.T, d *Decoder, b []byte) {
	t.Helper()
	want := 0
	for ; want < len(b); want++ {
		rest := b[want:]
		if bytes.HasPrefix(rest, []byte("GOPR")) || bytes.HasPrefix([]byte("GOPR"), rest) {
			break
		}
	}
	got := d.Resync(b)
	if got != want {
		t.Fatalf("Resync(%q) = %d, want %d", b, got, want)
	}

	var f Frame
	if _, err := d.Header(b, &f); err != nil && got == 0 && err.(*RejectError).Reason == ReasonMagic {
		t.Fatalf("Resync(%q) = 0, but %v", b, err)
	}
}

// Every word of the magic's letters and one more, up to seven letters long.
func TestResyncExhaustive(t *testing.T) {
	d := newDecoder(t, GOPR, Rules{})
	const letters = "GOPRx"
	words := [][]byte{nil}
	for range 7 {
		var longer [][]byte
		for _, w := range words {
			checkResync(t, d, w)
			for i := range len(letters) {
				longer = append(longer, append(bytes.Clone(w), letters[i]))
			}
		}
		words = longer
	}
	for _, w := range words {
		checkResync(t, d, w)
	}
}

// A dropping receiver finds every frame between stretches of garbage, whatever
// the pieces, and however the garbage ends.
func TestResyncBetweenFrames(t *testing.T) {
	d := newDecoder(t, GOPR, Rules{})
	var stream []byte
	var want []Frame
	for i, garbage := range []string{"\x00", "G", "GOP", "GOPGOP", "a long stretch of something else", "GOPX", "GOGOGO"} {
		stream = append(stream, garbage...)
		payload := fmt.Appendf(nil, "frame %d", i)
		stream = AppendFrame(stream, CmdApp, 0, payload)
		want = append(want, Frame{Version: 1, Cmd: CmdApp, Payload: payload})
	}
	for cut := range len(stream) {
		if got := receiveDropping(t, d, stream, cut, len(stream)); !sameFrames(got.frames, want) {
			t.Fatalf("split at %d: %d frames, want %d", cut, len(got.frames), len(want))
		}
	}
	if got := receiveDropping(t, d, stream, everyByte(stream)...); !sameFrames(got.frames, want) {
		t.Fatalf("byte by byte: %d frames, want %d", len(got.frames), len(want))
	}
}
