package wire

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

func TestReason(t *testing.T) {
	// The order and the labels of docs/protocol.md.
	want := []string{"magic", "version", "length", "command", "checksum", "malformed", "frame_timeout"}
	var got []string
	for i, r := range Reasons() {
		if int(r) != i+1 {
			t.Errorf("%v is number %d of the list, but has the value %d", r, i+1, r)
		}
		got = append(got, r.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
	if len(reasonNames) != len(want)+1 {
		t.Errorf("%d names, want %d and none for 0", len(reasonNames), len(want))
	}
	for r, want := range map[Reason]string{0: "reason(0)", 8: "reason(8)", 255: "reason(255)"} {
		if got := r.String(); got != want {
			t.Errorf("Reason(%d) = %q, want %q", uint8(r), got, want)
		}
	}
}

func TestRejectError(t *testing.T) {
	tests := []struct {
		err  RejectError
		want string
	}{
		{RejectError{ReasonMagic, 2, 0x0A, 0x50, 0}, "wrong magic: byte 2 is 0x0A, want 0x50"},
		{RejectError{ReasonVersion, 4, 2, 1, 10}, "version 2 at byte 4 is not accepted, want 1"},
		{RejectError{ReasonLength, 6, 65535, 16384, 0}, "length 65535 at byte 6 is over the maximum of 16384"},
		{RejectError{ReasonCommand, 8, 5, 0, 10}, "command 0x05 at byte 8 is not on the allow-list"},
		{RejectError{ReasonChecksum, 9, 0xBAD, 0x600D, 20}, "checksum 0xBAD at byte 9 does not match, want 0x600D"},
		{RejectError{ReasonMalformed, 10, 0, 0, 30}, "malformed extension fields at byte 10"},
		{RejectError{ReasonFrameTimeout, 0, 12, 40, 0}, "frame did not complete in time: 12 of 40 bytes came"},
		{RejectError{ReasonFrameTimeout, 0, 3, 0, 0}, "frame did not complete in time: 3 bytes came"},
		{RejectError{Reason: 99, Offset: 1}, "reason(99) at byte 1"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Callers branch on the reason through whatever wraps the error.
func TestRejectErrorAs(t *testing.T) {
	d := newDecoder(t, GOPR, Rules{})
	var f Frame
	_, err := d.Next([]byte("X"), &f)
	var reject *RejectError
	if wrapped := fmt.Errorf("frame 3: %w", err); !errors.As(wrapped, &reject) || reject.Reason != ReasonMagic {
		t.Errorf("got %v", wrapped)
	}
}
