package upstream

import (
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
)

// LinkPeer is a [Peer] that keeps what it sends until it knows that it has arrived, and so wants to know of each link of its lease, under session and mux pooling. (Under
// request pooling, where no link is a client's, it is a Peer as any other.)
//
// Its calls come in this order, whatever happens: Linked, then Frames and Pong of that link, then Unlinked, and Linked of the next; in the end Lost. Frames of two links
// are never mixed. Close of the lease ends them without another call.
//
// Between Unlinked and Linked nothing can be sent: Send takes frames and drops them. What was sent before Unlinked may be lost, and none of it is held for the next link: it is
// for the peer to send again what it must. So a link that dies never ends the lease, whatever was unanswered and whatever OnLoss says; nor do links that die young one
// after the other: each time the lease waits longer for the next, up to Reconnect.Max. The end of the group alone ends it.
//
// What Send was told to ask (requests, and pings of the peer's own) counts until as many answers and pongs have come, or the link is gone. It is what an operator's verbs go
// by: a link is taken from its lease when nothing is unanswered, or after Config.RequestTimeout. A peer that asks with a ping for what it must not send twice has it proved before.
type LinkPeer interface {
	Peer
	// Linked tells that the lease has a link, to the given backend. It may send over it at once: from within Linked, too, and then before all others. It may be called before
	// Group.Lease has returned, by that goroutine: which is why it is given the lease. It takes the place of a Room that was owed.
	Linked(lease Lease, backend string)
	// Pong is called for each PONG that answers no heartbeat's PING, where pongs carry the payload of their pings: those that the peer sent as frames. It may come before
	// frames that the backend sent before it. payload is valid during the call.
	Pong(payload []byte)
	// Unlinked tells that the link is gone, and why: it died, or an operator's verb has taken it.
	Unlinked(cause error)
}

// linkPeer returns the peer if it wants to know of links; else nil.
func (l *session) linkPeer() LinkPeer {
	p, _ := l.peer.(LinkPeer)
	return p
}

// linking tells the peer, if it wants to know, of a link that is being bound: nothing of the link has been passed to it yet.
func (l *session) linking(link *link) {
	p := l.linkPeer()
	if p == nil {
		return
	}
	l.mu.Lock()
	l.linked, l.full = !l.ended.Load(), false
	linked := l.linked
	l.mu.Unlock()
	if linked {
		p.Linked(l, link.b.name)
	}
}

// unlinked is lost where the peer wants to know.
func (l *session) unlinked(p LinkPeer, link *link, cause error) {
	l.mu.Lock()
	l.link, l.held, l.linked, l.full = nil, nil, false, false
	l.holds.set(0)
	l.asked.Store(0)
	l.kept.Store(0)
	l.first.Store(0)
	if l.ended.Load() {
		l.mu.Unlock()
		return
	}
	wait := l.rests(link, cause, time.Now())
	l.mu.Unlock()
	p.Unlinked(cause)
	if wait > 0 {
		l.g.rest(l, wait)
	} else {
		l.g.enqueue(l, false) // which ends it where the group has
	}
}

// rests says how long the lease is to wait before it has another link. A pause of some minutes is for who has given up: here messages wait. l.mu is held.
func (l *session) rests(link *link, cause error, now time.Time) time.Duration {
	wait, err := l.next(link, cause, now)
	if err != nil {
		wait = link.b.latest(now, l.g.cfg.Reconnect).Sub(now)
	}
	return wait
}

// pongs is a link whose pongs say which ping they answer: so those that answer the peer's own can be told from the heartbeat's.
type pongs struct{ *link }

// Interface guards.
var (
	_ client.PongReceiver = pongs{}
	_ client.BeatReceiver = pongs{}
)

// Pong implements client.PongReceiver.
func (l pongs) Pong(_ time.Time, payload []byte) {
	lease := l.lease.Load()
	if lease == nil || lease.ended.Load() {
		return
	}
	p := lease.linkPeer()
	if p == nil {
		return
	}
	lease.delivering.Add(1) // first, as for frames
	lease.first.Store(0)    // it may be when the ping went out, not a request
	lease.answered(1)
	p.Pong(payload)
	lease.delivering.Add(-1)
	if l.leaving.Load() {
		lease.part(l.link)
	}
}
