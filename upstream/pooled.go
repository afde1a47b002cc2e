package upstream

import (
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// pooled is a Lease under request pooling: a client that shares links with others. It stays with a link as long as the order of its frames depends on it (a
// request is unanswered, or a frame that asks nothing went last), and else takes the least loaded.
type pooled struct {
	g      *Group
	peer   Peer
	client Client

	elem *list.Element // its place among those that wait; guarded by the group's lock
	key  uint64        // who the client is, where the policy asks for that

	asked atomic.Int64 // requests that went to a link, and have no answer
	kept  atomic.Int64 // requests in held
	ended atomic.Bool  // set with mu held

	delivering atomic.Int32 // calls of the peer's Frames under way

	mu     sync.Mutex // guards all below; taken after the group's lock, before a link's
	link   *shared    // the last one; nil: none yet
	pinned bool       // the last frames asked nothing: nothing will tell that they were read
	held   []byte     // frames that wait for room on a link
	holds  weight     // of held
	runs   []run      // what is in held
	since  time.Time  // since when they wait
	full   bool       // Send returned full, the peer is owed a Room
}

// run is a part of what is held: what was given to one Send.
type run struct{ bytes, frames, asks int }

// Send implements Lease.
func (l *pooled) Send(frames []byte, n, asks int) (full bool) {
	now := time.Now()
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		return false
	}
	if len(l.runs) == 0 && l.try(frames, n, asks, now) {
		l.mu.Unlock()
		return false
	}
	first := len(l.runs) == 0
	if first {
		l.since = now
	}
	l.held = append(l.held, frames...)
	l.holds.set(cap(l.held))
	l.runs = append(l.runs, run{len(frames), n, asks})
	l.kept.Add(int64(asks))
	l.full = l.full || len(l.held) >= l.g.cfg.Buffer
	full = l.full
	l.mu.Unlock()
	if first {
		l.g.await(l)
	}
	return full
}

// try sends a run, if there is room for it. l.mu is held.
func (l *pooled) try(frames []byte, n, asks int, now time.Time) bool {
	link := l.link
	if asked := l.asked.Load(); link == nil || asked == 0 && (!l.pinned || link.over() || link.b.held.Load()) {
		if link = l.g.pick(l, asks, now); link == nil {
			return false
		}
	}
	if !link.submit(l, frames, asks, now) {
		return false
	}
	l.link, l.pinned = link, asks < n
	return true
}

// stuck says whether its frames wait for the one link that its unanswered requests are on, and that has no room.
func (l *pooled) stuck() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link != nil && l.asked.Load() > 0 && !l.link.hasRoom(l.link.inflight.Load(), 1)
}

// flush sends what is held, as far as there is room. It returns true when nothing is left.
func (l *pooled) flush(now time.Time) (done bool) {
	l.mu.Lock()
	sent := 0
	for len(l.runs) > 0 && !l.ended.Load() {
		r := l.runs[0]
		if !l.try(l.held[sent:sent+r.bytes], r.frames, r.asks, now) {
			break
		}
		l.kept.Add(int64(-r.asks))
		sent += r.bytes
		l.runs = l.runs[1:]
	}
	done = len(l.runs) == 0 || l.ended.Load()
	if len(l.runs) == 0 && sent > 0 {
		l.g.waits.observe(now.Sub(l.since))
	}
	switch {
	case done:
		l.held, l.runs = nil, nil
		l.holds.set(0)
	case sent > 0:
		l.held = append(l.held[:0], l.held[sent:]...)
	}
	room := l.full && len(l.held) < l.g.cfg.Buffer
	if room {
		l.full = false
	}
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
	return done
}

// deliver passes answers to the client. One that does not read them must go: the others' are behind its.
func (l *pooled) deliver(frames []byte, n int) {
	if l.ended.Load() {
		return
	}
	l.delivering.Add(1) // first: who asks whether all is answered must not miss what is on its way
	defer l.delivering.Add(-1)
	l.answered(n)
	if l.peer.Frames(frames, n) {
		l.end(ErrSlow)
	}
}

func (l *pooled) answered(n int) { l.asked.Add(int64(-n)) }

// Resume implements Lease; a shared link is never stopped for one client.
func (l *pooled) Resume() {}

// Unanswered implements Lease.
func (l *pooled) Unanswered() int { return int(l.asked.Load() + l.kept.Load()) }

// Waiting implements Lease.
func (l *pooled) Waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs) > 0
}

// Held implements Lease.
func (l *pooled) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.holds)
}

// Backend implements Lease.
func (l *pooled) Backend() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link == nil {
		return ""
	}
	return l.link.b.name
}

// Close implements Lease. Answers that are still to come are thrown away when they come.
func (l *pooled) Close() { l.finish() }

func (l *pooled) end(cause error) {
	if l.finish() {
		l.peer.Lost(cause)
	}
}

func (l *pooled) finish() (first bool) {
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		return false
	}
	l.finishLocked()
	return true
}

// finishLocked ends the lease. l.mu is held, and given up.
func (l *pooled) finishLocked() {
	l.ended.Store(true)
	l.link, l.held, l.runs = nil, nil, nil
	l.holds.set(0)
	l.mu.Unlock()
	l.g.forget(l)
}

// lost is told that n of its requests can no longer be answered.
func (l *pooled) lost(backend string, n int, cause error) {
	l.end(fmt.Errorf("%w: %d requests unanswered by %s: %w", ErrLost, n, backend, cause))
}
