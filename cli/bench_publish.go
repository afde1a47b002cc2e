package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// publishLoad is one run of bench with --qos: clients with a session each, that publish.
type publishLoad struct {
	*load
	clients []*client.Client
	options []*client.SessionOptions
}

// checkPublish says which argument is wrong, and what would be right.
func (a benchArgs) checkPublish() error {
	if a.qos == 0 {
		return errors.New("--client-id and --credential are for messages: give --qos 1 or --qos 2, too")
	}
	return checkMessage(a.cmd, a.payload)
}

// benchPublish loads a gateway with messages: each client keeps as many unacknowledged as were asked for, as far as the gateway grants it, and publishes the next as soon
// as the promise of one holds.
func benchPublish(ctx context.Context, a benchArgs, d *dialer, std stdio) (int, error) {
	l := &publishLoad{load: newLoad(a, d)}
	if err := l.prepare(); err != nil {
		return exitUsage, err
	}
	p := &progress{out: std.err, load: l.load}
	fmt.Fprintf(std.err, "GOPR BENCH %s: %s with %s in flight each, QoS %d, payloads of %s, for %v\n",
		a.addr, plural(a.conns, "session"), plural(a.inflight, "message"), a.qos, plural(a.payload, "byte"), a.duration)
	err := l.connect(ctx, p)
	if err != nil {
		l.close()
		if ctx.Err() != nil {
			return exitNo, errors.New("interrupted before the load began")
		}
		return exitUsage, err
	}
	p.connecting()
	l.run(ctx, p)
	l.leave(ctx)

	r := l.report()
	for _, c := range l.clients {
		r.Repeated += int64(c.Status().Session.Repeated)
	}
	if err := r.print(std.out, a.json); err != nil {
		return exitUsage, fmt.Errorf("writing the output: %w", err)
	}
	if r.Answered == 0 || len(r.Errors) > 0 {
		return exitNo, nil
	}
	return exitOK, nil
}

// prepare gives each client an id. Those of two runs at once differ, unless they are given the same.
func (l *publishLoad) prepare() error {
	prefix := l.args.clientID
	if prefix == "" {
		var random [4]byte
		_, _ = rand.Read(random[:])
		prefix = "bench-" + hex.EncodeToString(random[:])
	}
	for i := range l.args.conns {
		o, err := l.args.options(fmt.Sprintf("%s-%d", prefix, i+1))
		if err != nil {
			return err
		}
		o.Expiry = time.Minute // for what ends without BYE
		l.options = append(l.options, o)
	}
	l.clients = make([]*client.Client, l.args.conns)
	return nil
}

// connect makes all sessions, before the load begins. The first that fails ends it.
func (l *publishLoad) connect(ctx context.Context, p *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next  atomic.Int64
		dials sync.WaitGroup
	)
	for range min(dialsAtOnce, len(l.clients)) {
		dials.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(l.clients) {
					return
				}
				c, err := l.dialer.open(ctx, l.options[i], l.changed)
				if err != nil {
					cancel(fmt.Errorf("session %d of %d: %w", i+1, len(l.clients), err))
					return
				}
				l.clients[i] = c
				l.ready.Add(1)
			}
		})
	}
	p.during(p.connecting, dials.Wait)
	return context.Cause(ctx)
}

// changed counts the connections that end before their time, and the dials that fail.
func (l *publishLoad) changed(c client.Change) {
	ended := c.From == client.Connected || c.To == client.Paused
	if ended && c.Err != nil && !l.stopping.Load() && !errors.Is(c.Err, client.ErrClosed) {
		l.failed(kindOf(c.Err), 0)
	}
}

// run publishes until the duration is over or ctx ends. What is unacknowledged at the end of the duration is waited for, up to the timeout.
func (l *publishLoad) run(ctx context.Context, p *progress) {
	l.began = time.Now()
	sending, stopSending := context.WithTimeout(ctx, l.args.duration)
	defer stopSending()
	waiting, stopWaiting := context.WithTimeout(ctx, l.args.duration+l.args.timeout)
	defer stopWaiting()
	var all sync.WaitGroup
	for i, c := range l.clients {
		s := &l.shards[i%len(l.shards)]
		numbers := new(atomic.Uint64)
		for range l.args.inflight {
			all.Go(func() { l.publish(sending, waiting, c, s, uint32(i+1), numbers) })
		}
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	l.watch(sending, ended, p)
	l.stopping.Store(true)
	l.collect()
}

// publish publishes one message after the other.
func (l *publishLoad) publish(sending, waiting context.Context, c *client.Client, sh *shard, id uint32, numbers *atomic.Uint64) {
	payload := append([]byte(nil), l.pattern...)
	for sending.Err() == nil {
		ids := requestID(id, numbers.Add(1))
		copy(payload, ids[:])
		at := l.now()
		if err := c.Publish(waiting, l.args.cmd, payload, l.args.qos); err != nil {
			if sending.Err() == nil || waiting.Err() == nil || errors.Is(waiting.Err(), context.DeadlineExceeded) {
				l.failed("not acknowledged: "+kindOf(err), 1)
			}
			if errors.Is(err, client.ErrClosed) {
				return
			}
			continue
		}
		sh.mu.Lock()
		sh.times.record(l.now() - at)
		sh.mu.Unlock()
	}
}

// leave ends the sessions at the gateway; those that can't be are over in a minute.
func (l *publishLoad) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.args.timeout)
	defer cancel()
	l.each(func(c *client.Client) {
		if c.Bye(ctx) != nil {
			_ = c.Close()
		}
	})
}

func (l *publishLoad) close() { l.each(func(c *client.Client) { _ = c.Close() }) }

func (l *publishLoad) each(f func(*client.Client)) {
	var all sync.WaitGroup
	for _, c := range l.clients {
		if c != nil {
			all.Go(func() { f(c) })
		}
	}
	all.Wait()
}
