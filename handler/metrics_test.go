package handler

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// observed returns how many values a histogram of a handler has, and their sum.
func observed(t *testing.T, name, handler string) (n uint64, sum float64) {
	t.Helper()
	families, err := provisioned.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "caddy_gopr_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); len(l) == 1 && l[0].GetValue() == handler {
				return m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum()
			}
		}
	}
	return 0, 0
}

// TestProbesAreCounted: an answer to a ping of the gateway's is a round trip; the one that does not come is missed.
func TestProbesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) {
			h.Heartbeat = &Heartbeat{Probe: caddy.Duration(20 * time.Second)}
			h.IdleTimeout = duration(0)
		})
		c := onPipe(t, h)
		began := time.Now()
		for n := range 3 {
			_, _, payload, err := readFrame(c)
			if err != nil {
				t.Fatal(err)
			}
			if n < 2 {
				time.Sleep(30 * time.Millisecond)
				c.send(wire.AppendFrame(nil, wire.CmdPong, wire.FlagRsp, payload))
			}
		}
		<-c.done
		name := h.settings.name
		for _, want := range []struct {
			outcome string
			n       float64
		}{{"answered", 2}, {"missed", 1}} {
			if got := metric(t, "heartbeats_total", name, "outcome", want.outcome); got != want.n {
				t.Errorf("%v heartbeats %s, want %v", got, want.outcome, want.n)
			}
		}
		if n, sum := observed(t, "rtt_seconds", name); n != 2 || sum < 0.0599 || sum > 0.0601 {
			t.Errorf("%d round trips of %v s together, want 2 of 0.06", n, sum)
		}
		if n, sum := observed(t, "connection_duration_seconds", name); n != 1 || sum != time.Since(began).Seconds() {
			t.Errorf("%d connections lasted %v s, want 1 and %v", n, sum, time.Since(began))
		}
	})
}

// TestPendingBytes: what a client does not read is seen while it waits.
func TestPendingBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHandler(t, func(h *Handler) { h.Limits = &Limits{Pending: 100} })
		c := onPipe(t, h)
		name := h.settings.name
		c.send(request, request)
		synctest.Wait()
		expect := func(bytes, slow int) {
			t.Helper()
			if got := metric(t, "pending_bytes", name); got != float64(bytes) {
				t.Errorf("%v bytes pending, want %d", got, bytes)
			}
			if got := metric(t, "slow_clients", name); got != float64(slow) {
				t.Errorf("%v clients are slow, want %d", got, slow)
			}
		}
		two := 2 * len(answer)
		expect(two, 0)
		for sent := two; sent <= 100; sent += two {
			c.send(request, request)
			synctest.Wait()
		}
		expect((100/two+1)*two, 1)
		for range 2 * (100/two + 1) {
			c.expect(answer)
		}
		synctest.Wait()
		expect(0, 0)
	})
}
