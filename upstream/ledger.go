package upstream

import (
	"maps"
	"slices"
	"time"

	"github.com/caddy-gopr/caddy-gopr/wire"
)

// ledger is who asked on a shared link and has no answer yet. The link's lock is held for every call. Whoever asked stays in it until he was answered, also when he has gone:
// his answer is then nobody's, and never another's.
type ledger interface {
	// enter notes the requests among the frames, and returns the frames as they are to be sent, and how many it noted. asks is how many there are by the client's count. The
	// frames returned are valid until the next call.
	enter(by *pooled, frames []byte, asks int, now time.Time) (send []byte, noted int)
	// undo takes back the last enter, of which nothing was sent.
	undo()
	// answered strikes out the request that a frame answers, and returns who asked, and when. The frame is made what he expects. ErrUnasked: nobody did; ErrAnswerCommand: it
	// is not what he asked, and nothing is struck out.
	answered(f *wire.Frame) (by *pooled, at time.Time, err error)
	// late returns those who asked before the given time, and then maybe others; each at least once.
	late(before time.Time) []*pooled
	// all returns what is unanswered, in no order.
	all() []asking
	// clear strikes out all, and returns how many each had asked.
	clear() map[*pooled]int
	// open is how many requests are unanswered, or at least whether any is.
	open() int
}

func (g *Group) newLedger() ledger {
	if g.cfg.Format.HasID() {
		return &byID{g: g, asked: make(map[uint64]asking)}
	}
	if g.cfg.StrictAnswers {
		return &commandsInOrder{g: g}
	}
	return new(inOrderOf)
}

// asking is a client's request on a shared link, or several that follow each other.
type asking struct {
	by *pooled
	n  int    // answers still to come
	id uint64 // the client's own, where there are ids
	at time.Time

	cmd uint32 // the request's command, where answers must have the same
}

// inOrderOf is the ledger where nothing on the wire says whose an answer is, and the order does: a backend answers in the order in which it was asked, so the oldest
// unanswered request is the one that the next answer belongs to.
type inOrderOf struct{ ring }

func (o *inOrderOf) enter(by *pooled, frames []byte, asks int, now time.Time) ([]byte, int) {
	o.push(asking{by: by, n: asks, at: now})
	return frames, asks
}

func (o *inOrderOf) undo() { o.unpush() }

func (o *inOrderOf) answered(*wire.Frame) (by *pooled, at time.Time, err error) {
	by, at, n := o.first()
	if n == 0 {
		return nil, at, ErrUnasked
	}
	o.strike(1)
	return by, at, nil
}

// first is who gets the next answer, when he asked, and how many in a row are his; 0: nobody asked.
func (o *inOrderOf) first() (by *pooled, at time.Time, n int) {
	if o.len() == 0 {
		return nil, at, 0
	}
	a := o.at(0)
	return a.by, a.at, a.n
}

// strike strikes out so many answers of his.
func (o *inOrderOf) strike(n int) {
	a := o.at(0)
	if a.n -= n; a.n == 0 {
		o.shift()
	}
}

func (o *inOrderOf) late(before time.Time) (who []*pooled) {
	for i := range o.len() {
		a := o.at(i)
		if !a.at.Before(before) {
			break
		}
		who = append(who, a.by)
	}
	return who
}

func (o *inOrderOf) all() (all []asking) {
	for i := range o.len() {
		all = append(all, *o.at(i))
	}
	return all
}

func (o *inOrderOf) clear() map[*pooled]int {
	who := make(map[*pooled]int)
	for ; o.len() > 0; o.shift() {
		a := o.at(0)
		who[a.by] += a.n
	}
	return who
}

func (o *inOrderOf) open() int { return o.len() }

// byID is the ledger where frames carry an id that comes back with the answer, so answers may come in any order. Clients choose their ids without knowing of each
// other, so on the link each request has one of the link's own, and its answer gets the client's back.
type byID struct {
	g     *Group
	asked map[uint64]asking // by the id on the link
	next  uint64            // the id last given
	last  []uint64          // those of the last enter
	send  []byte
}

func (l *byID) enter(by *pooled, frames []byte, _ int, now time.Time) ([]byte, int) {
	format := l.g.cfg.Format
	l.send, l.last = append(l.send[:0], frames...), l.last[:0]
	var f wire.Frame
	for rest := l.send; l.g.nextAsk(&rest, &f); {
		id, ok := format.ID(&f)
		if !ok {
			continue
		}
		ours := l.free()
		if !format.SetID(f.Raw, ours) {
			continue
		}
		l.asked[ours] = asking{by: by, n: 1, id: id, at: now, cmd: f.Cmd}
		l.last = append(l.last, ours)
	}
	return l.send, len(l.last)
}

// free returns an id that no unanswered request has. There always is one: no more requests are in flight than there are ids. 0 is left out: to some protocols it
// means none.
func (l *byID) free() uint64 {
	for {
		if l.next++; l.next > l.g.cfg.Format.MaxID() {
			l.next = 1
		}
		if _, taken := l.asked[l.next]; !taken {
			return l.next
		}
	}
}

func (l *byID) undo() {
	for _, id := range l.last {
		delete(l.asked, id)
	}
}

func (l *byID) answered(f *wire.Frame) (by *pooled, at time.Time, err error) {
	id, ok := l.g.cfg.Format.ID(f)
	if !ok {
		return nil, at, ErrUnasked
	}
	a, ok := l.asked[id]
	switch {
	case !ok:
		return nil, at, ErrUnasked
	case l.g.cfg.StrictAnswers && f.Cmd != a.cmd:
		return nil, at, ErrAnswerCommand
	}
	delete(l.asked, id)
	l.g.cfg.Format.SetID(f.Raw, a.id)
	return a.by, a.at, nil
}

func (l *byID) late(before time.Time) (who []*pooled) {
	for _, a := range l.asked {
		if a.at.Before(before) {
			who = append(who, a.by)
		}
	}
	return who
}

func (l *byID) all() []asking { return slices.Collect(maps.Values(l.asked)) }

func (l *byID) clear() map[*pooled]int {
	who := make(map[*pooled]int)
	for _, a := range l.asked {
		who[a.by]++
	}
	clear(l.asked)
	return who
}

func (l *byID) open() int { return len(l.asked) }
