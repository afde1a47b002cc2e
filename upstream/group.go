package upstream

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/caddy-gopr/caddy-gopr/client"
	"github.com/caddy-gopr/caddy-gopr/keepalive"
	"github.com/caddy-gopr/caddy-gopr/transport"
	"github.com/caddy-gopr/caddy-gopr/upstream/health"
	"github.com/caddy-gopr/caddy-gopr/wire"
)

// Group is a set of backends and the links to them. Its methods may be called from any goroutine.
type Group struct {
	cfg    Config // with defaults
	conn   client.ConnConfig
	asks   *wire.Decoder // of what clients send; what backends send, the connections read
	paired bool          // the format says which frames are answers
	began  time.Time
	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	tls    *secured       // nil: links are not secured
	mux    muxes          // guarded by mu
	wg     sync.WaitGroup // every goroutine of the group; it grows only with mu held, and not after closed is set

	// mu guards all below, and all of each backend. Nothing slow runs under it: no I/O, no callback; unlock does what there is of that. It is taken
	// before a lease's lock, never after.
	mu         sync.Mutex
	closed     bool
	admin      Admin // what an operator wants of it
	backends   []*backend
	fits       []*backend // scratch of choose, as are shares
	shares     []int
	rotas      rotas
	waiting    *list.List               // of *session, the one that has waited longest first
	resting    map[*session]*time.Timer // those that will wait for a link, but not yet
	awaited    int                      // dials under way for those that wait
	turn       uint64
	timer      *time.Timer // the next moment at which a dial may be made that may not be made now
	timerAt    time.Time
	notes      []note // what is to be logged
	discovered DiscoveryStat
	pace       *pace   // of dials
	budget     *budget // of links for those whose links die young
	req        requests

	events  []Event    // changes that are to be told
	telling sync.Mutex // held by who tells them; taken before mu, never after

	ration   *health.Rate // of new work for backups
	rationAt time.Time    // when that lets through who waits for it; zero: nobody does
	panics   bool         // too few backends are fit, so all are used
	backups  bool         // the backups take what comes
	beat     *time.Timer  // calls pulse; nil: backends are not judged

	waits recorder // how long clients waited for a link, or for room on one. Not guarded
}

// NewGroup starts a group: it dials its warm links. Close ends it.
func NewGroup(c Config) (*Group, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	c = c.WithDefaults()
	dec, err := c.Format.NewDecoder(wire.Rules{Versions: c.Versions, From: wire.FromServer})
	if err != nil {
		return nil, err
	}
	asks, err := c.Format.NewDecoder(wire.Rules{From: wire.FromClient})
	if err != nil {
		return nil, err
	}
	g := &Group{
		cfg: c, asks: asks, paired: c.Format.HasPairing(), began: time.Now(), admin: Enabled,
		pace: newPace(c.DialRate), budget: &budget{settings: c.RetryBudget},
		waiting: list.New(), resting: make(map[*session]*time.Timer),
	}
	if g.tls, err = secure(&c); err != nil {
		return nil, err
	}
	if c.Pooling == Mux { // from here on MaxLinks is of links, as everywhere
		g.mux.conns, g.mux.streams = c.MaxLinks, c.MaxStreams
		g.cfg.MaxLinks = c.MaxLinks * c.MaxStreams
	}
	g.conn = client.ConnConfig{
		Format:    c.Format,
		Decoder:   dec,
		Limits:    &keepalive.Limits{Frame: max(c.FrameTimeout, 0)},
		Transport: &transport.Options{WriteTimeout: c.WriteTimeout, High: c.Buffer, EventLoop: c.EventLoop},
	}
	if c.Heartbeat.Interval > 0 {
		g.conn.Heartbeat = c.Heartbeat
	}
	for i, name := range slices.Concat(c.Backends, c.Backups) {
		b, err := newBackend(name, &c, i >= len(c.Backends))
		if err != nil {
			return nil, err
		}
		b.pace = g.pace
		g.backends = append(g.backends, b)
	}
	g.ration = health.NewRate(c.BackupRate, c.BackupBurst)
	if c.Pooling == Request {
		g.conn.Transport = &transport.Options{WriteTimeout: c.WriteTimeout, High: max(c.Buffer, sharedBuffer), EventLoop: c.EventLoop}
	}
	if c.Wait > 0 { // under request pooling always
		g.req.sweeper = time.AfterFunc(sweepEvery, g.sweep)
	}
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	g.mu.Lock()
	if c.beats() {
		g.beat = time.AfterFunc(g.pulseEvery(), g.pulse)
	}
	if d := c.Discovery; d != nil {
		g.discovered.Name = d.Name
		g.wg.Go(func() { g.discover(d) })
	}
	g.unlock(g.pump(time.Now()))
	return g, nil
}

// Close ends all links and leases, and waits for every goroutine of the group: so it must not be called by a Peer's method. Peers are told
// ErrGroupClosed; those with unanswered requests, ErrLost as well.
func (g *Group) Close() error {
	g.mu.Lock()
	g.closed = true
	if g.timer != nil {
		g.timer.Stop()
	}
	var orphans []*session
	for _, b := range g.backends {
		g.giveBack(b)
	}
	for g.waiting.Len() > 0 {
		orphans = append(orphans, g.next())
	}
	for l, t := range g.resting {
		t.Stop()
		orphans = append(orphans, l)
	}
	clear(g.resting)
	for _, t := range []*time.Timer{g.req.sweeper, g.beat} {
		if t != nil {
			t.Stop()
		}
	}
	waiting := g.req.all()
	g.mu.Unlock()
	g.cancel(ErrGroupClosed)
	for _, l := range waiting {
		l.end(ErrGroupClosed)
	}
	for _, l := range orphans {
		l.end(ErrGroupClosed)
	}
	g.wg.Wait()
	g.closeMuxes()
	return nil
}

// Lease takes a hold on the group for one client. Frames that are sent before there is a link wait for it. The caller must close the lease.
//
// It returns at once, but the peer's methods may be called before: frames that a backend sent unasked may be there, and a group that is closed ends
// the lease.
func (g *Group) Lease(p Peer, c Client) Lease {
	if g.cfg.Pooling == Request {
		l := &pooled{g: g, peer: p, client: c}
		if g.cfg.Policy.keyed() {
			l.key = c.key(g.cfg.Policy)
		}
		return l
	}
	l := &session{g: g, peer: p, client: c}
	if g.cfg.Policy.keyed() {
		l.key = c.key(g.cfg.Policy)
	}
	g.enqueue(l, false)
	return l
}

// answers says whether a frame from a backend answers a request: as the format says, or, where it says nothing, always.
func (g *Group) answers(f *wire.Frame) bool { return !g.paired || g.cfg.Format.Answers(f) }

// match is a link for a lease, to be handed over when the group's lock is given up.
type match struct {
	lease *session
	link  *link
}

// match gives a link to the lease that has waited longest for it. g.mu is held.
func (g *Group) match(link *link, now time.Time) match { return g.give(g.claimant(link.b), link, now) }

func (g *Group) give(l *session, link *link, now time.Time) match {
	g.waits.observe(now.Sub(l.queued))
	if !l.again {
		g.budget.earn(now.Sub(g.began))
	}
	l.again = false
	return match{l, link}
}

// unlock gives up g.mu, and does what is not done under it: hands over links, logs, and tells of changes.
func (g *Group) unlock(given []match) {
	notes, changed := g.notes, len(g.events) > 0
	g.notes = nil
	g.mu.Unlock()
	for _, m := range given {
		m.lease.take(m.link)
	}
	for _, n := range notes {
		g.cfg.Logger.LogAttrs(context.Background(), n.level, n.msg, n.attrs...)
	}
	if changed {
		g.tell()
	}
}

// pump does what can be done now: gives links to those that wait, starts dials for the others and for the warm spares, and sets the timer for what must wait.
// It is called after everything that may change the answer. g.mu is held; what is returned is for unlock.
func (g *Group) pump(now time.Time) (given []match) {
	if g.closed {
		return nil
	}
	g.cutPauses(now)
	if g.cfg.Policy.keyed() {
		given = g.assign(now)
	} else {
		given = g.allot(now)
	}
	for _, b := range g.backends {
		for g.wantsLink(b) && b.fit(now, g.cfg.MaxLinks) {
			g.dial(b, false, now)
		}
		g.renewNext(b, now)
	}
	g.reap()
	g.setTimer(now)
	return given
}

// wantsLink says whether a link to the backend is to be dialled without a client that it is for. g.mu is held.
func (g *Group) wantsLink(b *backend) bool {
	if !g.open(b) || b.check.Down() && !b.takes { // its probes say when to dial it again
		return false
	}
	if g.cfg.Pooling != Request {
		return len(b.spare)+b.dialing < g.spares(b)
	}
	want := max(g.minShared(), g.leastWarm(b))
	if g.req.waiting.Len() > 0 {
		want = max(want, 1)
	}
	return b.inUse()+b.dialing < want
}

// spares is how many links without a client a backend is to have. g.mu is held.
func (g *Group) spares(b *backend) int { return max(g.cfg.MinLinks, g.leastWarm(b)) }

// leastWarm is how many links a backend has whatever is set: what is not fit is kept warm, or it could not be measured. g.mu is held.
func (g *Group) leastWarm(b *backend) int {
	if g.cfg.Health != nil && b.cond != health.Fit && !g.cfg.clientFirst() { // where each link is a client's, there is nothing to keep
		return 1
	}
	return 0
}

// minShared is how many shared links a backend has at least. Where clients have backends of their own it is one: a backend without a link could be nobody's.
func (g *Group) minShared() int {
	if g.cfg.Policy.keyed() {
		return max(g.cfg.MinLinks, 1)
	}
	return max(g.cfg.MinLinks, 0)
}

// wanting says whether there are clients that wait for a link, and for whom none is being dialled. g.mu is held.
func (g *Group) wanting() bool { return g.waiting.Len() > g.awaited }

// allot gives links to those that wait, the longest first, and starts dials for the others: whichever works first is for who has waited longest then. g.mu is held.
func (g *Group) allot(now time.Time) (given []match) {
	for g.waiting.Len() > g.awaited {
		b := g.choose(0, func(b *backend) bool { return len(b.spare) > 0 || b.fit(now, g.cfg.MaxLinks) })
		if b == nil || !g.afford(b, now) {
			break
		}
		if len(b.spare) > 0 {
			given = append(given, g.match(b.takeSpare(), now))
			continue
		}
		g.awaited++
		g.dial(b, true, now)
	}
	return given
}

// choose returns the backend for the next client among those that can take one; nil: none can. g.mu is held.
func (g *Group) choose(key uint64, can func(*backend) bool) *backend {
	g.fits, g.shares = g.fits[:0], g.shares[:0]
	for _, b := range g.backends {
		if g.open(b) && b.takes && can(b) {
			g.fits, g.shares = append(g.fits, b), append(g.shares, b.stand.share)
		}
	}
	if len(g.fits) == 0 {
		return nil
	}
	i := choose(g.cfg.Policy, g.fits, choice{turn: g.turn, key: key, rota: g.rotas.of(g.shares)})
	g.turn++
	return g.fits[i]
}

// setTimer has pump called when the next backend may be dialled, if anything waits for that. g.mu is held.
func (g *Group) setTimer(now time.Time) {
	var at time.Time
	for _, b := range g.backends {
		due := b.notBefore
		if paced := g.pace.due(); paced.After(due) {
			due = paced
		}
		if due.After(now) && (g.wanting() || g.wantsLink(b) || len(b.old) > 0) {
			at = keepalive.Earliest(at, due)
		}
	}
	if g.wanting() && g.rationAt.After(now) {
		at = keepalive.Earliest(at, g.rationAt)
	}
	if at.IsZero() || at.Equal(g.timerAt) {
		return
	}
	g.timerAt = at
	if g.timer == nil {
		g.timer = time.AfterFunc(at.Sub(now), g.wake)
		return
	}
	g.timer.Reset(at.Sub(now))
}

func (g *Group) wake() {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.wg.Add(1)
	defer g.wg.Done()
	g.timerAt = time.Time{}
	g.unlock(g.pump(time.Now()))
}

// pumpNow is pump by who does not hold the lock.
func (g *Group) pumpNow() {
	g.mu.Lock()
	g.unlock(g.pump(time.Now()))
}
