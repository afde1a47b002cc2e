package handler

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

func duration(d time.Duration) *caddy.Duration { return new(caddy.Duration(d)) }

// lasted waits for the end of the connection, and says how long after began it came.
func (c *client) lasted(t *testing.T, began time.Time, want time.Duration) {
	t.Helper()
	<-c.done
	if got := time.Since(began); got < want || got > want+2*time.Second {
		t.Errorf("the connection ended after %v, want %v", got, want)
	}
}

func TestIdleTimeout(t *testing.T) {
	t.Run("a silent client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, nil)
			began := time.Now()
			onPipe(t, h).lasted(t, began, 45*time.Second)
			closedFor(t, h, reasonIdle, 1)
		})
	})
	t.Run("a client that pings stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, nil)
			c := onPipe(t, h)
			for range 100 {
				time.Sleep(30 * time.Second)
				c.send(ping)
				c.expect(pong)
			}
			c.lasted(t, time.Now(), 45*time.Second)
		})
	})
	t.Run("what comes from the backend is no sign of the client's life", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, nil)
			began := time.Now()
			c := onPipe(t, h)
			backend := <-backends
			defer func() { _ = backend.Close() }()
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				for _, err := backend.Write(oneWay); err == nil; _, err = backend.Write(oneWay) {
					time.Sleep(10 * time.Second)
				}
			}()
			go func() { _, _ = io.Copy(io.Discard, backend) }()
			go func() { _, _ = io.Copy(io.Discard, c) }()
			c.lasted(t, began, 45*time.Second)
			closedFor(t, h, reasonIdle, 1)
			<-fed
		})
	})
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := onPipe(t, newHandler(t, func(h *Handler) { h.IdleTimeout = duration(0) }))
			time.Sleep(1000 * time.Hour)
			c.send(ping)
			c.expect(pong)
		})
	})
}

func TestFrameTimeout(t *testing.T) {
	t.Run("a client that drips", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, nil)
			c := onPipe(t, h)
			c.send(request)
			c.expect(answer)
			began := time.Now()
			for _, b := range frame(0x10, 1, "a long story, told slowly") {
				if _, err := c.Write([]byte{b}); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			c.lasted(t, began, 10*time.Second)
			closedFor(t, h, reasonFrame, 1)
		})
	})
	t.Run("half a header held open", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, func(h *Handler) { h.FrameTimeout = duration(3 * time.Second) })
			c := onPipe(t, h)
			began := time.Now()
			c.send([]byte("GOPR\x00"))
			c.lasted(t, began, 3*time.Second)
			closedFor(t, h, reasonFrame, 1)
		})
	})
	t.Run("the payload of a dropped frame that does not come", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, picky(onInvalidDrop))
			c := onPipe(t, h)
			began := time.Now()
			c.send(frame(0x77, 0, "0123456789")[:15])
			c.lasted(t, began, 10*time.Second)
			closedFor(t, h, reasonFrame, 1)
		})
	})
	t.Run("each frame has its own time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := onPipe(t, newHandler(t, nil))
			c.send(request[:3])
			for range 50 {
				time.Sleep(9 * time.Second)
				c.send(request[3:], request[:3])
				c.expect(answer)
			}
		})
	})
	t.Run("off, and the idle timeout holds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, func(h *Handler) { h.FrameTimeout = duration(0) })
			c := onPipe(t, h)
			began := time.Now()
			c.send(request[:3])
			c.lasted(t, began, 45*time.Second)
			closedFor(t, h, reasonIdle, 1)
		})
	})
}

func TestHeartbeatOfAnotherKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Heartbeat = &Heartbeat{Ping: &Control{0x7E, 0x00}, Pong: &Control{0x7E, 0x80}}
			h.Commands = []string{"0x10"}
		})
		c := onPipe(t, h)
		c.send(frame(0x7E, 0x00, "mark"))
		c.expect(frame(0x7E, 0x80, "mark"))
		c.send(frame(0x7E, 0x80, "mark"), request) // a pong, though nobody asked
		c.expect(answer)
		go func() { _, _ = c.Write(ping) }() // is the application's here, and not allowed
		c.expectEnd()
		closedFor(t, h, "command", 1)
		if n := metric(t, "pings_answered_total", h.Name); n != 1 {
			t.Errorf("%v pings counted, want 1", n)
		}
	})
}

// TestProbe: the gateway pings a client that is quiet, and no other.
func TestProbe(t *testing.T) {
	probing := func(h *Handler) {
		h.Heartbeat = &Heartbeat{Probe: caddy.Duration(20 * time.Second)}
		h.IdleTimeout = duration(0)
	}
	t.Run("a quiet client that answers stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, probing)
			c := onPipe(t, h)
			for n := range 20 {
				began := time.Now()
				cmd, flag, payload, err := readFrame(c)
				if err != nil || cmd != wire.CmdPing || flag != wire.FlagReq || len(payload) != wire.PingLen {
					t.Fatalf("probe %d is command %#x, flag %#x, %d bytes, %v", n, cmd, flag, len(payload), err)
				}
				if d := time.Since(began); d < 18*time.Second || d > 23*time.Second {
					t.Errorf("probe %d came after %v, want 20s ± a tenth", n, d)
				}
				c.send(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload))
			}
		})
	})
	t.Run("one that does not answer is closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, probing)
			c := onPipe(t, h)
			if _, _, _, err := readFrame(c); err != nil {
				t.Fatal(err)
			}
			c.lasted(t, time.Now(), 10*time.Second)
			closedFor(t, h, reasonHeartbeat, 1)
		})
	})
	t.Run("a pong of another's is no answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, probing)
			c := onPipe(t, h)
			_, _, payload, err := readFrame(c)
			if err != nil {
				t.Fatal(err)
			}
			payload[3]++
			c.send(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload), pong)
			c.lasted(t, time.Now(), 10*time.Second)
			closedFor(t, h, reasonHeartbeat, 1)
		})
	})
	t.Run("a busy one is not probed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := onPipe(t, newHandler(t, probing))
			for range 100 {
				time.Sleep(7 * time.Second)
				c.send(request)
				c.expect(answer) // and no ping before it
			}
		})
	})
	t.Run("in the version that the client speaks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := onPipe(t, newHandler(t, func(h *Handler) { probing(h); h.Versions = []uint32{2} }))
			header := make([]byte, 6)
			if _, err := io.ReadFull(c, header); err != nil || !bytes.Equal(header, []byte("GOPR\x00\x02")) {
				t.Errorf("the probe begins %q, %v; want version 2", header, err)
			}
		})
	})
}

// TestWriteTimeout: a client that never reads is given up, and its backend's link with it.
func TestWriteTimeout(t *testing.T) {
	t.Run("echo", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, func(h *Handler) { h.WriteTimeout = caddy.Duration(5 * time.Second) })
			c := onPipe(t, h)
			began := time.Now()
			c.send(request)
			c.lasted(t, began, 5*time.Second)
			closedFor(t, h, reasonWrite, 1)
		})
	})
	t.Run("upstream", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			dial, backends := pipes()
			h := forwarding(t, dial, nil)
			c := onPipe(t, h)
			backend := <-backends
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				answering(backend)
			}()
			began := time.Now()
			c.send(request)
			c.lasted(t, began, 10*time.Second)
			closedFor(t, h, reasonWrite, 1)
			<-ended
		})
	})
	t.Run("one that reads slowly is served", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := onPipe(t, newHandler(t, func(h *Handler) {
				h.WriteTimeout, h.IdleTimeout = caddy.Duration(5*time.Second), duration(0)
			}))
			c.send(request)
			for i := range answer {
				time.Sleep(4 * time.Second)
				c.expect(answer[i : i+1])
			}
		})
	})
}

// TestLinger: a client that has closed its sending side waits 10 s for its answers, and no longer.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, nil)
		ours, theirs := net.Pipe()
		gate := &halfClosing{Conn: ours, eof: make(chan struct{})}
		c := attach(t, h, gate, theirs)
		backend := <-backends
		go func() { _, _ = io.Copy(io.Discard, backend) }() // takes requests, and never answers
		c.send(request)
		synctest.Wait()
		began := time.Now()
		close(gate.eof)
		c.lasted(t, began, 10*time.Second)
		closedFor(t, h, reasonEOF, 1)
		_ = backend.Close()
	})
}

// halfClosing is a pipe whose peer can say that it sends no more.
type halfClosing struct {
	net.Conn
	eof chan struct{}
}

func (h *halfClosing) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	got := make(chan result, 1)
	go func() {
		n, err := h.Conn.Read(b)
		got <- result{n, err}
	}()
	select {
	case r := <-got:
		return r.n, r.err
	case <-h.eof:
		_ = h.SetReadDeadline(time.Unix(1, 0))
		<-got
		return 0, io.EOF
	}
}
