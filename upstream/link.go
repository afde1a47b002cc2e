package upstream

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// link is one connection to a backend. It is its connection's client.Receiver.
type link struct {
	g    *Group
	b    *backend
	conn *client.Conn
	up   time.Time

	lease atomic.Pointer[Lease] // who has it; nil: a spare. Set once

	mu    sync.Mutex // guards the hand-over: early, and the moment at which lease is set
	early []byte     // frames that came while it was a spare
	gone  bool       // it ended before it had a lease
	err   error

	// The connection's goroutine owns these: the run of neighbouring frames not yet delivered.
	start, end      int
	frames, answers int
	full            bool
}

// Frame adds a frame to the run.
func (l *link) Frame(piece []byte, start, end int, f *wire.Frame) {
	if start != l.end {
		l.deliver(piece)
		l.start = start
	}
	l.end = end
	l.frames++
	if f.Flag&uint32(wire.FlagRsp) != 0 {
		l.answers++
	}
}

// Flush delivers the run, and reads on unless the client is full.
func (l *link) Flush(piece []byte) (more bool) {
	l.deliver(piece)
	full := l.full
	l.start, l.end, l.full = 0, 0, false
	return !full
}

func (l *link) deliver(piece []byte) {
	if l.frames == 0 {
		return
	}
	run, n, answers := piece[l.start:l.end], l.frames, l.answers
	l.frames, l.answers = 0, 0
	lease := l.lease.Load()
	if lease == nil {
		if lease = l.keep(run); lease == nil {
			return
		}
	}
	if lease.deliver(run, n, answers) {
		l.full = true
	}
}

// keep holds frames that came before a client did, unless one has come at this moment.
func (l *link) keep(run []byte) *Lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lease := l.lease.Load(); lease != nil {
		return lease
	}
	if len(l.early)+len(run) > l.g.cfg.Buffer {
		l.conn.Close(ErrEarly)
		return nil
	}
	l.early = append(l.early, run...)
	return nil
}

// bind gives the link to a lease, with what came before. It returns false when the link has ended already.
func (l *link) bind(lease *Lease) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gone {
		return false
	}
	if len(l.early) > 0 { // under the lock, so that nothing newer overtakes it
		lease.deliver(l.early, 0, 0)
		l.early = nil
	}
	l.lease.Store(lease)
	return true
}

// ended tells the lease that the link is no more.
func (l *link) ended(err error) {
	l.mu.Lock()
	lease := l.lease.Load()
	l.gone, l.err, l.early = true, err, nil
	l.mu.Unlock()
	if lease != nil {
		lease.lost(l, err)
	}
}

// Drained passes on that the backend reads again.
func (l *link) Drained() {
	if lease := l.lease.Load(); lease != nil {
		lease.room(l)
	}
}
