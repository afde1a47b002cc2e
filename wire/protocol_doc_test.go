package wire

import (
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The frames that docs/protocol.md shows are frames, and those of extended connections parse.
func TestFramesOfTheDocumentation(t *testing.T) {
	doc, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(client|gateway)? *((?:[0-9a-f]{2} ?)+)$`)
	var stream []byte
	for text := range strings.Lines(string(doc)) {
		m := line.FindStringSubmatch(strings.TrimRight(text, "\n"))
		if m == nil {
			continue
		}
		b, err := hex.DecodeString(strings.ReplaceAll(m[2], " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		stream = append(stream, b...)
	}
	d := newDecoder(t, GOPR, Rules{})
	shown := map[uint32]int{}
	for len(stream) > 0 {
		var f Frame
		n, err := d.Next(stream, &f)
		if n == 0 {
			t.Fatalf("no frame: %x, %v", stream, err)
		}
		if f.Cmd < CmdApp {
			err = CheckControl(&f)
		} else {
			_, err = ParseExt(&f)
		}
		if err != nil {
			t.Errorf("%x: %v", f.Raw, err)
		}
		shown[f.Cmd]++
		stream = stream[n:]
	}
	for _, cmd := range []uint32{CmdPing, CmdPong, CmdHello, CmdWelcome, CmdPubAck, CmdPubRec, CmdPubRel, CmdPubComp, CmdApp} {
		if shown[cmd] == 0 {
			t.Errorf("no frame of command %#x is shown", cmd)
		}
	}
}
