package upstream

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// link is one connection to a backend. It is its connection's client.Receiver.
type link struct {
	g     *Group
	b     *backend
	conn  *client.Conn
	began time.Time // when its dial began
	up    time.Time // when that had worked

	shared *shared   // what reads it under request pooling; nil: session pooling, and the link itself does
	renew  time.Time // when it is old enough to be renewed; zero: never

	leaving atomic.Bool // it is to go when nothing is unanswered: see Group.retire
	limit   *time.Timer // by when it must; guarded by the group's lock

	lease atomic.Pointer[session] // who has it; nil: nobody ever had. Set once, by bind

	mu         sync.Mutex // guards all below, and the moment at which lease is set
	early      []byte     // frames that came while nobody had it
	earlyCount count
	gone       bool // it is no more, and nobody ever had it

	bound time.Time // when lease was set, for that lease alone

	// The connection's goroutine owns these, from the moment at which lease is set.
	start, end int    // the run of neighbouring frames not yet delivered is piece[start:end]
	run        count  // what is in it
	stopped    bool   // the client was full,
	resumes    uint64 // and had been resumed that often before
}

// count is what is in a run of frames.
type count struct{ frames, answers int }

// renewJitter is the share by which the ages at which links are renewed differ, so that a group's links are not renewed at once.
const renewJitter = 0.2

func newLink(g *Group, b *backend, nc net.Conn, began time.Time) *link {
	l := &link{g: g, b: b, began: began, up: time.Now()}
	if g.cfg.Pooling != Request {
		l.conn = client.NewConn(nc, &g.conn, l.receiver())
		return l
	}
	l.shared = &shared{link: l, idle: l.up, ledger: g.newLedger()}
	l.shared.useable.Store(true)
	if g.cfg.MaxAge > 0 {
		l.renew = l.up.Add(keepalive.Jitter(g.cfg.MaxAge, renewJitter))
	}
	l.conn = client.NewConn(nc, &g.conn, l.shared)
	return l
}

// receiver is the link as what its connection reads is for. Where a pong does not carry the payload of its ping, none can be told from the heartbeat's.
func (l *link) receiver() client.Receiver {
	if l.g.cfg.Format.EchoesPing() {
		return pongs{l}
	}
	return l
}

// discard closes a link that has not served anybody, and is not served itself.
func (l *link) discard() {
	l.conn.Close(errRetired)
	_ = l.conn.Serve(l.g.ctx)
}

// Frame adds a frame to the run.
func (l *link) Frame(piece []byte, start, end int, f *wire.Frame) {
	if start != l.end {
		l.deliver(piece)
		l.start = start
	}
	l.end = end
	l.run.frames++
	if l.g.answers(f) {
		l.run.answers++
	}
}

// Flush delivers the run, and reads on unless the client is full. It is asked again after each Resume, and a Resume may be one that was meant for an
// earlier stop: so what counts is whether the client was resumed since it was full.
func (l *link) Flush(piece []byte) (more bool) {
	l.deliver(piece)
	l.start, l.end = 0, 0
	lease := l.lease.Load()
	if lease == nil {
		return true
	}
	if l.stopped && l.resumes != lease.resumes.Load() {
		l.stopped = false
	}
	return !l.stopped
}

func (l *link) deliver(piece []byte) {
	if l.run.frames == 0 {
		return
	}
	frames, n := piece[l.start:l.end], l.run
	l.run = count{}
	lease := l.lease.Load()
	if lease == nil {
		if lease = l.keep(frames, n); lease == nil {
			return
		}
	}
	l.pass(lease, frames, n)
}

func (l *link) pass(lease *session, frames []byte, n count) {
	if n.answers > 0 {
		lease.timed(l.b)
	}
	resumes := lease.resumes.Load()
	if lease.deliver(frames, n) {
		l.stopped, l.resumes = true, resumes
	}
	if l.leaving.Load() {
		lease.part(l)
	}
}

// keep holds frames that came before a client did, unless one has come at this moment.
func (l *link) keep(frames []byte, n count) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.lease.Load(); lease != nil {
		return lease
	}
	switch {
	case l.gone:
	case len(l.early)+len(frames) > l.g.cfg.Buffer:
		l.gone, l.early = true, nil
		l.conn.Close(ErrEarly)
	default:
		l.early = append(l.early, frames...)
		l.earlyCount.frames += n.frames
		l.earlyCount.answers += n.answers
	}
	return nil
}

// bind gives the link to a lease, with what came before. It returns false when the link is no more.
func (l *link) bind(lease *session) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	l.bound = time.Now()
	lease.source.Store(l)
	lease.linking(l)
	if len(l.early) > 0 { // under the lock, so that nothing newer overtakes it
		l.pass(lease, l.early, l.earlyCount)
		l.early = nil
	}
	l.lease.Store(lease)
	return true
}

// ended is called when the link is no more. It returns who had it, who must be told; nil: nobody, and nobody will.
func (l *link) ended() *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.lease.Load()
	if lease == nil {
		l.gone, l.early = true, nil
	}
	return lease
}

// Beat implements client.BeatReceiver.
func (l *link) Beat(rtt time.Duration) {
	l.b.beats.Add(1)
	l.b.record.Answered(time.Now(), rtt)
	if rtt > 0 {
		l.b.rtt.observe(rtt)
	}
}

// Drained passes on that the backend reads again.
func (l *link) Drained() {
	if lease := l.lease.Load(); lease != nil {
		lease.room(l)
	}
}
