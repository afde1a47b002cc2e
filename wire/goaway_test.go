package wire

import (
	"bytes"
	"math"
	"testing"
	"time"
)

func TestGoAway(t *testing.T) {
	for _, tt := range []struct {
		name string
		say  GoAway
		want string
		back GoAway // what a reader makes of it
	}{
		{"nothing to say", GoAway{}, "GOPR\x00\x01\x00\x06\x09\x00\x00\x00\x00\x00\x00\x00", GoAway{}},
		{"come back in 90 s", GoAway{2, 90 * time.Second}, "GOPR\x00\x01\x00\x06\x09\x00\x00\x02\x00\x01\x5F\x90", GoAway{2, 90 * time.Second}},
		{"less than a millisecond", GoAway{0x1234, 1999 * time.Microsecond}, "GOPR\x00\x01\x00\x06\x09\x00\x12\x34\x00\x00\x00\x01", GoAway{0x1234, time.Millisecond}},
		{"the longest", GoAway{0xFFFF, math.MaxUint32 * time.Millisecond}, "GOPR\x00\x01\x00\x06\x09\x00\xFF\xFF\xFF\xFF\xFF\xFF", GoAway{0xFFFF, math.MaxUint32 * time.Millisecond}},
		{"longer than it can say", GoAway{1, 100 * 24 * time.Hour}, "GOPR\x00\x01\x00\x06\x09\x00\x00\x01\xFF\xFF\xFF\xFF", GoAway{1, math.MaxUint32 * time.Millisecond}},
		{"before now", GoAway{1, -time.Second}, "GOPR\x00\x01\x00\x06\x09\x00\x00\x01\x00\x00\x00\x00", GoAway{1, 0}},
	} {
		got := AppendGoAway([]byte("before"), tt.say)
		if !bytes.Equal(got, []byte("before"+tt.want)) {
			t.Errorf("%s: % X, want % X", tt.name, got[len("before"):], tt.want)
		}
		if back, ok := ParseGoAway([]byte(tt.want)[HeaderLen:]); !ok || back != tt.back {
			t.Errorf("%s: read as %+v, %v", tt.name, back, ok)
		}
	}
	for _, n := range []int{0, 1, 5, 7, 12} {
		if g, ok := ParseGoAway(make([]byte, n)); ok {
			t.Errorf("%d bytes are read as %+v", n, g)
		}
	}
}
