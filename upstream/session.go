package upstream

import (
	"container/list"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// session is a Lease under session pooling: a client that has a link to itself.
type session struct {
	g      *Group
	peer   Peer
	client Client

	elem *list.Element // its place among those that wait; guarded by the group's lock, as is in
	in   *list.List    // where that is
	key  uint64        // who the client is, where the policy asks for that
	// queued is since when it waits; guarded by the group's lock.
	queued time.Time

	source  atomic.Pointer[link] // whose frames the peer gets; it may have ended
	resumes atomic.Uint64        // calls of Resume

	asked atomic.Int64 // requests that went to a link, and have no answer
	kept  atomic.Int64 // requests in held. One that moves is in both for a moment, never in none
	// first is when the request went out that is the oldest of those unanswered, in nanoseconds since the group began; 0: that is not known. Only a request that
	// finds no other unanswered is timed: so answers need not be told apart, and a client that has many requests on their way costs no look at the clock for each.
	first atomic.Int64

	delivering atomic.Int32 // calls of the peer's Frames under way

	ended atomic.Bool // set with mu held
	again bool        // it waits for a link because the one it had died young; guarded by the group's lock

	mu     sync.Mutex    // guards all below; taken after the group's lock
	link   *link         // nil: it waits for one, or the one it has is ending
	held   []byte        // frames that wait for a link, or to be sent over the one it has
	holds  weight        // of held
	since  time.Time     // since when they wait
	full   bool          // Send returned full, the peer is owed a Room
	linked bool          // a LinkPeer was told of a link, and not yet of its end
	retry  *client.Retry // of a client whose links died; nil: none has
}

// Send implements Lease.
func (l *session) Send(run []byte, _, asks int) (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended.Load() {
		return false
	}
	if l.link != nil && len(l.held) == 0 && !l.link.holds() {
		l.ask(int64(asks)) // before the answers can come
		full, err := l.link.conn.Write(run)
		if err == nil {
			l.full = l.full || full
			return full
		}
		l.link = nil // it is ending, and lost will be told; nothing of the run has gone
		l.kept.Add(int64(asks))
		l.answered(asks)
	} else if !l.linked && l.linkPeer() != nil {
		return false // it will be told of a link, and sends again
	} else {
		l.kept.Add(int64(asks))
	}
	if len(l.held) == 0 {
		l.since = time.Now()
	}
	l.held = append(l.held, run...)
	l.holds.set(cap(l.held))
	if len(l.held) >= l.g.cfg.Buffer || l.linked {
		l.full = true
	}
	return l.full
}

// Resume implements Lease.
func (l *session) Resume() {
	l.resumes.Add(1) // first: see link.Flush
	if link := l.source.Load(); link != nil {
		link.conn.Resume()
	}
}

// Unanswered implements Lease.
func (l *session) Unanswered() int { return int(l.asked.Load() + l.kept.Load()) }

// Waiting implements Lease.
func (l *session) Waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0
}

// Held implements Lease.
func (l *session) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int(l.holds)
}

// Backend implements Lease.
func (l *session) Backend() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link == nil {
		return ""
	}
	return l.link.b.name
}

// Close implements Lease.
func (l *session) Close() { l.finish() }

// end is Close by somebody else than the peer, which is told why.
func (l *session) end(cause error) {
	if l.finish() {
		l.peer.Lost(cause)
	}
}

func (l *session) finish() (first bool) {
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		return false
	}
	l.finishLocked()
	return true
}

// finishLocked ends the lease. l.mu is held, and given up.
func (l *session) finishLocked() {
	l.ended.Store(true)
	link := l.link
	l.link, l.held = nil, nil
	l.holds.set(0)
	l.mu.Unlock()
	l.g.leave(l)
	if link != nil {
		link.conn.Close(errReleased)
	}
}

// take gives the lease a link, which gets the frames that waited. A lease that has ended closes it: a link that was ever a client's is no other's.
func (l *session) take(link *link) {
	if !link.bind(l) {
		l.g.enqueue(l, true) // it ended unused; that is not the client's fault
		return
	}
	l.use(link)
}

// use sends what has waited over a link that has been bound to the lease, and all that follows.
func (l *session) use(link *link) {
	l.mu.Lock()
	if l.ended.Load() {
		l.mu.Unlock()
		link.conn.Close(errReleased)
		return
	}
	if _, err := link.conn.Write(nil); err != nil { // it has ended since bind: lost was told or will be, and may have found another
		l.mu.Unlock()
		return
	}
	l.link = link
	room := !link.holds() && l.sendHeld(link) && l.regain()
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
	if link.leaving.Load() { // since before it was the client's: nobody else will see to it
		l.part(link)
	}
}

// sendHeld sends what has waited over a link, and returns false if the link does not take more, or has ended: then lost will be told. l.mu is held.
func (l *session) sendHeld(link *link) (room bool) {
	asks := l.kept.Load()
	l.ask(asks)
	full, err := link.conn.Write(l.held)
	if err != nil { // nothing has gone
		l.answered(int(asks))
		l.link = nil
		return false
	}
	l.kept.Store(0)
	l.held = nil
	l.holds.set(0)
	l.full = l.full || full
	return !full
}

// regain returns whether the peer was told that the lease is full, and is to be told that it no longer is. l.mu is held.
func (l *session) regain() (owed bool) {
	owed = l.full
	l.full = false
	return owed
}

// deliver passes frames from the backend to the client.
func (l *session) deliver(frames []byte, n count) (full bool) {
	if l.ended.Load() {
		return false
	}
	l.delivering.Add(1) // first: who asks whether all is answered must not miss what is on its way
	defer l.delivering.Add(-1)
	l.answered(n.answers)
	return l.peer.Frames(frames, n.frames)
}

// ask notes requests that are about to go to the link.
func (l *session) ask(n int64) {
	if n > 0 && l.asked.Add(n) == n && l.g.paired {
		l.first.Store(int64(time.Since(l.g.began)))
	}
}

// timed adds how long an answer took to the backend's times, if its request was timed. It is called before answered: or it would take the time of a request that
// only goes out between the two.
func (l *session) timed(b *backend) {
	if l.first.Load() == 0 {
		return
	}
	if at := l.first.Swap(0); at != 0 {
		b.requests.observe(time.Since(l.g.began) - time.Duration(at))
	}
}

// answered takes back n of the requests asked. A backend may send more answers than it was asked for.
func (l *session) answered(n int) {
	for n > 0 {
		asked := l.asked.Load()
		if l.asked.CompareAndSwap(asked, max(0, asked-int64(n))) {
			return
		}
	}
}

// room is told by the link that its backend reads again.
func (l *session) room(from *link) {
	l.mu.Lock()
	room := l.full && l.link == from && len(l.held) < l.g.cfg.Buffer
	if room {
		l.full = false
	}
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
}

// lost is told that the lease's link is no more. The client goes on over another one, if it may and can.
func (l *session) lost(link *link, cause error) {
	if p := l.linkPeer(); p != nil {
		l.unlinked(p, link, cause)
		return
	}
	l.mu.Lock()
	l.link = nil
	if l.ended.Load() {
		l.mu.Unlock()
		return
	}
	wait, err := l.next(link, cause, time.Now())
	if err != nil {
		l.mu.Unlock()
		l.end(err)
		return
	}
	room := l.full && len(l.held) < l.g.cfg.Buffer // what the dead link did not take no longer counts
	if room {
		l.full = false
	}
	l.mu.Unlock()
	if wait > 0 {
		l.g.rest(l, wait)
	} else {
		l.g.enqueue(l, false)
	}
	if room {
		l.peer.Room()
	}
}

// next says when the lease may have another link, or why it ends. After a link that was stable under this client, however old it was when he got it, it is
// at once: whether the backend is there is the backend's own state to say. l.mu is held.
func (l *session) next(link *link, cause error, now time.Time) (wait time.Duration, err error) {
	settings := l.g.cfg.Reconnect
	switch n := l.asked.Load(); {
	case n > 0:
		return 0, fmt.Errorf("%w: %d requests unanswered by %s: %w", ErrLost, n, link.b.name, cause)
	case errors.Is(cause, ErrGroupClosed):
		return 0, cause
	case errors.Is(cause, errRetired): // it was taken from the client
		return 0, nil
	case l.g.cfg.OnLoss == Close && l.linkPeer() == nil:
		return 0, fmt.Errorf("%w: %s: %w", ErrLost, link.b.name, cause)
	case now.Sub(link.bound) >= settings.Stable:
		l.retry = nil
		return 0, nil
	case l.retry == nil:
		l.retry = client.NewRetry(settings)
	}
	wait, paused := l.retry.Failed(now)
	if paused {
		return 0, fmt.Errorf("%w: %w", ErrUnstable, cause)
	}
	return wait, nil
}
