package handler

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
)

func TestEcho(t *testing.T) {
	empty := frame(0x10, 0x01, "")
	tests := []struct {
		name       string
		in         []byte
		want       []byte
		frames     uint64
		framesBack uint64
	}{
		{"a request", request, answer, 1, 1},
		{"an empty request", empty, frame(0x10, 0x02, ""), 1, 1},
		{"a one-way frame has no answer", oneWay, nil, 1, 0},
		{"an answer has no answer", answer, nil, 1, 0},
		{"other flags come back", frame(0x10, 0xA5, "x"), frame(0x10, 0xA6, "x"), 1, 1},
		{"a ping", ping, pong, 0, 0},
		{"a ping without a payload", frame(1, 1, ""), frame(2, 2, ""), 0, 0},
		{"a pong nobody asked for", pong, nil, 0, 0},
		{"a heartbeat's command with other flags is the application's", frame(1, 0x03, "x"), frame(1, 0x02, "x"), 1, 1},
		{"all in order", join(request, ping, oneWay, request, ping), join(answer, pong, answer, pong), 3, 2},
		{"the largest", frame(0x10, 1, string(make([]byte, 65535))), frame(0x10, 2, string(make([]byte, 65535))), 1, 1},
	}
	splits := map[string][]int{"whole": nil, "byte by byte": {1}, "header and payload": {10, 5}, "uneven": {3, 11, 1}}
	for _, tt := range tests {
		for name, sizes := range splits {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := newLife(t, newHandler(t, nil))
					rest, next := l.feed(tt.in, sizes...)
					if len(rest) != 0 || next != transport.More {
						t.Errorf("%d bytes left and %v, want none and %v", len(rest), next, transport.More)
					}
					if got, _ := l.out.take(); !bytes.Equal(got, tt.want) {
						t.Errorf("got %q, want %q", head(got), head(tt.want))
					}
					i := l.Info()
					want := gateway.Info{FramesIn: tt.frames, FramesOut: tt.framesBack, BytesIn: uint64(len(tt.in)), BytesOut: uint64(len(tt.want))}
					if got := totals(i); !reflect.DeepEqual(got, want) {
						t.Errorf("info is %+v, want %+v", got, want)
					}
				})
			})
		}
	}
}

// TestSplits: whatever the split, what comes out is the same, both ways.
func TestSplits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, nil)
		l := newLife(t, h)
		backend := <-backends
		defer func() { _ = backend.Close() }()
		var got bytes.Buffer
		go func() { _, _ = io.Copy(&got, backend) }()

		var stream, forwarded, answered []byte
		for i := range 500 {
			f := frame(0x10+uint8(i%3), uint8(i%2), fmt.Sprint(i, " ", string(make([]byte, i%70))))
			stream, forwarded = append(stream, f...), append(forwarded, f...)
			if i%5 == 0 {
				stream, answered = append(stream, ping...), append(answered, pong...)
			}
		}
		sizes := make([]int, 100)
		for i := range sizes {
			sizes[i] = 1 + rand.IntN(1<<rand.IntN(10))
		}
		if rest, next := l.feed(stream, sizes...); len(rest) > 0 || next != transport.More {
			t.Errorf("%d bytes left, %v; sizes %v", len(rest), next, sizes)
		}
		if b, _ := l.out.take(); !bytes.Equal(b, answered) {
			t.Errorf("the client got %d bytes, want %d pongs; sizes %v", len(b), len(answered)/len(pong), sizes)
		}
		if !bytes.Equal(got.Bytes(), forwarded) {
			t.Errorf("the backend got %d bytes, want %d; sizes %v", got.Len(), len(forwarded), sizes)
		}
	})
}

// TestManyRequestsInOneWrite over a real socket: every answer, in order.
func TestManyRequestsInOneWrite(t *testing.T) {
	for _, tt := range []struct {
		name    string
		handler func(t *testing.T) *Handler
	}{
		{"echo", func(t *testing.T) *Handler { return newHandler(t, nil) }},
		{"upstream", func(t *testing.T) *Handler { return forwarding(t, loopback(t, answering), nil) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := onTCP(t, tt.handler(t))
			var in, want []byte
			for i := range 2000 {
				in = append(in, frame(0x10, 1, fmt.Sprint("request ", i))...)
				want = append(want, frame(0x10, 2, fmt.Sprint("request ", i))...)
			}
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = c.Write(in)
			}()
			c.expect(want)
			<-sent
		})
	}
}

func TestOneByteAtATime(t *testing.T) {
	c := onTCP(t, forwarding(t, loopback(t, answering), nil))
	go func() {
		for _, b := range join(request, ping, oneWay, request) {
			_, _ = c.Write([]byte{b})
		}
	}()
	var answers, pongs int
	for answers+pongs < 3 {
		cmd, flag, payload, err := readFrame(c)
		switch {
		case err != nil:
			t.Fatal(err)
		case cmd == 0x10 && flag == 2 && string(payload) == "hello":
			answers++
		case cmd == 2 && flag == 2 && string(payload) == "mark":
			pongs++
		default:
			t.Fatalf("command %#x flag %#x payload %q", cmd, flag, payload)
		}
	}
	if answers != 2 || pongs != 1 {
		t.Errorf("%d answers and %d pongs, want 2 and 1", answers, pongs)
	}
}

// TestOneWriteForEachPiece: what a piece calls for goes out in one write each way.
func TestOneWriteForEachPiece(t *testing.T) {
	mixed := bytes.Repeat(join(request, ping, oneWay), 100)

	t.Run("echo", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLife(t, newHandler(t, nil))
			l.feed(mixed)
			if b, writes := l.out.take(); writes != 1 || !bytes.Equal(b, bytes.Repeat(join(answer, pong), 100)) {
				t.Errorf("%d bytes in %d writes, want all in 1", len(b), writes)
			}
		})
	})
	t.Run("upstream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			link := new(countingLink)
			l := newLife(t, forwarding(t, link.dial, nil))
			synctest.Wait() // for the link
			defer link.close()

			l.feed(bytes.Repeat(request, 300))
			if b, writes := link.out.take(); writes != 1 || len(b) != 300*len(request) {
				t.Errorf("300 requests in a row: %d bytes to the backend in %d writes, want 1", len(b), writes)
			}
			if b, writes := l.out.take(); writes != 0 {
				t.Errorf("the client got %q", b)
			}
			l.feed(bytes.Repeat(join(ping, ping), 50))
			if b, writes := l.out.take(); writes != 1 || !bytes.Equal(b, bytes.Repeat(pong, 100)) {
				t.Errorf("100 pings: %d bytes to the client in %d writes, want 1", len(b), writes)
			}
		})
	})
	t.Run("from the backend", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			l := newLife(t, forwarding(t, dial, nil))
			backend := <-backends
			defer func() { _ = backend.Close() }()
			run := bytes.Repeat(answer, 20)
			if _, err := backend.Write(run); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if b, writes := l.out.take(); writes != 1 || !bytes.Equal(b, run) {
				t.Errorf("%d bytes in %d writes, want %d in 1", len(b), writes, len(run))
			}
		})
	})
}

// TestMixedPieceOrder: control frames between application frames do not change their order, and what is before a bad frame is answered.
func TestMixedPieceOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := new(countingLink)
		l := newLife(t, forwarding(t, link.dial, nil))
		synctest.Wait()
		defer link.close()
		first, second, third := frame(0x10, 1, "first"), frame(0x11, 0, "second"), frame(0x12, 1, "third")
		_, next := l.feed(join(first, ping, second, frame(1, 1, "2"), third, []byte("garbage")))
		if next != transport.Close {
			t.Errorf("after garbage: %v, want %v", next, transport.Close)
		}
		if b, _ := link.out.take(); !bytes.Equal(b, join(first, second, third)) {
			t.Errorf("the backend got %q", b)
		}
		if b, _ := l.out.take(); !bytes.Equal(b, join(pong, frame(2, 2, "2"))) {
			t.Errorf("the client got %q", b)
		}
		if i := l.Info(); i.Unanswered != 2 || len(i.Links) != 1 || i.Links[0].Backend != "backend:9000" || i.FramesIn != 3 {
			t.Errorf("info is %+v", i)
		}
	})
}
