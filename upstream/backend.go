package upstream

import (
	"container/list"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// maxDialing is how many dials to one backend may be under way at once. After a failure it is one, and doubles with each success: a backend that comes
// back meets its clients a few at a time.
const maxDialing = 64

// backend is what a group knows of one backend. The group's lock guards all of it, but for what is counted at the end.
type backend struct {
	name          string // as in the configuration
	network, addr string
	stand         standing
	fitness

	found  bool   // by discovery, not configured,
	gone   bool   // and no longer there
	server string // the name that discovery looked up for its address; "": none

	admin Admin       // what an operator wants of it
	held  atomic.Bool // it is sent nothing new: see govern. Written with the group's lock held

	links   map[*link]struct{} // all that are up
	growing atomic.Bool        // under request pooling: another link has been asked for
	spare   []*link            // those without a client, the newest at the end
	dialing int
	awaited int       // of the dials, those for clients that wait
	queue   list.List // of *session, those that want this backend and no other; the one that has waited longest first
	window  int       // how many dials may be under way at once

	old       []*link // those that are still to be renewed
	renewing  *link   // the one that is to end before the next is renewed; nil: none
	renewed   uint64  // how many dials had begun when that was taken out of use
	replacing bool    // a dial for one of them is under way,
	replaced  bool    // or has worked

	pace      *pace // the group's
	retry     *client.Retry
	stable    time.Duration // up without a failure for this long: what failed before counts no more
	notBefore time.Time     // the next dial; zero: at once
	paused    bool          // notBefore ends a pause, and no mere wait
	resume    time.Time     // when a pause ends where nobody else can serve
	failed    time.Time     // when the last failure was counted
	upAt      time.Time     // since when it has been up without a failure; zero: it is not
	err       error         // why it failed last

	dials, dialErrors, lost     uint64 // in all
	handshakes, handshakeErrors uint64 // with TLS: those that ended, and of these, those that failed

	ended       map[string]uint64    // links, by reason
	said        map[string]time.Time // when the log had the reason last
	unsolicited atomic.Uint64        // frames that were no answer, under request pooling

	// Not guarded by the lock: every link adds to these.
	requests, rtt recorder
	beats, missed atomic.Uint64 // pings that were answered, and those that ended their link
}

func newBackend(name string, c *Config, backup bool) (*backend, error) {
	network, addr, err := splitBackend(name)
	if err != nil {
		return nil, err
	}
	b := &backend{
		name: name, network: network, addr: addr, stand: standing{seed: hashOf([]byte(name))}, links: make(map[*link]struct{}),
		ended: make(map[string]uint64), said: make(map[string]time.Time),
		fitness: newFitness(c, name, backup),
		admin:   Enabled, window: maxDialing, retry: client.NewRetry(c.Reconnect), stable: c.Reconnect.Stable,
	}
	b.stand.share = b.weight
	return b, nil
}

// load is the number of clients it serves, or is about to.
func (b *backend) load() int64 { return int64(len(b.links) - len(b.spare) + b.awaited) }

// room implements candidate: who has none is no candidate.
func (b *backend) room(int) bool { return true }

func (b *backend) standing() standing { return b.stand }

// fit says whether a link to it may be dialled now.
func (b *backend) fit(now time.Time, maxLinks int) bool {
	return b.dialing < b.window && b.mayGrow(maxLinks) && !now.Before(b.notBefore) && b.pace.ready(now)
}

// mayGrow says whether it may have one more link.
func (b *backend) mayGrow(maxLinks int) bool {
	return maxLinks == 0 || len(b.links)+b.dialing < maxLinks
}

// news says whether something that began at the given time tells more of the backend than the last failure that was counted. Things that fail together are
// one failure, and a dial that was under way when the backend failed does not take back the wait that follows: or a backend that takes
// connections and ends them would be dialled without a pause, each dial calling for the next.
func (b *backend) news(began time.Time) bool { return began.After(b.failed) }

// succeeded notes a dial that began at the given time and worked. It returns whether that ended a time of failures.
func (b *backend) succeeded(now, began time.Time) (back bool) {
	if !b.news(began) {
		return false
	}
	b.notBefore = time.Time{}
	b.window = min(2*b.window, maxDialing)
	if !b.upAt.IsZero() {
		return false
	}
	b.upAt = now
	return !b.failed.IsZero()
}

// fail notes a failure of a dial that began at the given time: it did not work, or its link ended while it had no client. It returns whether it was
// counted.
func (b *backend) fail(now, began time.Time, err error) bool {
	if !b.news(began) {
		return false
	}
	if b.steady(now) {
		b.retry.Reset()
	}
	_, b.paused = b.retry.Failed(now)
	b.notBefore = b.retry.NextAt()
	b.err, b.failed, b.upAt, b.window = err, now, time.Time{}, 1
	return true
}

// forgive has it dialled as if it had not failed, but not by all at once.
func (b *backend) forgive() {
	b.retry.Reset()
	b.notBefore = time.Time{}
}

// steady says whether it has been up for so long that what failed before counts no more.
func (b *backend) steady(now time.Time) bool { return !b.upAt.IsZero() && now.Sub(b.upAt) >= b.stable }

// failures is how many there were in a row.
func (b *backend) failures(now time.Time) int {
	if b.steady(now) {
		return 0
	}
	return b.retry.Failures()
}

// failing says whether it failed, and no dial has worked since.
func (b *backend) failing() bool { return b.upAt.IsZero() && !b.failed.IsZero() }

func (b *backend) breaker(now time.Time) Breaker {
	switch {
	case !b.failing():
		return BreakerClosed
	case now.Before(b.notBefore):
		return BreakerOpen
	default:
		return BreakerHalfOpen
	}
}

// inFlight is the number of requests that it has not answered.
func (b *backend) inFlight() (n int) {
	for l := range b.links {
		if l.shared != nil {
			n += int(l.shared.inflight.Load())
		} else if lease := l.lease.Load(); lease != nil {
			n += int(lease.asked.Load())
		}
	}
	return n
}

// state is the backend's, in the words of client.State.
func (b *backend) state(now time.Time) string {
	switch {
	case b.failing() && now.Before(b.notBefore) && b.paused:
		return "paused"
	case b.failing():
		return "reconnecting"
	case len(b.links) > 0:
		return "connected"
	case b.dialing > 0:
		return "connecting"
	default:
		return "disconnected"
	}
}

// inUse is the number of its links that requests may be sent over, now or when there is room.
func (b *backend) inUse() (n int) {
	for l := range b.links {
		if !l.shared.over() {
			n++
		}
	}
	return n
}

// takeSpare takes the newest spare link.
func (b *backend) takeSpare() *link {
	l := b.spare[len(b.spare)-1]
	b.spare[len(b.spare)-1] = nil
	b.spare = b.spare[:len(b.spare)-1]
	return l
}

// dropSpare takes a link out of the spare ones, and returns whether it was one of them.
func (b *backend) dropSpare(l *link) bool {
	i := slices.Index(b.spare, l)
	if i >= 0 {
		b.spare = slices.Delete(b.spare, i, i+1)
	}
	return i >= 0
}
