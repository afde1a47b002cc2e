package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		payload := []byte("first")
		if err := c.Send(t.Context(), 0x10, 0, payload); err != nil {
			t.Fatal(err)
		}
		copy(payload, "after") // it is the caller's again
		if err := c.TrySend(0x11, 0xFC, nil); err != nil {
			t.Fatal(err)
		}
		if err := c.TrySend(0x12, wire.FlagRsp, []byte(strings.Repeat("x", wire.MaxPayload))); err != nil {
			t.Fatal(err)
		}
		p.expect(0x10, 0, "first")
		p.expect(0x11, 0xFC, "")
		p.expect(0x12, 2, strings.Repeat("x", wire.MaxPayload))
	})
}

func TestSendRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{})
		var tooLong *wire.FieldError
		for _, send := range []func(flag uint8, payload []byte) error{
			func(flag uint8, payload []byte) error { return c.Send(t.Context(), 0x10, flag, payload) },
			func(flag uint8, payload []byte) error { return c.TrySend(0x10, flag, payload) },
		} {
			if err := send(wire.FlagReq|0x40, nil); err != errAsks {
				t.Errorf("a frame that asks: %v", err)
			}
			if err := send(0, make([]byte, wire.MaxPayload+1)); !errors.As(err, &tooLong) {
				t.Errorf("too long: %v", err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Send(ended, 0x10, 0, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		c.Close()
		if f, err := p.next(); err != io.EOF {
			t.Errorf("the peer got %v, %v, want nothing", f, err)
		}
	})
}

func TestSendNotConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.up = false
		c := start(t, n, Options{})
		synctest.Wait()
		if err := c.Send(t.Context(), 0x10, 0, nil); !errors.Is(err, ErrNotConnected) || !errors.Is(err, errRefused) {
			t.Errorf("got %v", err)
		}
		idle, err := New("127.0.0.1:1", Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		if err := idle.TrySend(0x10, 0, nil); err != ErrNotConnected {
			t.Errorf("before Run: %v", err)
		}
	})
}

func TestSendWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const pending = 10_000
		c, p := connect(t, Options{Pending: pending})
		payload := strings.Repeat("x", 990) // frames of 1000 bytes
		for i := 0; ; i++ {
			err := c.TrySend(0x10, 0, []byte(payload))
			if errors.Is(err, ErrFull) {
				if i != 11 {
					t.Errorf("full after %d frames of 1000 bytes, want 11", i)
				}
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := c.Status().Unsent; got > pending+1000 {
			t.Errorf("%d bytes unsent", got)
		}

		sent := make(chan error, 1)
		go func() { sent <- c.Send(t.Context(), 0x11, 0, []byte("waits")) }()
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Send(impatient, 0x12, 0, []byte("does not"))
		if want := "not sent: context deadline exceeded"; !errors.Is(err, context.DeadlineExceeded) || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
		select {
		case err := <-sent:
			t.Errorf("Send returned %v, and there is no room", err)
		default:
		}

		for range 11 {
			p.expect(0x10, 0, payload)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
		p.expect(0x11, 0, "waits")
		if err := c.TrySend(0x13, 0, nil); err != nil {
			t.Errorf("when all is read: %v", err)
		}
		p.expect(0x13, 0, "")
	})
}

func TestSendWaitingWhenTheConnectionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := connect(t, Options{Pending: 100})
		if err := c.TrySend(0x10, 0, make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		err := c.Send(t.Context(), 0x10, 0, nil)
		if got := time.Since(begin); !errors.Is(err, ErrNotConnected) || !errors.Is(err, transport.ErrWriteTimeout) || got != 10*time.Second {
			t.Errorf("got %v after %v, want the write timeout after 10s", err, got)
		}
		p.nc.Close()
	})
}

// Drained may come before the frame that it answers is known to be too much. Then the room must not be closed for ever: with
// a bound of one byte every frame is too much, and a peer that reads at once makes every Drained such a one.
func TestDrainedAtOnce(t *testing.T) {
	ours, theirs := net.Pipe()
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, theirs)
	}()
	c, err := Dial(t.Context(), "peer", Options{Pending: 1, Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		if err := c.Send(t.Context(), 0x10, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	<-read
}

// Frames of one goroutine arrive in order, those of a request and those that ask for nothing, whatever others do.
func TestSendOrder(t *testing.T) {
	const senders, each = 8, 300
	done := make(chan error, 1)
	addr := listen(t, func(nc net.Conn) {
		p := &peer{t: t, nc: nc}
		var next [senders]uint32
		for range senders * each {
			f, err := p.next()
			if err != nil {
				done <- err
				return
			}
			who, i := f.Cmd-0x10, binary.BigEndian.Uint32(f.Payload)
			if i != next[who] {
				done <- fmt.Errorf("sender %d: frame %d came when %d was next", who, i, next[who])
				return
			}
			next[who]++
			if f.Flag&wire.FlagReq != 0 {
				p.write(wire.AppendFrame(nil, uint8(f.Cmd), wire.FlagRsp, f.Payload))
			}
		}
		done <- nil
		p.read()
	})
	c, err := Dial(t.Context(), addr, Options{Pending: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var all sync.WaitGroup
	for who := range uint8(senders) {
		all.Go(func() {
			for i := range uint32(each) {
				payload := binary.BigEndian.AppendUint32(nil, i)
				if i%7 == 0 {
					if _, err := c.Request(t.Context(), 0x10+who, payload); err != nil {
						t.Error(err)
						return
					}
				} else if err := c.Send(t.Context(), 0x10+who, 0, payload); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSendAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	addr := listen(t, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
	c, err := Dial(t.Context(), addr, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, payload := t.Context(), make([]byte, 64)
	for name, send := range map[string]func() error{
		"Send":    func() error { return c.Send(ctx, 0x10, 0, payload) },
		"TrySend": func() error { return c.TrySend(0x10, 0, payload) },
	} {
		allocs := testing.AllocsPerRun(1000, func() {
			if err := send(); err != nil {
				t.Fatal(err)
			}
		})
		if allocs != 0 {
			t.Errorf("%v allocations per %s, want none", allocs, name)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	for _, size := range []int{64, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			addr := listen(b, func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) })
			c, err := Dial(b.Context(), addr, Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			payload := make([]byte, size)
			b.SetBytes(int64(wire.HeaderLen + size))
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Send(b.Context(), 0x10, 0, payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
