package handler

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
)

// picky accepts version 1 and 2, payloads up to 16 bytes, and commands 0x10 to 0x1F.
func picky(onInvalid string) func(*Handler) {
	return func(h *Handler) {
		h.Versions, h.MaxPayload, h.Commands, h.OnInvalid = []uint32{1, 2}, 16, []string{"0x10-0x1F"}, onInvalid
	}
}

func TestReject(t *testing.T) {
	tests := []struct {
		name   string
		bad    string
		reason string
		drops  bool // on_invalid drop goes on behind it
	}{
		{"wrong magic", "GOPX\x00\x01\x00\x00\x10\x01", "magic", true},
		{"garbage", "hello, world", "magic", true},
		{"garbage that begins like a frame", "GOPGOPGOGO", "magic", true},
		{"version 3", "GOPR\x00\x03\x00\x05\x10\x01hello", "version", true},
		{"version 3 and an unknown command", "GOPR\x00\x03\x00\x05\x99\x01hello", "version", true},
		{"version 3, and longer than accepted", "GOPR\x00\x03\x00\x20\x10\x01" + strings.Repeat("x", 32), "version", true},
		{"longer than accepted", "GOPR\x00\x01\x00\x11\x10\x01" + strings.Repeat("x", 17), "length", false},
		{"an unknown command", "GOPR\x00\x01\x00\x05\x20\x01hello", "command", true},
		{"an unknown command without a payload", "GOPR\x00\x01\x00\x00\x20\x01", "command", true},
		{"a ping's command with other flags", "GOPR\x00\x01\x00\x05\x01\x00hello", "command", true},
		{"a pong's command with other flags", "GOPR\x00\x01\x00\x05\x02\x01hello", "command", true},
	}
	splits := map[string][]int{"whole": nil, "byte by byte": {1}, "in threes": {3}}
	for _, tt := range tests {
		for _, mode := range []string{onInvalidClose, onInvalidDrop} {
			for split, sizes := range splits {
				t.Run(tt.name+"/"+mode+"/"+split, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						h := newHandler(t, picky(mode))
						l := newLife(t, h)
						_, next := l.feed(join(ping, request, []byte(tt.bad), request, ping), sizes...)
						got, _ := l.out.take()

						want, wantNext := join(pong, answer), transport.Close
						if mode == onInvalidDrop && tt.drops {
							want, wantNext = join(pong, answer, answer, pong), transport.More
						}
						if next != wantNext || !bytes.Equal(got, want) {
							t.Errorf("%v and %q, want %v and %q", next, got, wantNext, want)
						}
						if n := metric(t, "rejected_frames_total", h.Name, "reason", tt.reason); n != 1 {
							t.Errorf("%v rejects for %s counted, want 1", n, tt.reason)
						}
						if next == transport.Close {
							if e := l.ending(nil); e.reason != tt.reason || e.err == nil {
								t.Errorf("it ended for %q (%v), want %s with the facts", e.reason, e.err, tt.reason)
							}
							return
						}
						if dropped := lines.of(h.Name, "frame dropped"); len(dropped) != 1 || dropped[0].attrs["reason"] != tt.reason {
							t.Errorf("the log says %v, want one drop for %s", dropped, tt.reason)
						}
					})
				})
			}
		}
	}
}

// TestRejectAtOnce: a wrong magic needs no whole header, and a length that is too long no payload.
func TestRejectAtOnce(t *testing.T) {
	for name, bad := range map[string]string{"magic": "GOQ", "length": "GOPR\x00\x01\x00\x11"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLife(t, newHandler(t, picky(onInvalidClose)))
				if _, next := l.feed([]byte(bad)); next != transport.Close {
					t.Errorf("after %q: %v, want %v", bad, next, transport.Close)
				}
				if rest, next := newLife(t, newHandler(t, picky(onInvalidClose))).feed([]byte(bad[:len(bad)-1])); next != transport.More || len(rest) == 0 {
					t.Errorf("after a byte less: %v, want %v", next, transport.More)
				}
			})
		})
	}
}

// TestDroppedPayloadComesLater: the boundary is known from the header, and what comes of the payload is not taken for frames.
func TestDroppedPayloadComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(t, newHandler(t, picky(onInvalidDrop)))
		payload := string(bytes.Repeat(request, 100)) // looks like frames, and is none
		if _, next := l.feed(frame(0x77, 1, payload)[:10]); next != transport.Close {
			t.Errorf("longer than accepted: %v, want %v: its length is not to be trusted", next, transport.Close)
		}

		l = newLife(t, newHandler(t, func(h *Handler) { picky(onInvalidDrop)(h); h.MaxPayload = 0 }))
		stream := join(frame(0x77, 1, payload), request)
		rest, next := l.feed(stream[:10])
		if len(rest) > 0 || next != transport.More || int(l.skip) != len(payload) {
			t.Fatalf("after the header: %v, %d bytes left, %d to skip; want %v, 0, %d", next, len(rest), l.skip, transport.More, len(payload))
		}
		l.feed(stream[10:], 7)
		if got, _ := l.out.take(); !bytes.Equal(got, answer) {
			t.Errorf("got %q, want one answer", head(got))
		}
		if i := l.Info(); i.FramesIn != 1 || i.BytesIn != uint64(len(stream)) {
			t.Errorf("%d frames and %d bytes, want 1 and %d", i.FramesIn, i.BytesIn, len(stream))
		}
	})
}

// TestSearchIsBounded: on_invalid drop searches 64 KiB for the next magic, whatever the pieces, and one search is one reject.
func TestSearchIsBounded(t *testing.T) {
	for name, sizes := range map[string][]int{"whole": nil, "in kilobytes": {1000}, "one and many": {1, 4096}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, picky(onInvalidDrop))
				garbage := bytes.Repeat([]byte{'x'}, maxSearch)
				l := newLife(t, h)
				if _, next := l.feed(join(garbage, request), sizes...); next != transport.More {
					t.Errorf("a frame after %d bytes: %v, want %v", len(garbage), next, transport.More)
				}
				if got, _ := l.out.take(); !bytes.Equal(got, answer) {
					t.Errorf("got %q, want the answer", head(got))
				}
				// The frame was good, so the next search may go as far.
				if _, next := l.feed(join(garbage, []byte("y"), request), sizes...); next != transport.Close {
					t.Errorf("%d bytes without a frame: %v, want %v", len(garbage)+1, next, transport.Close)
				}
				if e := l.ending(nil); e.reason != "magic" {
					t.Errorf("it ended for %q, want magic", e.reason)
				} else {
					contains(t, e.err.Error(), "no frame within 65536 bytes after a wrong one: wrong magic: byte 0 is 0x")
				}
				if n := metric(t, "rejected_frames_total", h.Name, "reason", "magic"); n != 2 {
					t.Errorf("%v rejects counted, want one for each search", n)
				}
			})
		})
	}
}

// TestDroppedFramesAreFrames: a client whose frames are dropped is in time with each of them, but they are no sign of life.
func TestDroppedFramesAreFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, picky(onInvalidDrop))
		l := newLife(t, h)
		bad := frame(0x77, 1, "0123456789")
		began := time.Now()
		l.feed(bad[:5])
		for time.Since(began) < 40*time.Second { // each piece ends in the middle of a frame
			time.Sleep(8 * time.Second)
			if next := l.Tick(time.Now()); next != transport.More {
				t.Fatalf("closed for %v after %v, with a frame every 8s", l.ending(nil).reason, time.Since(began))
			}
			l.feed(join(bad[5:], bad[:5]))
		}
		time.Sleep(5 * time.Second)
		if next := l.Tick(time.Now()); next != transport.Close || l.ending(nil).reason != reasonIdle {
			t.Errorf("45s without a good frame: %v and %v, want %v and %v", next, l.ending(nil).reason, transport.Close, reasonIdle)
		}
	})
}

// TestRejectEndToEnd: a real client sees its answers, then the end, and the reason is counted and logged.
func TestRejectEndToEnd(t *testing.T) {
	h := newHandler(t, nil)
	c := onTCP(t, h)
	c.send(request, ping, []byte("GET / HTTP/1.1\r\n\r\n"))
	c.expect(answer, pong)
	c.expectEnd()
	closedFor(t, h, "magic", 1)
	logged := lines.of(h.Name, "connection closed")
	if len(logged) != 1 || logged[0].attrs["reason"] != "magic" || logged[0].attrs["remote"] != c.LocalAddr().String() {
		t.Fatalf("the log says %v, want one line for magic", logged)
	}
	contains(t, logged[0].attrs["error"], "wrong magic: byte 1 is 0x45, want 0x4F")
}
