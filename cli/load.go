package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// load is one run of bench: what its connections share.
type load struct {
	args    benchArgs
	dialer  *dialer
	pattern []byte // what payloads are filled with behind their id
	shards  []shard

	opened   atomic.Uint32 // connections so far: their ids
	ready    atomic.Int64  // connections made by connect
	stopping atomic.Bool   // nothing more is sent
	began    time.Time     // set by run, before anything is sent

	mu         sync.Mutex // guards all below
	streams    map[*stream]struct{}
	errors     map[string]int64 // by kind
	unanswered int64            // requests lost with their connections

	// The goroutine in run owns these.
	total    *latencies
	second   *latencies // of the second that is over
	answered int64      // in time
	elapsed  time.Duration
}

// shard is where some of the connections record, so that they do not all wait for one lock.
type shard struct {
	mu    sync.Mutex
	times *latencies // of right answers, since the last collect
	spare *latencies // changes places with times, so that it can be read without the lock
	wrong int64
	_     [64]byte // a cache line of its own
}

func newLoad(a benchArgs, d *dialer) *load {
	l := &load{
		args: a, dialer: d,
		pattern: make([]byte, a.payload),
		shards:  make([]shard, min(runtime.GOMAXPROCS(0), a.conns)),
		streams: make(map[*stream]struct{}),
		errors:  make(map[string]int64),
		total:   newLatencies(),
		second:  newLatencies(),
	}
	for i := range l.pattern {
		l.pattern[i] = byte(i)
	}
	for i := range l.shards {
		l.shards[i].times, l.shards[i].spare = newLatencies(), newLatencies()
	}
	return l
}

// dialsAtOnce keeps connect from running over the peer's queue of connections to accept.
const dialsAtOnce = 64

// connect makes all connections, before the load begins. The first that fails ends it; those made until
// then are returned, too.
func (l *load) connect(ctx context.Context, p *progress) ([]net.Conn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		conns = make([]net.Conn, l.args.conns)
		next  atomic.Int64
		dials sync.WaitGroup
	)
	for range min(dialsAtOnce, len(conns)) {
		dials.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(conns) {
					return
				}
				nc, err := l.dialer.connect(ctx)
				if err != nil {
					cancel(fmt.Errorf("connection %d of %d: %w", i+1, len(conns), err))
					return
				}
				conns[i] = nc
				l.ready.Add(1)
			}
		})
	}
	p.during(p.connecting, dials.Wait)
	return conns, context.Cause(ctx)
}

func closeAll(conns []net.Conn) {
	for _, nc := range conns {
		if nc != nil {
			nc.Close()
		}
	}
}

// run loads the peer over the connections until the duration is over or ctx ends. Requests that are on their way
// at the end of the duration are waited for; where ctx has ended, they are not.
func (l *load) run(ctx context.Context, conns []net.Conn, p *progress) {
	l.began = time.Now()
	sending, stopSending := context.WithTimeout(ctx, l.args.duration)
	defer stopSending()
	defer context.AfterFunc(sending, func() { l.stopping.Store(true) })()

	var all sync.WaitGroup
	for i, nc := range conns {
		s := &l.shards[i%len(l.shards)]
		all.Go(func() { l.keep(ctx, sending, nc, s) })
	}
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	l.watch(sending, ended, p)
	l.collect()
}

// How often watch looks at the clock. A request is given up at most so much after its time.
const watchEvery = 100 * time.Millisecond

// watch looks after the connections until the last has ended: it gives up those that do not answer, tells of the
// progress once a second, and notes what was answered until the sending ended.
func (l *load) watch(sending context.Context, ended <-chan struct{}, p *progress) {
	look, tell := time.NewTicker(watchEvery), time.NewTicker(time.Second)
	defer look.Stop()
	defer tell.Stop()
	stop := sending.Done()
	for {
		select {
		case <-ended:
			if stop != nil { // every connection ended before its time
				l.note()
			}
			return
		case <-stop:
			l.note()
			stop = nil
		case <-look.C:
			l.giveUp(l.now())
		case <-tell.C:
			if stop != nil {
				l.collect()
				p.loading(l)
			}
		}
	}
}

// note notes what was answered until now: what the rate is computed from.
func (l *load) note() {
	l.elapsed = time.Since(l.began)
	l.collect()
	l.answered = l.total.n
}

// collect adds what was recorded since the last collect to total, and keeps it in second.
func (l *load) collect() {
	l.second.reset()
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		s.times, s.spare = s.spare, s.times
		s.mu.Unlock()
		l.second.add(s.spare)
		s.spare.reset()
	}
	l.total.add(l.second)
}

// now is the time since the load began.
func (l *load) now() time.Duration { return time.Since(l.began) }

var (
	errDone     = errors.New("done")
	errNoAnswer = errors.New("no answer in time")
	errUnasked  = errors.New("an answer that nobody asked for")
)

// giveUp ends the connections whose oldest request was not answered in time.
func (l *load) giveUp(now time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.streams {
		if now-time.Duration(s.oldest.Load()) > l.args.timeout {
			s.conn.Close(errNoAnswer)
		}
	}
}

// keep loads the peer over one connection, and over another where that is lost, until nothing is to be sent any
// more and all is answered, or ctx ends.
func (l *load) keep(ctx, sending context.Context, nc net.Conn, sh *shard) {
	retry := client.NewRetry(client.Reconnect{Initial: 100 * time.Millisecond, Max: 2 * time.Second, Attempts: -1, Stable: time.Second})
	for {
		retry.Up(time.Now())
		l.serve(ctx, nc, sh)
		retry.Down(time.Now())
		for nc = nil; nc == nil; {
			sleep(sending, time.Until(retry.NextAt()))
			if sending.Err() != nil {
				return
			}
			var err error
			if nc, err = l.dialer.connect(sending); err != nil && sending.Err() == nil {
				l.failed("dial: "+kindOf(err), 0)
				retry.Failed(time.Now())
			}
		}
	}
}

// onLoop has the connections served by an event loop, where the system has them: what the load costs is not left to what is measured.
var onLoop = &client.ConnConfig{Transport: &transport.Options{EventLoop: true}}

// serve loads the peer over one connection until it ends.
func (l *load) serve(ctx context.Context, nc net.Conn, sh *shard) {
	s := &stream{load: l, shard: sh, id: l.opened.Add(1), sentAt: make([]time.Duration, l.args.inflight)}
	c := client.NewConn(nc, onLoop, s)
	s.conn = c
	s.send(l.args.inflight, l.now())
	l.mu.Lock()
	l.streams[s] = struct{}{}
	l.mu.Unlock()

	err := c.Serve(ctx)

	l.mu.Lock()
	delete(l.streams, s)
	l.mu.Unlock()
	if !errors.Is(err, errDone) && ctx.Err() == nil {
		l.failed(kindOf(err), int64(s.sent-s.answered))
	}
}

// failed counts an error, and the requests that will have no answer for it.
func (l *load) failed(kind string, unanswered int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[kind]++
	l.unanswered += unanswered
}

// kindOf is an error without what makes each one different: addresses, ports, bytes.
func kindOf(err error) string {
	var reject *wire.RejectError
	switch {
	case errors.As(err, &reject):
		return "rejected: " + reject.Reason.String()
	case errors.Is(err, io.EOF):
		return "closed by the peer"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	for {
		cause := errors.Unwrap(err)
		if cause == nil {
			return err.Error()
		}
		err = cause
	}
}
