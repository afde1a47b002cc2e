package wire

import (
	"bytes"
	"testing"
	"unsafe"
)

func TestAppendHeader(t *testing.T) {
	tests := []struct {
		cmd, flag uint8
		length    int
		want      string
	}{
		{CmdPing, FlagReq, 0, "GOPR\x00\x01\x00\x00\x01\x01"},
		{CmdPong, FlagRsp, 12, "GOPR\x00\x01\x00\x0c\x02\x02"},
		{0, 0, 1, "GOPR\x00\x01\x00\x01\x00\x00"},
		{CmdApp, FlagID | FlagQoS1, 256, "GOPR\x00\x01\x01\x00\x10\x24"},
		{0xFF, 0xFF, MaxPayload, "GOPR\x00\x01\xff\xff\xff\xff"},
	}
	for _, tt := range tests {
		if got := AppendHeader(nil, tt.cmd, tt.flag, tt.length); string(got) != tt.want {
			t.Errorf("AppendHeader(nil, %#x, %#x, %d) = %q, want %q", tt.cmd, tt.flag, tt.length, got, tt.want)
		}
		if got := AppendHeader([]byte("before"), tt.cmd, tt.flag, tt.length); string(got) != "before"+tt.want {
			t.Errorf("behind other bytes: %q", got)
		}
	}
}

func TestAppendFrame(t *testing.T) {
	got := AppendFrame([]byte("before"), CmdApp, FlagReq, []byte("hello"))
	if want := "before" + "GOPR\x00\x01\x00\x05\x10\x01hello"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}

	longest := bytes.Repeat([]byte{0xA5}, MaxPayload)
	got = AppendFrame(nil, CmdApp, 0, longest)
	if want := append([]byte("GOPR\x00\x01\xff\xff\x10\x00"), longest...); !bytes.Equal(got, want) {
		t.Errorf("the longest frame: %d bytes, beginning with %q", len(got), got[:HeaderLen])
	}
}

func TestAppendFrameUsesRoom(t *testing.T) {
	dst := make([]byte, 3, 3+HeaderLen+5)
	got := AppendFrame(dst, CmdApp, 0, []byte("hello"))
	if unsafe.SliceData(got) != unsafe.SliceData(dst) {
		t.Error("a dst with just enough room was replaced")
	}
	if len(got) != cap(dst) {
		t.Errorf("%d bytes, want %d", len(got), cap(dst))
	}
}

// No frame is better than one whose length is a lie.
func TestAppendPanicsWhenTooLong(t *testing.T) {
	mustPanic := func(name string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s did not panic", name)
			}
		}()
		f()
	}
	mustPanic("AppendHeader of MaxPayload+1", func() { AppendHeader(nil, CmdApp, 0, MaxPayload+1) })
	mustPanic("AppendHeader of -1", func() { AppendHeader(nil, CmdApp, 0, -1) })
	mustPanic("AppendFrame of MaxPayload+1", func() { AppendFrame(nil, CmdApp, 0, make([]byte, MaxPayload+1)) })
}
