package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// benchArgs are the arguments of bench.
type benchArgs struct {
	dialArgs
	conns    int
	inflight int // requests on their way at once, per connection
	payload  int // bytes
	cmd      uint8
	duration time.Duration
	json     bool

	sessionArgs // with a QoS, the requests are messages; the client id is what those of the clients begin with
}

const (
	maxDuration = time.Hour

	// maxOutstanding bounds what all requests on their way at once may take, in bytes: all of it can end up
	// in this process's memory, if the peer does not read.
	maxOutstanding = 1 << 30

	// sentAtSize is what each of these requests takes in any case: the time at which it was sent.
	sentAtSize = 8

	// spareFiles is how many file descriptors there must be beside those of the connections.
	spareFiles = 32
)

// check says which argument is wrong, and what would be right.
func (a benchArgs) check() error {
	if a.duration <= 0 || a.duration > maxDuration {
		return fmt.Errorf("--duration %v: give a time such as 10s, and %v at most", a.duration, maxDuration)
	}
	each := int64(a.inflight) * int64(wire.HeaderLen+a.payload+sentAtSize)
	if all := each * int64(a.conns); all > maxOutstanding {
		return fmt.Errorf("%d connections with %d requests of %d bytes on their way take %d MiB: at most %d MiB, so give smaller numbers, such as --inflight %d",
			a.conns, a.inflight, wire.HeaderLen+a.payload, all>>20, maxOutstanding>>20,
			max(1, int64(a.inflight)*maxOutstanding/all))
	}
	return checkFiles(a.conns, fileLimit())
}

// checkFiles says whether so many connections fit under the limit of open files; 0: there is none.
func checkFiles(conns int, limit uint64) error {
	if need := uint64(conns) + spareFiles; limit > 0 && need > limit {
		return fmt.Errorf("%d connections need %d file descriptors, and the limit is %d: raise it with `ulimit -n %d`, or give --conns %d at most",
			conns, need, limit, need, max(int64(limit)-spareFiles, 0))
	}
	return nil
}

// bench loads a peer that echoes: each connection keeps as many requests on their way as were asked for,
// and sends the next as soon as an answer is back. Every answer is compared with what it has to be.
func bench(ctx context.Context, a benchArgs, std stdio) (int, error) {
	if err := a.check(); err != nil {
		return exitUsage, err
	}
	d, err := newDialer(a.dialArgs)
	if err != nil {
		return exitUsage, err
	}
	if a.qos > 0 || a.clientID != "" || a.credential != "" {
		if err := a.checkPublish(); err != nil {
			return exitUsage, err
		}
		return benchPublish(ctx, a, d, std)
	}
	l := newLoad(a, d)
	p := &progress{out: std.err, load: l}
	fmt.Fprintf(std.err, "GOPR BENCH %s: %s with %s in flight each, payloads of %s, for %v\n",
		a.addr, plural(a.conns, "connection"), plural(a.inflight, "request"), plural(a.payload, "byte"), a.duration)
	conns, err := l.connect(ctx, p)
	if err != nil {
		closeAll(conns)
		if ctx.Err() != nil {
			return exitNo, errors.New("interrupted before the load began")
		}
		return exitUsage, err
	}
	p.connecting() // all of them: who measures the peer begins here
	l.run(ctx, conns, p)

	r := l.report()
	if err := r.print(std.out, a.json); err != nil {
		return exitUsage, fmt.Errorf("writing the output: %w", err)
	}
	if r.Answered == 0 || len(r.Errors) > 0 {
		return exitNo, nil
	}
	return exitOK, nil
}
