package upstream

import (
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// Lease is one client's hold on a [Group]. Send is called by the client's goroutine; the other methods from any.
type Lease struct {
	g    *Group
	peer Peer
	elem *list.Element // its place among those that wait; guarded by the group's lock

	asked atomic.Int64 // requests without their answer

	mu     sync.Mutex // guards all below; taken after the group's lock
	link   *link      // nil: it waits for one
	held   []byte     // frames that wait for a link
	full   bool       // Send returned full, the peer is owed a Room
	ended  bool
	retry  *client.Retry // of a client whose links died; nil: none has
	timer  *time.Timer   // runs while retry waits
	losses uint64
}

// Send passes on whole frames, back to back, of which asks are requests. It copies what it can't send at once, and never blocks. full: no more,
// please, until Peer.Room.
func (l *Lease) Send(run []byte, asks int) (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	if asks > 0 {
		l.asked.Add(int64(asks))
	}
	if l.link != nil {
		full, err := l.link.conn.Write(run)
		if err == nil {
			l.full = l.full || full
			return full
		}
		l.link = nil // it is ending, and will tell us; nothing of the run has gone
	}
	l.held = append(l.held, run...)
	if len(l.held) >= l.g.cfg.Buffer {
		l.full = true
	}
	return l.full
}

// Resume goes on reading from the backend after Peer.Frames returned full.
func (l *Lease) Resume() {
	l.mu.Lock()
	link := l.link
	l.mu.Unlock()
	if link != nil {
		link.conn.Resume()
	}
}

// Unanswered returns the number of requests whose answers have not come.
func (l *Lease) Unanswered() int { return int(l.asked.Load()) }

// Backend returns the backend that serves the client now; "": none does.
func (l *Lease) Backend() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.link == nil {
		return ""
	}
	return l.link.b.name
}

// Close ends the lease: the client has gone. What it sent is still sent to the backend, within bounds. The peer is not told, but a call to it
// that is under way may still finish.
func (l *Lease) Close() { l.finish() }

// end is Close by somebody else than the peer, which is told why.
func (l *Lease) end(cause error) {
	if l.finish() {
		l.peer.Lost(cause)
	}
}

func (l *Lease) finish() (first bool) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.ended = true
	link := l.link
	l.link, l.held = nil, nil
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.g.leave(l)
	if link != nil {
		link.conn.Close(errReleased)
	}
	return true
}

// over says whether the lease has ended.
func (l *Lease) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

// take gives the lease a link, which gets the frames that waited. A lease that has ended closes it: a link that was ever a client's is no other's.
func (l *Lease) take(link *link) {
	if !link.bind(l) {
		l.lost(link, link.err)
		return
	}
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		link.conn.Close(errReleased)
		return
	}
	l.link = link
	full := false
	if len(l.held) > 0 {
		var err error
		if full, err = link.conn.Write(l.held); err != nil {
			l.link = nil // it ends at this moment, and will tell us
			l.mu.Unlock()
			return
		}
		l.held = nil
	}
	room := l.full && !full
	l.full = full
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
}

// deliver passes frames from the backend to the client.
func (l *Lease) deliver(run []byte, n, answers int) (full bool) {
	if answers > 0 {
		for {
			asked := l.asked.Load()
			if l.asked.CompareAndSwap(asked, max(0, asked-int64(answers))) {
				break
			}
		}
	}
	return l.peer.Frames(run, n)
}

// room is told by the link that its backend reads again.
func (l *Lease) room(from *link) {
	l.mu.Lock()
	room := l.full && l.link == from
	if room {
		l.full = false
	}
	l.mu.Unlock()
	if room {
		l.peer.Room()
	}
}

// lost is told by a link that it has ended. The client goes on over another one, if it may and can.
func (l *Lease) lost(link *link, cause error) {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return
	}
	l.link = nil
	l.losses++
	if n := l.asked.Load(); n > 0 || l.g.cfg.OnLoss == Close {
		l.mu.Unlock()
		l.end(fmt.Errorf("%w: %d requests unanswered by %s: %w", ErrLost, n, link.b.name, cause))
		return
	}
	wait, err := l.again(link, time.Now())
	if err != nil {
		l.mu.Unlock()
		l.end(fmt.Errorf("%w: %w", err, cause))
		return
	}
	if wait > 0 {
		l.timer = time.AfterFunc(wait, func() { l.g.enqueue(l) })
	}
	room := l.full && len(l.held) < l.g.cfg.Buffer // what the dead link did not take no longer counts
	if room {
		l.full = false
	}
	l.mu.Unlock()
	if wait == 0 {
		l.g.enqueue(l)
	}
	if room {
		l.peer.Room()
	}
}

// again says when the lease may have another link. After a link that was stable it is at once: whether the backend is there is the backend's own state to say.
// l.mu is held.
func (l *Lease) again(link *link, now time.Time) (time.Duration, error) {
	settings := l.g.cfg.Reconnect
	if now.Sub(link.up) >= settings.Stable {
		l.retry = nil
		return 0, nil
	}
	if l.retry == nil {
		l.retry = client.NewRetry(settings)
	}
	wait, paused := l.retry.Failed(now)
	if paused {
		return 0, ErrUnstable
	}
	return wait, nil
}
