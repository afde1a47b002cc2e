package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestSetDup(t *testing.T) {
	for _, e := range []Ext{
		{QoS: 1, ID: 1, Payload: []byte("hello")},
		{QoS: 2, ID: 7, CRC: true, Flag: FlagReq, Payload: []byte("hello")},
		{QoS: 2, ID: 7, CRC: true},
	} {
		raw, err := AppendExt(nil, CmdApp, &e)
		if err != nil {
			t.Fatal(err)
		}
		e.Dup = true
		want, _ := AppendExt(nil, CmdApp, &e)
		for range 2 { // twice is as good as once
			if SetDup(raw); !bytes.Equal(raw, want) {
				t.Errorf("%x, want %x", raw, want)
			}
		}
	}
}

func TestAppendExtTooLong(t *testing.T) {
	for _, tt := range []struct {
		ext Ext
		max int
	}{
		{Ext{}, 65535},
		{Ext{ID: 1}, 65531},
		{Ext{CRC: true}, 65531},
		{Ext{QoS: 2, ID: 1, CRC: true}, 65527},
	} {
		before := []byte("before")
		tt.ext.Payload = make([]byte, tt.max)
		if frame, err := AppendExt(before, CmdApp, &tt.ext); err != nil || len(frame) != len(before)+HeaderLen+MaxPayload {
			t.Errorf("%d bytes: %d bytes of frame, %v", tt.max, len(frame), err)
		}
		tt.ext.Payload = make([]byte, tt.max+1)
		frame, err := AppendExt(before, CmdApp, &tt.ext)
		var fe *FieldError
		if !errors.As(err, &fe) || fe.Field != "length" || fe.Max != uint64(tt.max) || string(frame) != "before" {
			t.Errorf("%d bytes: %q, %v", tt.max+1, frame, err)
		}
	}
}

func TestHelloThatDoesNotFit(t *testing.T) {
	for _, tt := range []struct {
		name  string
		hello Hello
		want  string
	}{
		{"no client id", Hello{}, "client id's length 0 does not fit a HELLO frame: at least 1"},
		{"a client id too long", Hello{ClientID: make([]byte, 256)}, "client id's length 256 does not fit a HELLO frame: at most 255"},
		{"a token too long", Hello{ClientID: []byte("d"), Token: make([]byte, 256)}, "token's length 256 does not fit a HELLO frame: at most 255"},
		{"a credential too long", Hello{ClientID: []byte("d"), Credential: make([]byte, 65525)}, "credential's length 65525 does not fit a HELLO frame: at most 65524"},
	} {
		if b, err := AppendHello([]byte("before"), &tt.hello); err == nil || err.Error() != tt.want || string(b) != "before" {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
	if _, err := AppendHello(nil, &Hello{ClientID: []byte("d"), Credential: make([]byte, 65524)}); err != nil {
		t.Errorf("the longest credential: %v", err)
	}
	if b, err := AppendWelcome([]byte("before"), &Welcome{Token: make([]byte, 256)}); err == nil || string(b) != "before" {
		t.Errorf("a token too long for WELCOME: %v", err)
	}
}

// A time that a field can't say is the nearest that it can; and one that is short is not none.
func TestTimesOfWelcome(t *testing.T) {
	for _, tt := range []struct{ say, heartbeat, expiry time.Duration }{
		{-time.Second, 0, 0},
		{time.Millisecond, time.Second, time.Second},
		{1999 * time.Millisecond, time.Second, time.Second},
		{24 * time.Hour, 65535 * time.Second, 24 * time.Hour},
		{1 << 62, 65535 * time.Second, (1<<32 - 1) * time.Second},
	} {
		b, err := AppendWelcome(nil, &Welcome{Heartbeat: tt.say, Idle: tt.say, Expiry: tt.say})
		if err != nil {
			t.Fatal(err)
		}
		w, ok := ParseWelcome(b[HeaderLen:])
		if !ok || w.Heartbeat != tt.heartbeat || w.Idle != tt.heartbeat || w.Expiry != tt.expiry || w.Version != HelloVersion {
			t.Errorf("%v: %+v, %v", tt.say, w, ok)
		}
	}
}

func TestErrorText(t *testing.T) {
	read := func(b []byte) ErrorFrame {
		t.Helper()
		e, ok := ParseError(&Frame{Flag: uint32(b[OffsetFlag]), Payload: b[HeaderLen:]})
		if !ok {
			t.Fatalf("%q is not read", b)
		}
		return e
	}
	for _, tt := range []struct{ say, want string }{
		{strings.Repeat("x", MaxErrorText), strings.Repeat("x", MaxErrorText)},
		{strings.Repeat("x", MaxErrorText+1), strings.Repeat("x", MaxErrorText)},
		{strings.Repeat("é", MaxErrorText), strings.Repeat("é", MaxErrorText/2)},
		{"x" + strings.Repeat("é", MaxErrorText), "x" + strings.Repeat("é", MaxErrorText/2-1)},
		{"x\xffy", "x\uFFFDy"},
		{strings.Repeat("\uFFFD", 10000), strings.Repeat("\uFFFD", MaxErrorText/3)},
	} {
		if got := read(AppendError(nil, ErrorFrame{Code: ErrorStore, Text: tt.say})).Text; got != tt.want {
			t.Errorf("%d bytes of text are read as %d, %q", len(tt.say), len(got), got)
		}
	}
	if got := read([]byte("GOPR\x00\x01\x00\x04\x0A\x00\x00\x01\xff\xfe")).Text; got != "\uFFFD" {
		t.Errorf("what is no text is read as %q", got)
	}
	for _, tt := range []struct {
		e    ErrorFrame
		want string
	}{
		{ErrorFrame{Code: ErrorQueueFull, ID: 9, Text: "a\nb"}, `the peer says: queue full, of message 9: "a\nb"`},
		{ErrorFrame{Code: 99}, "the peer says: code 99"},
		{ErrorFrame{}, "the peer says: code 0"},
	} {
		if got := tt.e.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
