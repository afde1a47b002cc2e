package wire

import (
	"math"
	"testing"
)

func TestPing(t *testing.T) {
	tests := []struct {
		ping    Ping
		payload string
	}{
		{Ping{}, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{Ping{Seq: 7, Time: 1767323045000000006}, "\x00\x00\x00\x07\x18\x86\xca\xf2\x1c\x96\x32\x06"},
		{Ping{Seq: math.MaxUint32, Time: math.MaxInt64}, "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{Ping{Seq: 1, Time: -1}, "\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"}, // before 1970
	}
	for _, tt := range tests {
		frame := AppendPing([]byte("before"), tt.ping)
		if want := "before" + "GOPR\x00\x01\x00\x0c\x01\x01" + tt.payload; string(frame) != want {
			t.Errorf("AppendPing(%+v) = %q, want %q", tt.ping, frame, want)
		}
		if got, ok := ParsePing([]byte(tt.payload)); !ok || got != tt.ping {
			t.Errorf("ParsePing(%q) = %+v, %t, want %+v", tt.payload, got, ok, tt.ping)
		}
	}
}

// A PONG may echo a PING that was not AppendPing's.
func TestParsePingOfAnotherKind(t *testing.T) {
	for length := range 2 * PingLen {
		got, ok := ParsePing(make([]byte, length))
		if ok != (length == PingLen) || got != (Ping{}) {
			t.Errorf("%d bytes: %+v, %t", length, got, ok)
		}
	}
	if _, ok := ParsePing(nil); ok {
		t.Error("no payload at all was read as a Ping")
	}
}
