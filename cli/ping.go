package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// pingArgs are the arguments of ping.
type pingArgs struct {
	dialArgs
	formatArgs
	count    int // 0: until interrupted
	interval time.Duration
}

// minInterval is the shortest interval. Below, it is a load test, and timers are too coarse for it.
const minInterval = time.Millisecond

func (a pingArgs) check() error {
	if a.interval < minInterval {
		return fmt.Errorf("--interval %v: give %v or more; for load there is `caddy gopr bench --cmd 0x01`", a.interval, minInterval)
	}
	return nil
}

// ping measures round trips as ping(8) does, over one connection. A connection that is lost is dialled
// again, and the pings meanwhile are lost with it.
func ping(ctx context.Context, a pingArgs, std stdio) (int, error) {
	if err := a.check(); err != nil {
		return exitUsage, err
	}
	d, err := newDialer(a.dialArgs)
	if err != nil {
		return exitUsage, err
	}
	f, err := a.find()
	if err != nil {
		return exitUsage, err
	}
	p := &pinging{args: a, out: std.out, protocol: strings.ToUpper(f.Name()), times: newLatencies()}
	end, err := p.connect(ctx, f, d)
	if err != nil {
		return exitUsage, err
	}
	defer end()

	fmt.Fprintf(std.out, "%s PING %s (%s): frames of %d bytes\n", p.protocol, a.addr, p.addr, p.size)
	began := time.Now()
	p.run(ctx)
	p.summary(time.Since(began))
	if p.times.n == 0 {
		return exitNo, nil
	}
	return exitOK, nil
}

// pingSize is the size of a PING that carries its sequence number and time, and of its PONG.
const pingSize = wire.HeaderLen + wire.PingLen

// pinging is one run of ping.
type pinging struct {
	ping     func(context.Context) (time.Duration, error)
	args     pingArgs
	protocol string
	addr     string // the peer's
	size     int    // of a ping, in bytes

	mu    sync.Mutex // guards all below; pings that take longer than the interval overlap
	out   io.Writer
	times *latencies // of the pings that came back
	lost  int
	open  int // sent, and neither back nor lost, when it was interrupted
}

// connect connects to a peer that speaks the format. end is for the caller to call.
func (p *pinging) connect(ctx context.Context, f *wire.Format, d *dialer) (end func(), err error) {
	if f != wire.GOPR {
		fp, err := newFormatPinger(ctx, f, d)
		if err != nil {
			return nil, err
		}
		p.ping, p.addr, p.size = fp.ping, fp.addr, fp.size()
		return fp.close, nil
	}
	c, err := client.Dial(ctx, p.args.addr, client.Options{
		Dial:        func(ctx context.Context, _, _ string) (net.Conn, error) { return d.connect(ctx) },
		DialTimeout: p.args.timeout,
		Reconnect:   client.Reconnect{Initial: 250 * time.Millisecond, Max: 2 * time.Second, Attempts: -1},
	})
	if err != nil {
		return nil, err
	}
	p.addr, p.size = fmt.Sprint(c.Status().RemoteAddr), pingSize
	p.ping = func(ctx context.Context) (time.Duration, error) {
		took, err := c.Ping(ctx)
		if errors.Is(err, client.ErrLost) { // which speaks of requests; what those led to is of no interest here
			err = &lostError{c.Status().LastErr}
		}
		return took, err
	}
	return func() { c.Close() }, nil
}

// run sends a ping each interval, and returns when the last one is back or lost.
func (p *pinging) run(ctx context.Context) {
	var pings sync.WaitGroup
	defer pings.Wait()
	next := time.NewTicker(p.args.interval)
	defer next.Stop()
	for seq := 1; ; seq++ {
		pings.Go(func() { p.once(ctx, seq) })
		if seq == p.args.count {
			return
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
	}
}

// once sends one ping and tells of it.
func (p *pinging) once(ctx context.Context, seq int) {
	limited, cancel := context.WithTimeout(ctx, p.args.timeout)
	defer cancel()
	took, err := p.ping(limited)

	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.times.record(took)
		fmt.Fprintf(p.out, "%d bytes from %s: seq=%d time=%s ms\n", p.size, p.addr, seq, ms(took))
	case ctx.Err() != nil:
		p.open++
	case errors.Is(err, context.DeadlineExceeded):
		p.lost++
		fmt.Fprintf(p.out, "seq=%d lost: no answer within %v\n", seq, p.args.timeout)
	default:
		p.lost++
		fmt.Fprintf(p.out, "seq=%d lost: %v\n", seq, p.explain(err))
	}
}

// explain is why a ping that is lost was not answered.
func (p *pinging) explain(err error) error {
	if lost := (*lostError)(nil); errors.As(err, &lost) && errors.Is(err, io.EOF) && p.times.n == 0 {
		return errors.New("the peer closed the connection" + p.args.perhapsTLS())
	}
	return explain(err)
}

// summary tells of all pings. What was open when it was interrupted is neither received nor lost.
func (p *pinging) summary(took time.Duration) {
	t := p.times
	back := int(t.n)
	fmt.Fprintf(p.out, "\n--- %s %s ping statistics ---\n", p.args.addr, p.protocol)
	fmt.Fprintf(p.out, "%d sent, %d received, %s loss, time %d ms\n",
		back+p.lost+p.open, back, percent(p.lost, back+p.lost), took.Milliseconds())
	if back > 0 {
		fmt.Fprintf(p.out, "round trip min/avg/p50/p95/p99/max = %s/%s/%s/%s/%s/%s ms\n", ms(t.shortest()), ms(t.mean()),
			ms(t.percentile(50)), ms(t.percentile(95)), ms(t.percentile(99)), ms(t.max))
	}
}

// percent is a share as ping(8) prints it: with a digit behind the point only where there is need for one.
func percent(part, all int) string {
	if all == 0 {
		return "0%"
	}
	return fmt.Sprintf("%.3g%%", 100*float64(part)/float64(all))
}
