package upstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

const (
	// probeJitter is the share by which the times between probes differ.
	probeJitter = 0.1
	// probeHold is how long a backend without heartbeats must hold a connection to pass: one that accepts and hangs up does not.
	probeHold = time.Second
)

var (
	errAnswered = errors.New("the probe was answered")
	errHeld     = errors.New("the probe was held")
)

// probeIdle starts the probes that are due. g.mu is held.
func (g *Group) probeIdle(now time.Time) {
	p := g.cfg.Probe
	if p == nil {
		return
	}
	for _, b := range g.backends {
		if len(b.links) > 0 || b.dialing > 0 || b.probing || now.Before(b.probeAt) || !g.open(b) {
			continue
		}
		b.probing, b.probeAt = true, now.Add(keepalive.Jitter(p.Interval, probeJitter))
		g.wg.Go(func() { g.probed(b, g.probe(b)) })
	}
}

// probed notes the outcome of a probe.
func (g *Group) probed(b *backend, err error) {
	g.mu.Lock()
	now := time.Now()
	b.probing = false
	switch {
	case g.closed:
	case err == nil:
		g.worked(b, now)
	default:
		b.err = fmt.Errorf("probe: %w", err)
		g.failed(b, now)
	}
	g.unlock(g.pump(now))
}

// probe dials the backend and has it give a sign of life.
func (g *Group) probe(b *backend) error {
	nc, err := g.connect(b)
	if err != nil {
		return err
	}
	hold, pass := g.cfg.DialTimeout, errAnswered
	heartbeat := g.conn.Heartbeat != nil && g.cfg.Format.HasHeartbeat()
	if !heartbeat {
		hold, pass = min(hold, probeHold), errHeld
	}
	ctx, cancel := context.WithTimeoutCause(g.ctx, hold, errHeld)
	defer cancel()
	p := new(prober)
	p.conn = client.NewConn(nc, &g.conn, p)
	p.conn.Ping()
	switch err := p.conn.Serve(ctx); {
	case errors.Is(err, pass):
		return nil
	case errors.Is(err, errHeld):
		return fmt.Errorf("no answer to a ping within %v", hold)
	default:
		return err
	}
}

// prober is the receiver of a probe's connection.
type prober struct{ conn *client.Conn }

// Beat implements client.BeatReceiver.
func (p *prober) Beat(time.Duration) { p.conn.Close(errAnswered) }

// Frame implements client.Receiver: nobody is there for it.
func (p *prober) Frame([]byte, int, int, *wire.Frame) {}

// Flush implements client.Receiver.
func (p *prober) Flush([]byte) (more bool) { return true }

// Drained implements client.Receiver.
func (p *prober) Drained() {}

// Interface guard.
var _ client.BeatReceiver = (*prober)(nil)
