package handler

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func limited(l Limits) func(*Handler) { return func(h *Handler) { h.Limits = &l } }

// TestRate: a client that sends more than its rates is read no faster than they say, loses nothing, and is not taken for silent meanwhile.
func TestRate(t *testing.T) {
	big, bigAnswer := frame(0x10, 1, string(make([]byte, 990))), frame(0x10, 2, string(make([]byte, 990)))
	tests := []struct {
		name   string
		limits Limits
		send   []byte
		answer []byte
		n      int
		want   time.Duration // that the last answer comes after
	}{
		{"within the burst", Limits{Frames: &Rate{Amount: 10, Burst: 100}}, request, answer, 100, 0},
		{"frames", Limits{Frames: &Rate{Amount: 10, Burst: 100}}, request, answer, 600, 50 * time.Second},
		{"frames of a slow rate", Limits{Frames: &Rate{Amount: 60, Per: caddy.Duration(time.Hour), Burst: 1}}, request, answer, 4, 3 * time.Minute},
		{"frames of a high rate", Limits{Frames: &Rate{Amount: 10_000, Burst: 1000}}, request, answer, 31_000, 3 * time.Second},
		{"pings count, too", Limits{Frames: &Rate{Amount: 1}}, ping, pong, 61, time.Minute},
		{"bytes", Limits{Bytes: &Rate{Amount: 10_000}}, big, bigAnswer, 110, 10 * time.Second},
		{"a frame larger than the burst", Limits{Bytes: &Rate{Amount: 100, Burst: 1}}, big, bigAnswer, 7, time.Minute},
		{"whichever is less", Limits{Bytes: &Rate{Amount: 1000, Burst: 1000}, Frames: &Rate{Amount: 100}}, big, bigAnswer, 11, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, limited(tt.limits))
				began := time.Now()
				c := onPipe(t, h)
				go func() { _, _ = c.Write(bytes.Repeat(tt.send, tt.n)) }()
				c.expect(bytes.Repeat(tt.answer, tt.n))
				if took := time.Since(began); took < tt.want-tt.want/10 || took > tt.want+tt.want/10+200*time.Millisecond {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
				delays := metric(t, "rate_delays_total", h.Name)
				if took := time.Since(began).Seconds(); (delays > 0) != (tt.want > 0) || delays > 1+took*wakeUps {
					t.Errorf("%v delays in %v s", delays, took)
				}
				// From here on its silence counts.
				c.lasted(t, time.Now(), 45*time.Second)
				closedFor(t, h, reasonIdle, 1)
			})
		})
	}
}

// TestRateClose: exactly what the rates allow is let through, and one frame more is the end.
func TestRateClose(t *testing.T) {
	for _, tt := range []struct {
		limits Limits
		reason string
	}{
		{Limits{Frames: &Rate{Amount: 10}, Exceed: exceedClose}, reasonFrameRate},
		{Limits{Bytes: &Rate{Amount: 10 * len(request)}, Exceed: exceedClose}, reasonByteRate},
	} {
		t.Run(tt.reason, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHandler(t, limited(tt.limits))
				c := onPipe(t, h)
				for range 3 {
					go c.send(bytes.Repeat(request, 10))
					c.expect(bytes.Repeat(answer, 10))
					time.Sleep(time.Second)
				}
				go func() { _, _ = c.Write(bytes.Repeat(request, 11)) }()
				c.expect(bytes.Repeat(answer, 10))
				c.expectEnd()
				closedFor(t, h, tt.reason, 1)
			})
		})
	}
}

// TestRateOfDropped: frames that are dropped are frames, too.
func TestRateOfDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Limits = &Limits{Frames: &Rate{Amount: 10}}
			h.OnInvalid, h.Commands = onInvalidDrop, []string{"0x10"}
		})
		c := onPipe(t, h)
		began := time.Now()
		go c.send(bytes.Repeat(oneWay, 60), request) // oneWay's command is not allowed
		c.expect(answer)
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("60 frames more than the burst took %v, want 5 s", took)
		}
	})
}

// TestRateEnded: an operator's end reaches a client that is delayed.
func TestRateEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, limited(Limits{Frames: &Rate{Amount: 1, Per: caddy.Duration(time.Hour)}}))
		c := onPipe(t, h)
		go func() { _, _ = c.Write(join(request, request)) }()
		c.expect(answer)
		synctest.Wait()
		for _, live := range h.live.Conns() {
			live.End(reasonKilled)
		}
		c.expectEnd()
		closedFor(t, h, reasonKilled, 1)
	})
}

// TestRateAdopted: a rate that changes holds for a client that is delayed by the one before.
func TestRateAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newHandler(t, limited(Limits{Frames: &Rate{Amount: 1, Per: caddy.Duration(time.Hour)}}))
		fast := newHandler(t, limited(Limits{Frames: &Rate{Amount: 1000}}))
		l := newLife(t, slow)
		now := time.Now()
		if _, next := l.Data(now, join(request, request)); next == 0 {
			t.Fatal("the client is not delayed")
		}
		if at := l.Deadline(); at.Sub(now) != time.Hour {
			t.Errorf("it is delayed for %v, want 1h", at.Sub(now))
		}
		l.s = fast.settings
		now = now.Add(time.Second)
		l.Tick(now)
		if at := l.Deadline(); !at.IsZero() {
			t.Errorf("it is still delayed, until %v from now", at.Sub(now))
		}
	})
}

// TestRateKeepsBackpressure: a delay that ends does not have a client read whose backend takes no more.
func TestRateKeepsBackpressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, backends := pipes()
		h := forwarding(t, dial, func(h *Handler) {
			small(h)
			h.Limits.Frames = &Rate{Amount: 100}
		})
		c := onPipe(t, h)
		backend := <-backends // which does not read
		f, taken := frame(0x10, 1, string(make([]byte, 90))), 0
		for {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := c.Write(f)
			if taken += n; err != nil {
				break
			}
		}
		if taken < 2000 || taken > 2000+2*16<<10 {
			t.Errorf("%d bytes were read from a client whose backend does not read, want about 2000", taken)
		}
		_ = c.SetWriteDeadline(time.Time{})
		go func() { _, _ = c.Write(f[taken%len(f):]) }()
		expect(t, backend, bytes.Repeat(f, taken/len(f)+1))
		_ = backend.Close()
	})
}

func TestFirstFrame(t *testing.T) {
	three := limited(Limits{FirstFrame: caddy.Duration(3 * time.Second)})
	t.Run("a silent client", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, three)
			onPipe(t, h).lasted(t, time.Now(), 3*time.Second)
			closedFor(t, h, reasonFirstFrame, 1)
		})
	})
	t.Run("one that drips", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, three)
			began := time.Now()
			c := onPipe(t, h)
			dripped := make(chan struct{})
			go func() {
				defer close(dripped)
				for i := range request {
					if _, err := c.Write(request[i : i+1]); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			}()
			c.lasted(t, began, 3*time.Second)
			<-dripped
			closedFor(t, h, reasonFirstFrame, 1)
		})
	})
	t.Run("one that has spoken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHandler(t, three)
			c := onPipe(t, h)
			time.Sleep(2 * time.Second)
			c.send(request)
			c.expect(answer)
			c.lasted(t, time.Now(), 45*time.Second)
			closedFor(t, h, reasonIdle, 1)
		})
	})
}
