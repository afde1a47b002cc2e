package handler

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-gopr/caddy-gopr/gateway"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// small bounds, so that they are met soon.
func small(h *Handler) {
	h.Limits = &Limits{Pending: 2000}
	if h.Upstream != nil {
		h.Upstream.Buffer = 2000
	}
}

// TestPending: what a client does not read is held up to a bound; beyond it nothing more is read on its behalf, from itself or from its backend.
func TestPending(t *testing.T) {
	// flood writes as much as is taken within a moment.
	flood := func(t *testing.T, to net.Conn, f []byte) (taken int) {
		t.Helper()
		_ = to.SetWriteDeadline(time.Now().Add(time.Second))
		for {
			n, err := to.Write(f)
			taken += n
			if taken > 1<<20 {
				t.Fatalf("%d bytes were taken, and no end of it", taken)
			}
			if err != nil {
				_ = to.SetWriteDeadline(time.Time{})
				return taken
			}
		}
	}
	payload := string(make([]byte, 90))
	f := frame(0x10, 1, payload)
	const bound = 2000 + 2*16<<10 // limits pending, and a piece being read at either end

	t.Run("echo", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, small)
			c := onPipe(t, h)
			taken := flood(t, c, f)
			if taken < 2000 || taken > bound {
				t.Errorf("%d bytes were read from a client that does not read, want about 2000", taken)
			}
			// It reads at last, and all goes on.
			rest := f[taken%len(f):]
			go func() { _, _ = c.Write(join(rest, f)) }()
			c.expect(bytes.Repeat(frame(0x10, 2, payload), taken/len(f)+2))
		})
	})
	t.Run("from the backend", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			c := onPipe(t, forwarding(t, dial, small))
			backend := <-backends
			defer func() { _ = backend.Close() }()
			taken := flood(t, backend, f)
			if taken < 2000 || taken > bound {
				t.Errorf("%d bytes were read from the backend of a client that does not read, want about 2000", taken)
			}
			rest := f[taken%len(f):]
			go func() { _, _ = backend.Write(join(rest, f)) }()
			c.expect(bytes.Repeat(f, taken/len(f)+2))
		})
	})
	t.Run("a backend that does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, small)
			c := onPipe(t, h)
			backend := <-backends
			defer func() { _ = backend.Close() }()
			taken := flood(t, c, f)
			if taken < 2000 || taken > bound {
				t.Errorf("%d bytes were read from a client whose backend does not read, want about 2000", taken)
			}
			rest := f[taken%len(f):]
			go func() { _, _ = c.Write(join(rest, f)) }()
			expect(t, backend, bytes.Repeat(f, taken/len(f)+2))
		})
	})
	t.Run("no backend at all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			up := make(chan struct{})
			h := forwarding(t, func() (net.Conn, error) {
				<-up
				return dial()
			}, small)
			c := onPipe(t, h)
			f := frame(0x10, 0, payload)
			taken := flood(t, c, f)
			if taken < 2000 || taken > bound {
				t.Errorf("%d bytes were read from a client without a backend, want about 2000", taken)
			}
			// Its silence is ours: it is not given up for what is not read.
			time.Sleep(10 * time.Minute)
			close(up)
			backend := <-backends
			defer func() { _ = backend.Close() }()
			rest := f[taken%len(f):]
			go func() { _, _ = c.Write(join(rest, f)) }()
			expect(t, backend, bytes.Repeat(f, taken/len(f)+2))
			// From here on its silence counts.
			go answering(backend)
			c.lasted(t, time.Now(), 45*time.Second)
			closedFor(t, h, reasonIdle, 1)
		})
	})
}

// TestPauseEnds: whoever clears the last reason for a pause resumes, and not before.
func TestPauseEnds(t *testing.T) {
	client := (*conn).Drained
	backend := func(i int) func(*conn) { return func(c *conn) { c.leases.all()[i].Room() } }
	tests := []struct {
		name  string
		calls []func(*conn)
	}{
		{"the backends, then the client", []func(*conn){backend(0), backend(1), client}},
		{"the client, then the backends", []func(*conn){client, backend(1), backend(0)}},
		{"the client between", []func(*conn){backend(1), client, backend(0)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, nil)
				l := newLife(t, h)
				holds := []*hold{{c: l.conn, lease: idleLease{}}, {c: l.conn, lease: idleLease{}}}
				l.leases.holds.Store(&holds)
				defer l.leases.holds.Store(nil)
				for _, h := range holds {
					h.full.Store(true)
				}
				l.ownFull.Store(true)
				for i, call := range tt.calls {
					if free := !l.leases.full() && !l.ownFull.Load(); free {
						t.Errorf("before call %d nothing is in the way any more", i)
					}
					call(l.conn)
				}
				if l.leases.full() || l.ownFull.Load() {
					t.Error("after all calls something is still in the way")
				}
			})
		})
	}
}

// idleLease is a lease of which nothing is asked.
type idleLease struct{ upstream.Lease }

func (idleLease) Resume() {}

// TestClocksInAPause: nothing is held against a client from which nothing is read, but it can be ended.
func TestClocksInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, small)
		l := newLife(t, h)
		l.held = true
		if d := l.Deadline(); !d.IsZero() {
			t.Errorf("deadline %v, want none", d)
		}
		time.Sleep(time.Hour)
		if next := l.Tick(time.Now()); next != transport.Pause {
			t.Errorf("tick says %v, want %v", next, transport.Pause)
		}
		l.End(reasonKilled)
		if next := l.Tick(time.Now()); next != transport.Close {
			t.Errorf("tick says %v after End, want %v", next, transport.Close)
		}
		if e := l.ending(nil); e.reason != reasonKilled {
			t.Errorf("it ended for %q, want %s", e.reason, reasonKilled)
		}
	})
}

// TestSoak: small bounds and slow readers at both ends, and every frame arrives, in order: no wake-up is lost.
func TestSoak(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		h := forwarding(t, func() (net.Conn, error) {
			ours, theirs := net.Pipe()
			go answering(slowReader{theirs, 700})
			return ours, nil
		}, small)
		soak(t, 2000, func() *client { return onPipe(t, h) })
	})
	t.Run("tcp", func(t *testing.T) {
		h := forwarding(t, loopback(t, func(nc net.Conn) {
			_ = nc.(*net.TCPConn).SetReadBuffer(4096)
			answering(slowReader{nc, 700})
		}), small)
		soak(t, 200, func() *client {
			c := onTCP(t, h)
			_ = c.Conn.(*net.TCPConn).SetReadBuffer(4096)
			return c
		})
	})
}

func soak(t *testing.T, frames uint32, connect func() *client) {
	var all sync.WaitGroup
	for range 8 {
		c := connect()
		all.Go(func() {
			payload := make([]byte, 300)
			for i := range frames {
				binary.BigEndian.PutUint32(payload, i)
				b := wire.AppendFrame(nil, 0x10, wire.FlagReq, payload[:4+i%297])
				if i%10 == 0 {
					b = append(b, ping...)
				}
				if _, err := c.Write(b); err != nil {
					t.Errorf("frame %d: %v", i, err)
					return
				}
			}
		})
		all.Go(func() {
			r := slowReader{c, 1100}
			var answers, pongs uint32
			for answers < frames || pongs < frames/10 {
				cmd, _, payload, err := readFrame(r)
				switch {
				case err != nil:
					t.Errorf("after %d answers and %d pongs: %v", answers, pongs, err)
					return
				case cmd == wire.CmdPong:
					pongs++
				case binary.BigEndian.Uint32(payload) != answers || uint32(len(payload)) != 4+answers%297:
					t.Errorf("answer %d is %d with %d bytes", answers, binary.BigEndian.Uint32(payload), len(payload))
					return
				default:
					answers++
				}
			}
		})
	}
	all.Wait()
}

// slowReader reads a few bytes at a time.
type slowReader struct {
	net.Conn
	most int
}

func (s slowReader) Read(b []byte) (int, error) { return s.Conn.Read(b[:min(len(b), s.most)]) }

// TestGreeting: what a backend says before its client is known to it waits for the client, however much it is, and all of it arrives.
func TestGreeting(t *testing.T) {
	hello := bytes.Repeat(frame(0x30, 0, string(make([]byte, 500))), 400)
	greeting := loopback(t, func(nc net.Conn) {
		go func() { _, _ = nc.Write(hello) }() // fails where nobody came for it
		discard(nc)
	})
	t.Run("on a link of its own", func(t *testing.T) {
		h := forwarding(t, greeting, small)
		for range 20 {
			c := onTCP(t, h)
			c.expect(hello)
			_ = c.Close()
			<-c.done
		}
	})
	t.Run("on a link that waited for it", func(t *testing.T) {
		h := forwarding(t, greeting, func(h *Handler) {
			h.Limits = &Limits{Pending: 1} // full with the first frame, before the client's lease is known to it
			h.Upstream.Connections.Min = new(int(1))
		})
		group := h.settings.upstream.acquire()
		defer gateway.ReleaseGroup(group)
		if _, err := group.Upstream(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			eventually(t, "a spare link", func() bool {
				return metric(t, "upstream_links", h.Name, "backend", "backend:9000", "state", "spare") == 1
			})
			c := onTCP(t, h)
			c.expect(hello)
			_ = c.Close()
			<-c.done
		}
	})
}
