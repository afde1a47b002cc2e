package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// extendedVector is one of wire/testdata/extended_*.json.
type extendedVector struct {
	Name, Frame string
	extendedJSON
	Reject *struct{ Reason string }
}

func extendedVectors(t *testing.T, kind string) []extendedVector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "wire", "testdata", "extended_"+kind+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []extendedVector }
	if err := json.Unmarshal(b, &all); err != nil || len(all.Vectors) == 0 {
		t.Fatal(len(all.Vectors), err)
	}
	return all.Vectors
}

var extendedColumns = []string{
	"tcp.stream", "_ws.malformed", "gopr.malformed", "gopr.extended.malformed", "gopr.id", "gopr.checksum.status", "gopr.payload", "gopr.client_id", "gopr.capabilities",
	"gopr.session.expiry", "gopr.token.length", "gopr.credential.length", "gopr.session.status", "gopr.heartbeat.interval", "gopr.idle", "gopr.window", "gopr.last_id",
	"gopr.goaway.reason", "gopr.goaway.after", "gopr.error.code", "gopr.error.text",
}

// dissectExtended sends each frame behind a HELLO, on a connection of its own, and returns the fields of the frames, by connection.
func dissectExtended(t *testing.T, vectors []extendedVector, options ...string) []map[string]string {
	t.Helper()
	traffic := newCapture()
	hello, err := wire.AppendHello(nil, &wire.Hello{ClientID: []byte("d")})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		conn := traffic.connect(7450)
		if len(options) == 0 {
			conn.send(0, hello)
		}
		conn.send(0, []byte(vectorBytes(t, v.Frame)))
	}
	got := make([]map[string]string, len(vectors))
	for _, packet := range tshark(t, traffic, []string{dissectorOf(t, wire.GOPR, "gopr", 7450)}, options, extendedColumns...) {
		var n int
		if _, err := fmt.Sscan(packet[0], &n); err != nil {
			t.Fatal(err)
		}
		got[n] = map[string]string{} // the last packet's, in which the frame ends
		for i, v := range packet {
			if v != "" && i > 0 {
				got[n][extendedColumns[i]] = plainNumber(v)
			}
		}
	}
	return got
}

// said is what tshark has to say of a frame that wire's vectors know.
func (v *extendedVector) said() map[string]string {
	all := map[string]string{}
	say := func(column string, value any) {
		if s := fmt.Sprint(value); s != "" {
			all["gopr."+column] = s
		}
	}
	id := func(id uint32) {
		if id != 0 {
			say("id", id)
		}
	}
	switch {
	case v.Ext != nil:
		id(v.Ext.ID)
		say("payload", strings.Join(strings.Fields(v.Ext.Payload), ""))
		if v.Ext.CRC {
			say("checksum.status", "good")
		}
	case v.Hello != nil:
		say("client_id", v.Hello.ClientID)
		say("capabilities", v.Hello.Capabilities)
		say("session.expiry", v.Hello.Expiry)
	case v.Welcome != nil:
		w := v.Welcome
		status := 0
		if w.Resumed {
			status = 1
		}
		say("capabilities", w.Capabilities)
		say("session.expiry", w.Expiry)
		say("session.status", status)
		say("heartbeat.interval", w.Heartbeat)
		say("idle", w.Idle)
		say("window", w.Window)
		say("last_id", w.LastID)
	case v.Ack != nil:
		id(v.Ack.ID)
	case v.GoAway != nil:
		say("goaway.reason", v.GoAway.Reason)
		say("goaway.after", v.GoAway.After)
	case v.Error != nil:
		id(v.Error.ID)
		say("error.code", uint16(v.Error.Code))
		say("error.text", v.Error.Text)
	}
	return all
}

// What tshark says of the frames of extended connections is what the vectors say, and the secret is not in it.
func TestDissectorExtended(t *testing.T) {
	vectors := extendedVectors(t, "good")
	for _, options := range [][]string{nil, {"-o", "gopr.extended:TRUE"}} {
		for i, got := range dissectExtended(t, vectors, options...) {
			v := &vectors[i]
			if v.Ext != nil && len(v.Frame) < 200 && strings.Contains(v.Frame, "*") {
				got["gopr.payload"] = strings.Join(strings.Fields(v.Ext.Payload), "") // 64 KiB, which tshark cuts short
			}
			delete(got, "gopr.token.length")
			delete(got, "gopr.credential.length")
			if want := v.said(); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %v: tshark found\n%v\nwant\n%v", v.Name, options, got, want)
			}
		}
	}
}

// What wire rejects, tshark remarks on.
func TestDissectorExtendedMalformed(t *testing.T) {
	vectors := extendedVectors(t, "bad")
	for i, got := range dissectExtended(t, vectors) {
		if got["gopr.malformed"] != "" || (got["gopr.extended.malformed"] != "") != (vectors[i].Reject.Reason == "malformed") && got["gopr.checksum.status"] != "bad" {
			t.Errorf("%s: tshark found\n%v", vectors[i].Name, got)
		}
	}
}

// Without a HELLO the same frames are the application's.
func TestDissectorPlain(t *testing.T) {
	var frames []extendedVector
	for _, v := range extendedVectors(t, "good") {
		if v.Hello == nil && v.Welcome == nil && !strings.Contains(v.Frame, "*") {
			frames = append(frames, v)
		}
	}
	for i, got := range dissectExtended(t, frames, "-o", "gopr.extended:FALSE") {
		payload := frames[i].Frame[2*wire.HeaderLen:]
		if got["gopr.payload"] != payload || len(got) > 1 && payload != "" || len(got) > 0 && payload == "" {
			t.Errorf("%s: tshark found\n%v", frames[i].Name, got)
		}
	}
}
