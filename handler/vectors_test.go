package handler

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// The files of wire/testdata, as the README there states them.
type (
	vectorFile struct {
		Format    string
		Heartbeat []struct{ Ping, Pong hexBytes }
		Vectors   []vector
	}
	vector struct {
		Name   string
		Stream hexBytes
		Rules  struct {
			Versions   []uint32
			Commands   []string
			MaxPayload int `json:"max_payload"`
		}
		Frames []vectorFrame
		Rest   int
		Reject *struct {
			Reason string
			Got    uint64
		}
		Dropping *struct {
			Frames   []vectorFrame
			Rest     int
			Skipping int
		}
	}
	vectorFrame struct {
		Version, Cmd, Flag uint32
		Payload            hexBytes
	}
)

// hexBytes is bytes as the vectors write them: "474f5052 0001 a5*256".
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) error {
	*h = hexBytes{}
	for word := range strings.FieldsSeq(string(text)) {
		digits, times, repeated := strings.Cut(word, "*")
		b, err := hex.DecodeString(digits)
		if err != nil {
			return err
		}
		if repeated {
			n, err := strconv.Atoi(times)
			if err != nil {
				return err
			}
			b = bytes.Repeat(b, n)
		}
		*h = append(*h, b...)
	}
	return nil
}

func vectors(t *testing.T, name string) (f vectorFile) {
	t.Helper()
	b, err := os.ReadFile("../wire/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Vectors) == 0 {
		t.Fatalf("%s has no vectors", name)
	}
	return f
}

// echoOf is what an echoing gateway says to a frame.
func echoOf(t *testing.T, f *wire.Format, v vectorFrame) []byte {
	t.Helper()
	cmd, flag := v.Cmd, v.Flag
	if f == wire.GOPR {
		switch {
		case cmd == 1 && flag == 1: // a ping
			cmd, flag = 2, 2
		case flag&1 == 0 || cmd == 2 && flag == 2: // asks nothing; a pong
			return nil
		default:
			flag = flag&^1 | 2
		}
	}
	b, err := f.Append(nil, v.Version, cmd, flag, v.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// isBeat says whether the vector is about a command that the handler, unlike a bare decoder, lets in because it is a heartbeat's.
func isBeat(f *wire.Format, v *vector) bool {
	if v.Reject == nil || v.Reject.Reason != "command" {
		return false
	}
	return f == wire.GOPR && (v.Reject.Got == 1 || v.Reject.Got == 2) || f == wire.MC && v.Reject.Got == 1
}

// TestVectors: what the handler makes of every vector, good and bad, in every split in two, and byte by byte.
func TestVectors(t *testing.T) {
	for _, f := range wire.BuiltIn() {
		for _, kind := range []string{"good", "bad"} {
			for _, v := range vectors(t, f.Name()+"_"+kind).Vectors {
				if isBeat(f, &v) {
					continue
				}
				t.Run(f.Name()+" "+v.Name, func(t *testing.T) {
					for _, onInvalid := range []string{onInvalidClose, onInvalidDrop} {
						synctest.Test(t, func(t *testing.T) {
							h := newHandler(t, func(h *Handler) {
								h.Format, h.OnInvalid = f.Name(), onInvalid
								h.Versions, h.Commands, h.MaxPayload = v.Rules.Versions, v.Rules.Commands, v.Rules.MaxPayload
							})
							for _, split := range splits(len(v.Stream)) {
								play(t, h, f, &v, split)
							}
							if v.Reject != nil && metric(t, "rejected_frames_total", h.Name, "reason", v.Reject.Reason) == 0 {
								t.Errorf("%s: the reject is not counted", onInvalid)
							}
						})
					}
				})
			}
		}
	}
}

// splits are the sizes of pieces for a stream: all, and, of a short one, byte by byte and any two.
func splits(n int) [][]int {
	if n >= 100 {
		return [][]int{{n}, {97, 3}}
	}
	all := [][]int{{max(1, n)}, {1}}
	for i := 1; i < n; i++ {
		all = append(all, []int{i, n})
	}
	return all
}

func play(t *testing.T, h *Handler, f *wire.Format, v *vector, split []int) {
	l := newLife(t, h)
	rest, next := l.feed(v.Stream, split...)

	var want []byte
	frames, wantRest, wantNext, skipping := v.Frames, v.Rest, transport.More, 0
	switch {
	case v.Reject == nil:
	case h.OnInvalid == onInvalidClose || v.Dropping == nil:
		wantNext = transport.Close
	default:
		frames = append(frames[:len(frames):len(frames)], v.Dropping.Frames...)
		wantRest, skipping = v.Dropping.Rest, v.Dropping.Skipping
	}
	for _, frame := range frames {
		want = append(want, echoOf(t, f, frame)...)
	}
	got, _ := l.out.take()
	if !bytes.Equal(got, want) || next != wantNext {
		t.Fatalf("%s, split %v: got %x and %v, want %x and %v", h.OnInvalid, split, head(got), next, head(want), wantNext)
	}
	if wantNext == transport.Close {
		var r *wire.RejectError
		if !errors.As(l.ending(nil).err, &r) || r.Reason.String() != v.Reject.Reason {
			t.Fatalf("split %v: ends with %v, want reason %s", split, l.ending(nil).err, v.Reject.Reason)
		}
	} else if len(rest) != wantRest || int(l.skip) != skipping {
		t.Fatalf("%s, split %v: %d bytes left and %d to skip, want %d and %d", h.OnInvalid, split, len(rest), l.skip, wantRest, skipping)
	}
}

// TestHeartbeatVectors: pings of every format that has one are answered with what other implementations say, and are not passed on, whatever the allow-list.
func TestHeartbeatVectors(t *testing.T) {
	found := 0
	for _, f := range wire.BuiltIn() {
		file := vectors(t, f.Name()+"_good")
		if f == wire.GOPR {
			continue // frames_test.go
		}
		if (len(file.Heartbeat) > 0) != f.HasHeartbeat() {
			t.Errorf("%s: %d heartbeats", f.Name(), len(file.Heartbeat))
		}
		for _, beat := range file.Heartbeat {
			found++
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, func(h *Handler) { h.Format, h.Commands = f.Name(), []string{"0x10-0xFF"} })
				l := newLife(t, h)
				l.feed(beat.Ping, 1)
				if got, _ := l.out.take(); !bytes.Equal(got, beat.Pong) {
					t.Errorf("%s: %x is answered with %x, want %x", f.Name(), beat.Ping, got, beat.Pong)
				}
				if n := metric(t, "pings_answered_total", h.Name); n != 1 {
					t.Errorf("%v pings answered, want 1", n)
				}
				if n := metric(t, "frames_total", h.Name, "direction", "in"); n != 0 {
					t.Errorf("%v application frames, want none", n)
				}
			})
		}
	}
	if found == 0 {
		t.Error("no heartbeats")
	}
}

// mcFrame is a frame of mc, version 1.
func mcFrame(cmd uint32, payload string) []byte {
	b, err := wire.MC.Append(nil, 1, cmd, 0, []byte(payload))
	if err != nil {
		panic(fmt.Sprint(cmd, payload, err))
	}
	return b
}
